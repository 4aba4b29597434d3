"""The parts of docs/kernel.md that come of `make test-kernels`: the kernels, and which rule was measured on which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from docs.generate.causes import filled
from tests.kernels import results
from tests.kernels.reasons import reason
from tests.kernels.results import KernelRun, Mark, Outcome
from tests.kernels.table import WORDS

_HOW = {"uml": "user-mode Linux", "cloud": "under QEMU", "host": "as it is"}


def pages() -> dict[str, str]:
    """`kernel.md` with its made parts."""
    runs = [run for run in results.read() if run.version]
    made = {"kernels": _kernels(runs), "measured": _rules(runs), "differs": _apart(runs)}
    return {"kernel.md": filled("kernel.md", made)}


def _kernels(runs: Sequence[KernelRun]) -> str:
    head = "| kernel | package | how | HZ | rules | scenarios |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {run.version} | {run.package} | {_HOW[_kind(run)]} | {run.hz} "
        f"| {_came(run.rules)} | {_came(run.scenarios)} |"
        for run in runs
    )


def _came(outcomes: dict[str, Outcome]) -> str:
    """How many of each mark, in words."""
    marks = [outcome.mark for outcome in outcomes.values()]
    return ", ".join(f"{marks.count(mark)} {words}" for mark, words in WORDS.items() if mark in marks) or "not run"


def _rules(runs: Sequence[KernelRun]) -> str:
    names = sorted({rule for run in runs for rule in run.rules}, key=int)
    rows = (
        f"| [{rule}](#rule-{rule}) | {_with(runs, rule, 'as_predicted')} | {_with(runs, rule, 'differs')} |"
        for rule in names
    )
    return "| rule | as predicted on | differs on |\n|---|---|---|\n" + "\n".join(rows)


def _with(runs: Sequence[KernelRun], rule: str, mark: Mark) -> str:
    return ", ".join(name(run) for run in runs if rule in run.rules and run.rules[rule].mark == mark)


def _apart(runs: Sequence[KernelRun]) -> str:
    """A line for each thing that is not as predicted, and on which kernels."""
    kernels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        for what, outcome in (*((f"rule {rule}", found) for rule, found in run.rules.items()), *run.scenarios.items()):
            if outcome.mark != "as_predicted":
                kernels[what, reason(run, what, outcome)].append(name(run))
    rows = (f"| {what} | {', '.join(names)} | {_cell(why)} |" for (what, why), names in kernels.items())
    return "| what | not on | why |\n|---|---|---|\n" + "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def name(run: KernelRun) -> str:
    """Its version; that of a user-mode Linux with a mark, for there may be two of one version."""
    return f"{run.version}{' (UML)' if _kind(run) == 'uml' else ''}"


def _kind(run: KernelRun) -> str:
    return run.name.partition("-")[0]
