"""Repeated runs on the terminal: a line each, then how far each figure varied, and one verdict in full."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from estab.records import RunResult
from estab.records.comparison import Figure
from estab.report.answer.run import answer_run
from estab.report.compare_words import label, percent, value
from estab.report.layout import columns, glyphs_for, heading, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds
from estab.words import plural


def render_run(run: RunResult, at: int, number: int, console: Console) -> None:
    """One run in one line, as soon as it is over."""
    glyphs = glyphs_for(console)
    funnel = run.funnel
    parts = [f"run {at} of {number}", f"{count(funnel.connected)} of {count(funnel.attempted)} connected"]
    if run.requests and run.requests.per_second is not None:
        parts.append(f"{count(run.requests.per_second)} requests/s")
    latency = run.latency.request_us or run.latency.connect_us
    if latency and latency.p99 is not None:
        parts.append(f"p99 {seconds(latency.p99 / 1e6, glyphs.micro)}")
    failed = sum(failure.count for failure in run.failures)
    parts += [plural(failed, "failure")] if failed else []
    print_trimmed(console, line(glyphs.dot.join([*parts, clean(run.cause or "no cause")])))


def render_repeats(runs: Sequence[RunResult], figures: Sequence[Figure], number: int, console: Console) -> None:
    """How far the figures of the runs lie apart, and the first verdict that names a cause."""
    glyphs = glyphs_for(console)
    if len(runs) < number:
        print_trimmed(
            console, line(f"Interrupted: {len(runs)} of {number} runs are whole and kept.", style="bold yellow")
        )
    if not runs:
        return
    print_trimmed(console, heading(f"Over {plural(len(runs), 'run')}"))
    table = columns(header=True)
    table.add_column("", no_wrap=True)
    for title in ("median", "least", "most", "apart"):
        table.add_column(title, justify="right", no_wrap=True)
    for figure in figures:
        _row(table, figure, glyphs.micro)
    print_trimmed(console, indented(table))
    named = [run for run in runs if run.diagnosis and run.diagnosis.cause]
    if named:
        print_trimmed(console, line(f"\n{len(named)} of {plural(len(runs), 'run')} with a cause. The first of them:"))
        answer_run(named[0], console)
    else:
        print_trimmed(console, line("\nNo cause in any run.", style="bold green"))


def _row(table: Table, figure: Figure, micro: str) -> None:
    known = [amount for amount in figure.a_runs if amount is not None]
    if not known or not any(known):
        return
    apart = "" if min(known) == max(known) else percent(max(known) / min(known) - 1) if min(known) > 0 else ""
    table.add_row(
        label(figure), *(value(figure, amount, micro) for amount in (figure.a, min(known), max(known))), Text(apart)
    )
