"""The parts of docs/kernel.md that come of `make test-kernels`: the kernels, and what was measured on which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from docs.generate.causes import filled
from tests.kernels import results
from tests.kernels.reasons import UNMEASURED, reason
from tests.kernels.results import KernelRun, Mark, Outcome
from tests.kernels.table import WORDS

from estab.kernel.rules import kernel_version, syn_queue, syn_retries, time_wait
from estab.kernel.rules.kernel_version import KernelVersion

RULES = range(1, 32)
_HOW = {"uml": "user-mode Linux", "cloud": "under QEMU", "host": "as it is"}
_TABLE = "#where-they-were-measured"
_CELLS: dict[Mark, str] = {"as_predicted": "yes", "differs": "**no**", "cannot_run": "can't run"}

# Of the rules that changed with a version: what a kernel does.
_SIDES: dict[int, Callable[[KernelVersion], str]] = {
    6: lambda kernel: "waits capped by tcp_rto_max_ms" if kernel.at_least(6, 19) else "waits not capped",
    9: lambda kernel: "`qlen > B`" if syn_queue.fits_backlog(5, kernel) == 6 else "`qlen >= B`",
    17: lambda kernel: f"tcp_syn_linear_timeouts {syn_retries.default_linear_timeouts(kernel) or 'absent'}",
    20: lambda kernel: "random steps" if kernel.at_least(7, 1) else "steps of two",
    22: lambda kernel: (
        "tcp_tw_reuse_delay" if time_wait.reuse_after_s(kernel).exact else "reused in the next second of the clock"
    ),
    28: lambda kernel: "has reasons" if kernel.at_least(5, 17) else "has none",
}


def pages() -> dict[str, str]:
    """`kernel.md` with its made parts."""
    runs = [run for run in results.read() if run.version]
    made = {"kernels": _kernels(runs), "scenarios": _scenarios(runs), "differs": _apart(runs)}
    made |= {f"rule {rule}": _measured(rule, runs) for rule in RULES}
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


def _measured(rule: int, runs: Sequence[KernelRun]) -> str:
    """On which kernels a rule was measured, and on each side of a change; or why on none."""
    by_mark = {mark: [run for run in runs if _mark(run, rule) == mark] for mark in WORDS}
    agreeing = by_mark["as_predicted"]
    if not agreeing:
        return f"Not measured: {UNMEASURED[rule]}."
    parts = [f"Measured on {_on(rule, agreeing, len(runs))}"]
    parts += [f"{WORDS[mark]} on {_names(by_mark[mark])}" for mark in ("differs", "cannot_run") if by_mark[mark]]
    return "; ".join(parts) + "."


def _mark(run: KernelRun, rule: int) -> Mark | None:
    outcome = run.rules.get(str(rule))
    return outcome.mark if outcome else None


def _on(rule: int, runs: Sequence[KernelRun], number: int) -> str:
    """The kernels by what they do, where that changed with a version."""
    if (side_of := _SIDES.get(rule)) is None:
        return f"[all {number} kernels]({_TABLE})" if len(runs) == number else _names(runs)
    sides: dict[str, list[KernelRun]] = defaultdict(list)
    for run in runs:
        sides[side_of(kernel_version.parse(run.version))].append(run)
    return "; ".join(f"{_names(alike)} ({side})" for side, alike in sides.items())


def _names(runs: Sequence[KernelRun]) -> str:
    return ", ".join(name(run) for run in runs)


def _scenarios(runs: Sequence[KernelRun]) -> str:
    """A row for each scenario, a column for each kernel."""
    rows = sorted({scenario for run in runs for scenario in run.scenarios})
    lines = [["scenario", *map(name, runs)], ["---"] * (len(runs) + 1)]
    lines += [[row, *(_cell_of(run.scenarios.get(row)) for run in runs)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell_of(outcome: Outcome | None) -> str:
    return "" if outcome is None else _CELLS[outcome.mark]


def _apart(runs: Sequence[KernelRun]) -> str:
    """A line for each thing that is not as predicted, and on which kernels."""
    kernels: dict[tuple[str, str], list[KernelRun]] = defaultdict(list)
    for run in runs:
        for what, outcome in (*((f"rule {rule}", found) for rule, found in run.rules.items()), *run.scenarios.items()):
            if outcome.mark != "as_predicted":
                kernels[what, reason(run, what, outcome)].append(run)
    rows = (f"| {what} | {_names(found)} | {_cell(why)} |" for (what, why), found in kernels.items())
    return "| what | not on | why |\n|---|---|---|\n" + "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def name(run: KernelRun) -> str:
    """Its version; that of a user-mode Linux with a mark, for there may be two of one version."""
    return f"{run.version}{' (UML)' if _kind(run) == 'uml' else ''}"


def _kind(run: KernelRun) -> str:
    return run.name.partition("-")[0]
