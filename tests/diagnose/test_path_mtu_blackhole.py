"""Big segments that vanish: told from loss of all data by a request in small segments."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import RunResult


def _answers_come_in_part(pieces: int = 8, **fields: Any) -> RunResult:
    """What the client asks is acknowledged; the ends of answers come (TCPOFOQueue), and their beginnings do not."""
    client = {"deltas": runs.deltas(TCPOFOQueue=pieces)}
    return runs.big_lost(**{"again": 0, "left": 0, "client": client, "server": runs.remote(), **fields})


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.big_lost(), "confirmed"),
        (runs.big_lost(server=runs.remote()), "confirmed"),  # the client alone can try it
        (runs.big_lost(again=0, left=0, answers=16, left_there=8), "confirmed"),
        (runs.big_lost(full=True), "ruled_out"),
        (runs.big_lost(small=False), "ruled_out"),
        (runs.big_lost(again=0, left=0), "ruled_out"),
        (runs.big_lost(size_probe=None), "not_observed"),
        (runs.big_lost(size_probe=None, size=536), "ruled_out"),
        (runs.big_lost(stalled=0), "ruled_out"),
        # The answers, from the client alone.
        (_answers_come_in_part(), "possible"),
        (_answers_come_in_part(4), "ruled_out"),
        (_answers_come_in_part(full=True), "ruled_out"),
        (_answers_come_in_part(small=False), "ruled_out"),
        (_answers_come_in_part(size_probe=None), "not_observed"),
        (_answers_come_in_part(server=runs.local()), "ruled_out"),  # it sent nothing again
        (runs.run(), "ruled_out"),
    ],
)
def test_segments_of_a_size(run: RunResult, expected: str) -> None:
    assert alone("path_mtu_blackhole", run).verdict == expected


def test_the_size_explains_the_loss() -> None:
    said = judge(runs.big_lost())
    assert said.cause == "path_mtu_blackhole"
    assert {s.cause: s.verdict for s in said.suspects}["path_data_loss"] == "possible"
    assert judge(runs.big_lost(small=False)).cause == "path_data_loss"
