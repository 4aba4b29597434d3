"""Segments that fit no flow and are reset by who gets them: figures as the lab's NAT gives them on Linux 6.18."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import Conntrack, RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.strayed(), "confirmed"),
        (runs.strayed(11, 11), "confirmed"),
        (runs.strayed(10, 20), "possible"),
        (runs.strayed(40, 10), "possible"),
        (runs.strayed(40, 5), "ruled_out"),
        (runs.strayed(resets=0, stalled=15), "possible"),  # late answers to who gave up are reset as well
        (runs.strayed(4, 4, 2), "possible"),  # so few may be chance
        (runs.strayed(rsts=0), "ruled_out"),  # late segments, and nobody answered them
        (runs.strayed(rsts=0, aborts=20), "ruled_out"),  # RSTs of its own closes
        (runs.strayed(0, rsts=0), "ruled_out"),
        (runs.strayed(0), "possible"),  # somebody before it translates
        (runs.strayed(None), "possible"),
        (runs.strayed(900, rsts=61), "possible"),  # RSTs of other closes are among them
        (runs.strayed(None, rsts=61), "not_observed"),
        (runs.strayed(None, rsts=0), "not_observed"),
        (runs.strayed(resets=0), "ruled_out"),
        (runs.cut_short(), "not_observed"),
        (runs.reset_by_cookies(), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_segments_that_fit_no_flow(run: RunResult, expected: str) -> None:
    assert alone("conntrack_invalid_reset", run).verdict == expected


def test_at_the_servers_host_it_is_possible_at_most() -> None:
    """A server's closed socket is answered by RST as well."""
    before = runs.at("server", conntrack=Conntrack(count=9, maximum=65_536, invalid=0))
    after = before.replace(conntrack=Conntrack(count=9, maximum=65_536, invalid=40))
    server = runs.local(before=before, after=after, deltas=runs.deltas(Tcp_OutRsts=20))
    suspect = alone("conntrack_invalid_reset", runs.strayed(0, rsts=0, server=server))
    assert (suspect.verdict, suspect.side) == ("possible", "server")


def test_who_waits_in_vain_while_the_server_was_reset() -> None:
    """A client that sends nothing meets no RST: its server's kernel counts that it was reset."""
    server = runs.local(before=runs.at("server"), after=runs.at("server"), deltas=runs.deltas(Tcp_EstabResets=15))
    waiting = runs.strayed(resets=0, stalled=15, server=server)
    assert judge(waiting).cause == "conntrack_invalid_reset"
    gave_up = runs.strayed(resets=0, stalled=15, server=server.replace(deltas=runs.deltas()))
    assert alone("conntrack_invalid_reset", gave_up).verdict == "possible"


def test_resets_that_the_server_made_are_not_charged_to_it() -> None:
    """The client's own host tracks, a few scans are invalid there, and the server closes with data unread."""
    busy = runs.strayed(900, rsts=0).client
    run = runs.cut_short(client={"before": busy.before, "after": busy.after, "deltas": runs.deltas()})
    said = judge(run)
    assert said.cause == "closed_with_data_unread"
    assert {s.cause: s.verdict for s in said.suspects}["conntrack_invalid_reset"] == "ruled_out"
    assert judge(runs.strayed()).cause == "conntrack_invalid_reset"
