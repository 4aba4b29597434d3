"""This host refuses or drops what it sends: figures as nft gives them on Linux 6.18."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import RunResult, Security


def dropped(not_sent: int = 40, timeouts: int = 20, rules: bool | None = True) -> RunResult:
    """`nft … output … drop`: each SYN that is due again is refused to the kernel itself."""
    before = runs.snapshot(security=Security(nft_rules=rules, iptables_rules=rules))
    return runs.run(
        funnel=runs.funnel(20, 0),
        failures=[runs.failure("connect", "own_timeout", timeouts)],
        syn_retransmits={"2": 20},
        server=runs.remote(),
        client={"deltas": runs.deltas(TCPRetransFail=not_sent, TCPSynRetrans=40), "before": before, "after": before},
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.own_reject(), "confirmed"),
        (runs.own_reject(received=11, made=11), "confirmed"),
        (runs.own_reject(received=10, made=10), "ruled_out"),
        (runs.own_reject(made=0), "ruled_out"),  # somebody else's ICMP
        (runs.own_reject(received=0), "ruled_out"),  # what went out went to others
        (runs.own_reject(TCPSpuriousRtxHostQueues=40), "ruled_out"),  # an absent neighbour makes such errors too
        (dropped(), "confirmed"),
        (dropped(not_sent=11), "confirmed"),
        (dropped(not_sent=10), "ruled_out"),
        (dropped(rules=None), "confirmed"),
        (dropped(rules=False), "possible"),  # no rules: a full queue of the interface's, say
        (dropped().replace(client=runs.run().client.replace(deltas=None, before=None)), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_what_never_left_this_host(run: RunResult, expected: str) -> None:
    assert alone("own_firewall", run).verdict == expected


def test_it_is_named_and_no_listener_is_missed() -> None:
    for run in (runs.own_reject(), dropped()):
        said = judge(run)
        assert said.cause == "own_firewall"
        assert said.side == "client"
        assert "This host" in said.summary
    assert {s.cause: s.verdict for s in judge(runs.own_reject()).suspects}["nobody_listening"] == "ruled_out"


def test_two_snapshots_never_say_more_than_possible() -> None:
    before = runs.snapshot(counters=runs.COUNTERS)
    risen = {name: value + 20 * ("DestUnreachs" in name) for name, value in runs.COUNTERS.items()}
    after = before.replace(taken_at_s=3.0, counters=risen)
    said = judge_snapshots(before, after)
    assert said.cause is None
    assert {s.cause: s.verdict for s in said.suspects}["own_firewall"] == "possible"
    assert judge_snapshots(before, before.replace(taken_at_s=3.0)).summary.startswith("No limit is met.")
