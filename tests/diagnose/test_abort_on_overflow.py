from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.resets import FIN_FIRST, mixed

from estab.records import RunResult


def aborting(value: int | None, **counters: int) -> Any:
    sysctls = {"net.ipv4.tcp_abort_on_overflow": None if value is None else [value]}
    return runs.local(runs.watch(drops=9), deltas=runs.deltas(**counters), before=runs.snapshot(sysctls=sysctls))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.aborted(), "confirmed"),
        (runs.aborted(failures=[]), "ruled_out"),
        (runs.aborted(error_orders=FIN_FIRST), "ruled_out"),
        (runs.aborted(failures=mixed(20, 21)), "possible"),
        (runs.aborted(server=aborting(0, EmbryonicRsts=9, ListenOverflows=9)), "ruled_out"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=1, ListenOverflows=1)), "confirmed"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=0, ListenOverflows=9)), "ruled_out"),
        (runs.aborted(server=aborting(1, EmbryonicRsts=9, ListenOverflows=0)), "ruled_out"),
        (runs.aborted(server=aborting(None, EmbryonicRsts=9, ListenOverflows=9)), "not_observed"),
        (runs.aborted(server=runs.remote()), "not_observed"),
    ],
)
def test_resets_by_sysctl(run: RunResult, expected: str) -> None:
    assert alone("abort_on_overflow", run).verdict == expected


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("abort_on_overflow", runs.run()).verdict == "ruled_out"
