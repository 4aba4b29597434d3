"""Data that nobody acknowledges: figures of Linux 6.18. A program that hangs looks the same to its client."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.data_path import asks_for_probe
from estab.diagnose.judge import judge
from estab.records import RunResult

OVERFLOW = runs.deltas(ListenDrops=9)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.data_lost(), "confirmed"),
        (runs.data_lost(again=5, left=5), "confirmed"),
        (runs.data_lost(again=4), "ruled_out"),  # most was acknowledged: the program is slow
        (runs.data_lost(again=0, left=0), "ruled_out"),
        (runs.data_lost(left=4), "possible"),  # the counters may be others'
        (runs.data_lost(server=runs.remote()), "possible"),  # its host may be gone
        (runs.data_lost(syns=30), "confirmed"),  # timers of SYNs are none of data
        (runs.data_lost(syn_retransmits={"0": 6, "1": 2}), "possible"),
        (runs.data_lost(stalled=0), "ruled_out"),
        # The answers.
        (runs.data_lost(again=0, left=0, answers=16, left_there=8), "confirmed"),
        (runs.data_lost(again=0, left=0, answers=16, left_there=4), "possible"),
        (runs.data_lost(again=0, left=0, answers=4, left_there=8), "ruled_out"),
        # A queue that overflows drops the handshake's last ACK: the client sends into nothing.
        (runs.data_lost(server=runs.local(deltas=OVERFLOW)), "ruled_out"),
        (runs.data_lost(client={"deltas": None}, server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_data_that_is_not_acknowledged(run: RunResult, expected: str) -> None:
    assert alone("path_data_loss", run).verdict == expected


def test_our_own_workers_are_not_blamed_for_it() -> None:
    late = runs.data_lost().client.replace(workers=[runs.worker(worst_lag_ms=900.0)])
    said = judge(runs.data_lost().replace(client=late))
    assert (said.cause, said.side) == ("path_data_loss", "path")
    slow = judge(runs.data_lost(again=0, left=0).replace(client=late.replace(deltas=runs.deltas())))
    assert slow.cause is None  # nor without it: eight answers are taken before the clock is looked at


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.data_lost(size=537), True),
        (runs.data_lost(size=536), False),
        (runs.data_lost(size=4000, again=0, left=0), False),
        (runs.data_lost(size=4000, again=0, left=0, answers=16), True),
        (runs.data_lost(size=4000, again=0, client={"deltas": runs.deltas(TCPOFOQueue=5)}), True),
        (runs.run(), False),
    ],
)
def test_when_smaller_segments_are_tried(run: RunResult, expected: bool) -> None:
    assert asks_for_probe(run) is expected


def test_how_a_connection_fared_over_time() -> None:
    others = runs.stall().replace(connection="10.0.0.9:40111 -> 192.0.2.7:5000", total_retrans=2)
    looks = [runs.stall().replace(at_s=at_s, total_retrans=again) for at_s, again in ((1.6, 2), (2.3, 3), (3.9, 4))]
    data = runs.data_lost()
    followed = data.replace(client=data.client.replace(resending=[others, *looks]))
    told = [line.text for line in alone("path_data_loss", followed).evidence]
    assert (
        "10.0.0.9:40112 -> 192.0.2.7:5000 sent data again 4 times, in segments of up to 1,448 bytes: from 1.6 to 3.9 s "
        "after the start 0 bytes were acknowledged, and its peer was last heard at 1.2 s"
    ) in told
    once = data.replace(client=data.client.replace(resending=[others]))
    assert alone("path_data_loss", once) == alone("path_data_loss", data)
