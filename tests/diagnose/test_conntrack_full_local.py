from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import TURNED_AWAY, lost

from estab.records import RunResult


def tracked(before: Any, after: Any, **fields: Any) -> RunResult:
    return lost(150, client={**runs.sent_again(300), "before": before, "after": after}, **fields)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (tracked(runs.conntrack(7), runs.conntrack(7)), "ruled_out"),
        (tracked(runs.conntrack(7), runs.conntrack(8)), "confirmed"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 65_535, 65_536)), "ruled_out"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 65_536, 65_536)), "confirmed"),
        (tracked(runs.conntrack(7), runs.conntrack(7, 99, 0)), "ruled_out"),  # no limit
        (tracked(runs.snapshot(), runs.conntrack(900)), "ruled_out"),  # since boot: no evidence
        (tracked(runs.snapshot(), runs.snapshot()), "not_observed"),
        (tracked(runs.conntrack(None, None), runs.conntrack(None, None)), "not_observed"),
        (tracked(runs.conntrack(7), runs.conntrack(8), server=TURNED_AWAY), "possible"),
        (runs.run(client={"before": runs.conntrack(0), "after": runs.conntrack(9)}), "ruled_out"),
    ],
)
def test_this_hosts_own_table(run: RunResult, expected: str) -> None:
    assert alone("conntrack_full_local", run).verdict == expected


def test_the_servers_table_is_the_servers_side() -> None:
    server = runs.untouched(250, before=runs.conntrack(0), after=runs.conntrack(300))
    suspect = alone("conntrack_full_local", lost(150, server=server))
    assert (suspect.verdict, suspect.side) == ("confirmed", "server")


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("conntrack_full_local", runs.run()).verdict == "ruled_out"
