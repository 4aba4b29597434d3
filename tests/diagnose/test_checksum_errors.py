"""Packets that arrive with a wrong checksum, counted by who receives them."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.spoiled(), "confirmed"),
        (runs.spoiled(11), "confirmed"),
        (runs.spoiled(10), "possible"),
        (runs.spoiled(2, timeouts=2), "possible"),  # so few may be chance
        (runs.spoiled(0), "ruled_out"),
        (runs.spoiled(4, timeouts=0, late=4), "confirmed"),
        (runs.spoiled(0, at_client=60), "confirmed"),  # the answers arrive wrong
        (runs.spoiled(at_client=60, server=runs.remote()), "confirmed"),
        (runs.spoiled(server=runs.remote()), "not_observed"),  # the server's host counts them
        (runs.spoiled(60, timeouts=0), "ruled_out"),  # others' packets: nothing was lost here
        (runs.data_lost(), "ruled_out"),
        (runs.lossy(), "not_observed"),
        (runs.run(), "ruled_out"),
        (runs.refused(), "ruled_out"),
    ],
)
def test_what_arrives_wrong(run: RunResult, expected: str) -> None:
    assert alone("checksum_errors", run).verdict == expected


def test_one_namespace_counts_once() -> None:
    both = runs.deltas(Tcp_InCsumErrors=11, TCPSynRetrans=60)
    here = {"before": runs.snapshot(), "after": runs.snapshot(), "deltas": both}
    run = runs.spoiled(timeouts=20, client=here, server=runs.untouched(0, deltas=both))
    assert [e.value for e in alone("checksum_errors", run).evidence if "InCsum" in e.field] == [11]


def test_loss_and_filters_look_alike_and_are_not_it() -> None:
    assert judge(runs.lossy()).cause == "path_syn_loss"
    assert judge(runs.dropped()).cause == "path_filtered"
    assert judge(runs.data_lost()).cause == "path_data_loss"
    assert judge(runs.spoiled()).cause == "checksum_errors"


def test_data_that_is_spoiled_is_not_lost_on_the_way() -> None:
    lost = runs.data_lost()
    before, after, counted = lost.client.before, lost.client.after, lost.client.deltas
    assert before is not None
    assert after is not None
    assert counted is not None
    ends = {
        "before": before.replace(host=runs.at("client").host),
        "after": after.replace(host=runs.at("client").host),
    }
    server = lost.server.replace(before=runs.at("server"), deltas=runs.deltas(Tcp_InCsumErrors=24))
    run = lost.replace(client=lost.client.replace(**ends), server=server)
    said = judge(run)
    assert said.cause == "checksum_errors"
    loser = next(suspect for suspect in said.suspects if suspect.cause == "path_data_loss")
    assert "Explained by checksum_errors" in loser.summary


@pytest.mark.parametrize(
    ("wrong", "expected"), [(0, "ruled_out"), (2, "ruled_out"), (3, "possible"), (900, "possible")]
)
def test_two_snapshots_never_say_more_than_possible(wrong: int, expected: str) -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    risen = {name: value + wrong * (name == "Tcp.InCsumErrors") for name, value in runs.COUNTERS.items()}
    said = judge_snapshots(before, before.replace(taken_at_s=3.0, counters=risen))
    assert {s.cause: s.verdict for s in said.suspects}["checksum_errors"] == expected
    assert {s.cause: s.verdict for s in judge_snapshots(None, before).suspects}["checksum_errors"] == "not_observed"
