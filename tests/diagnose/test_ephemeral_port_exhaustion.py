"""Live connections or TIME_WAIT: of the two, whoever holds the ports is named."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.local_ports import HELD, with_ports

from estab.records import RunResult


@pytest.mark.parametrize(("run", "expected"), [(run, ephemeral) for run, ephemeral, _ in HELD])
def test_ports_held_by_live_connections(run: RunResult, expected: str) -> None:
    assert alone("ephemeral_port_exhaustion", run).verdict == expected


def test_the_time_wait_that_hold_leaves_behind_came_after_its_failures() -> None:
    assert alone("ephemeral_port_exhaustion", runs.range_full()).verdict == "confirmed"


def test_what_does_nothing_is_said() -> None:
    commands = {r.command: r.works for r in alone("ephemeral_port_exhaustion", runs.range_full()).remedies}
    assert not commands["sysctl -w net.ipv4.tcp_tw_reuse=1"]


def test_a_range_that_is_wide_already_is_not_widened() -> None:
    wide = with_ports(capacity=64_512, used=64_512, worst_source_used=64_512)
    assert not any("ip_local_port_range" in r.command for r in alone("ephemeral_port_exhaustion", wide).remedies)


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("ephemeral_port_exhaustion", runs.run()).verdict == "ruled_out"
