"""From what guests wrote to records and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.kernels import inside, results, table
from tests.kernels.catalogue import Kernel
from tests.kernels.outcomes import rules_of, run_of
from tests.kernels.results import KernelRun, Outcome

KERNEL = Kernel("cloud-6.1", "cloud")
FACTS = {"version": "6.1.192", "release": "6.1.0-56-cloud-amd64", "build": "#1 Debian 6.1.192-2", "hz": 250}


def ran(test: str, outcome: str = "passed", why: str = "", attempts: int = 1) -> dict[str, Any]:
    return {"test": {"id": f"test_x.py::{test}", "outcome": outcome, "why": why, "attempts": attempts}}


ROWS = [
    {"kernel": FACTS},
    ran("test_rule_9_x[5]"),
    ran("test_rules_9_to_12_the_table[5]", "failed", "AssertionError: assert 5 == 6"),
    ran("test_rule_22_x", "skipped", "no tcp_tw_reuse_delay"),
    ran("test_rule_6_x", attempts=2),
    ran("test_two_namespaces"),
    {"scenario": {"name": "healthy", "status": "as_predicted", "why": "", "attempts": 1, "seconds": 1.5}},
    {"scenario": {"name": "cookie_reset", "status": "failed", "why": "OSError: x", "attempts": 2, "seconds": 1.5}},
]


@pytest.mark.parametrize(
    ("test", "rules"),
    [
        ("test_x.py::test_rule_3_every[1]", ["3"]),
        ("test_x.py::test_rules_2_and_3[5]", ["2", "3"]),
        ("test_x.py::test_rules_9_to_12_the_table[4-4]", ["9", "10", "11", "12"]),
        ("test_x.py::test_two_namespaces_joined", []),
        ("test_x.py::test_ruler_4", []),
    ],
)
def test_a_test_is_named_after_its_rules(test: str, rules: list[str]) -> None:
    assert rules_of(test) == rules


def test_a_rule_is_as_its_worst_test_and_says_why() -> None:
    run = run_of(KERNEL, ROWS)
    assert (run.name, run.version, run.hz, run.why) == ("cloud-6.1", "6.1.192", 250, "")
    assert list(run.rules) == ["6", "9", "10", "11", "12", "22"]
    why = "1 of 2: test_rules_9_to_12_the_table[5]: AssertionError: assert 5 == 6"
    assert run.rules["9"] == Outcome("differs", why, tests=2)
    assert run.rules["22"].mark == "cannot_run"
    assert run.rules["6"] == Outcome("as_predicted", tests=1, attempts=2)
    assert run.scenarios["cookie_reset"] == Outcome("differs", "OSError: x", attempts=2)
    assert not results.as_predicted([run])


def test_a_guest_that_was_lost_keeps_what_it_wrote() -> None:
    run = run_of(KERNEL, [*ROWS[:2], {"lost": "Kernel panic"}])
    assert run.why == "Kernel panic"
    assert run.rules["9"].mark == "as_predicted"
    assert not results.as_predicted([run])


def test_a_line_that_was_cut_off_is_none() -> None:
    assert list(inside.read_lines('{"kernel": {}}\n{"test": {"id"')) == [{"kernel": {}}]


def test_the_tables_name_each_kernel_and_each_reason() -> None:
    lines = table.lines([run_of(KERNEL, ROWS), KernelRun("uml-6.1", "user-mode-linux 6.1um4", why="no cc here")])
    assert lines[0].split() == ["rule", "6.1.192", "cloud"]
    assert "6     ok (2 attempts)" in lines
    assert "9     DIFFERS" in lines
    assert "22    can't run" in lines
    assert any(line.startswith("6.1.192 cloud, rule 9: differs: 1 of 2: test_rules_9_to_12") for line in lines)
    assert "uml-6.1: no cc here" in lines
    assert lines[-1] == "1 kernel: 2 as predicted, 5 differing, 1 can't run"


def test_what_was_not_run_again_stays_for_the_same_build(tmp_path: Path) -> None:
    first, file = run_of(KERNEL, ROWS), tmp_path / "measured.json"
    again = run_of(KERNEL, [{"kernel": FACTS}, ran("test_rule_9_x")])
    results.write(results.merged([first], [again]), file)
    (kept,) = results.read(file)
    assert kept.rules["9"].mark == "as_predicted"
    assert kept.scenarios == first.scenarios
    newer = run_of(KERNEL, [{"kernel": {**FACTS, "build": "#1 Debian 6.1.193-1"}}, ran("test_rule_9_x")])
    (only,) = results.merged([kept], [newer])
    assert list(only.rules) == ["9"]
    lost = KernelRun("cloud-6.1", "x", why="no mirror")
    assert results.merged([kept], [lost]) == [kept]
