"""From what guests wrote to what came of a kernel's rules and scenarios. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.kernels.catalogue import Kernel
from tests.kernels.results import KernelRun, Mark, Outcome

# test_rule_3_…, test_rules_4_and_7_…, test_rules_9_to_12_…
_RULES = re.compile(r"::test_rules?_(\d+)(?:_(and|to)_(\d+))?")
_SCENARIO: dict[str, Mark] = {"as_predicted": "as_predicted", "cannot_run": "cannot_run"}
_TEST: dict[str, Mark] = {"passed": "as_predicted", "skipped": "cannot_run"}
# What a test says that could not make in time what the rule is about, and `ip link add` where there is no veth.
_CANNOT = ("this machine is too busy", "Unknown device type")
_SEVERITY: tuple[Mark, ...] = ("as_predicted", "cannot_run", "differs")


def run_of(kernel: Kernel, rows: Iterable[dict[str, Any]]) -> KernelRun:
    """The rows of all guests of a kernel as one record."""
    facts: dict[str, Any] = {}
    tests: dict[str, list[Outcome]] = defaultdict(list)
    scenarios: dict[str, Outcome] = {}
    why, package = [], kernel.name
    for row in rows:
        if "kernel" in row:
            facts = row["kernel"]
        elif "package" in row:
            package = row["package"]
        elif "test" in row:
            for rule in rules_of(row["test"]["id"]):
                tests[rule].append(_of_test(row["test"]))
        elif "scenario" in row:
            scenarios[row["scenario"]["name"]] = _of_scenario(row["scenario"])
        else:
            why.append(row["lost"])
    rules = {rule: _together(tests[rule]) for rule in sorted(tests, key=int)}
    return KernelRun(
        name=kernel.name, package=package, **facts, rules=rules, scenarios=dict(sorted(scenarios.items())),
        why="; ".join(dict.fromkeys(why)),
    )  # fmt: skip


def rules_of(test: str) -> list[str]:
    """The rules, by number, that a test is named after."""
    found = _RULES.search(test)
    if found is None:
        return []
    first, joint, last = found.groups()
    if joint == "to":
        return [str(rule) for rule in range(int(first), int(last) + 1)]
    return [first] if last is None else [first, last]


def _of_test(row: dict[str, Any]) -> Outcome:
    name = row["id"].partition("::")[2]
    why = f"{name}: {row['why']}" if row["why"] else ""
    mark = "cannot_run" if any(text in why for text in _CANNOT) else _TEST.get(row["outcome"], "differs")
    return Outcome(mark, why, tests=1, attempts=row["attempts"])


def _of_scenario(row: dict[str, Any]) -> Outcome:
    return Outcome(_SCENARIO.get(row["status"], "differs"), row["why"] or "", attempts=row["attempts"])


def _together(outcomes: list[Outcome]) -> Outcome:
    """Of several tests: the worst, the reason of the first of those."""
    worst = max(outcomes, key=lambda outcome: _SEVERITY.index(outcome.mark))
    alike = sum(outcome.mark == worst.mark for outcome in outcomes)
    why = f"{alike} of {len(outcomes)}: {worst.why}" if worst.why else ""
    return Outcome(worst.mark, why, tests=len(outcomes), attempts=max(outcome.attempts for outcome in outcomes))
