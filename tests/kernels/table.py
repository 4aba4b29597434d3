"""The tables: kernels and rules, kernels and scenarios, and what differs. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from tests.kernels.results import KernelRun, Mark, Outcome

from estab.words import plural

SIGNS: dict[Mark, str] = {"as_predicted": "ok", "differs": "DIFFERS", "cannot_run": "can't run"}


def lines(runs: Sequence[KernelRun]) -> list[str]:
    """Both tables, then a line for each thing that is not as predicted."""
    ran = [run for run in runs if run.version]
    return [
        *_grid("rule", ran, lambda run: run.rules, key=int),
        *_grid("scenario", ran, lambda run: run.scenarios, key=str),
        *_reasons(runs),
        totals(runs),
    ]


def head(run: KernelRun) -> str:
    """A kernel in few words: "6.1.192 cloud"."""
    return f"{run.version} {run.name.partition('-')[0]}"


def totals(runs: Sequence[KernelRun]) -> str:
    """How many of each mark."""
    marks = [outcome.mark for run in runs for outcome in (*run.rules.values(), *run.scenarios.values())]
    counts = ", ".join(f"{marks.count(mark)} {words}" for mark, words in WORDS.items())
    return f"{plural(sum(bool(run.version) for run in runs), 'kernel')}: {counts}"


WORDS: dict[Mark, str] = {"as_predicted": "as predicted", "differs": "differing", "cannot_run": "can't run"}


def _grid(
    what: str, runs: Sequence[KernelRun], of: Callable[[KernelRun], dict[str, Outcome]], key: Callable[[str], object]
) -> list[str]:
    names = sorted({name for run in runs for name in of(run)}, key=key)  # type: ignore[arg-type]
    if not names:
        return []
    cells = [[what, *map(head, runs)], *([name, *(_sign(of(run).get(name)) for run in runs)] for name in names)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [*("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells), ""]


def _sign(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    return SIGNS[outcome.mark] + (f" ({outcome.attempts} attempts)" if outcome.attempts > 1 else "")


def _reasons(runs: Sequence[KernelRun]) -> list[str]:
    told = [f"{run.name}: {run.why}" for run in runs if run.why]
    for run in runs:
        rows = [*((f"rule {rule}", found) for rule, found in run.rules.items()), *run.scenarios.items()]
        told += [
            f"{head(run)}, {name}: {found.mark}: {found.why}" for name, found in rows if found.mark != "as_predicted"
        ]
    return [*(textwrap.shorten(line, 300, placeholder=" …") for line in told), ""] if told else []
