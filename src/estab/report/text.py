"""All of a run on the terminal: what was asked, the verdict, what to do, what happened, who else was suspected."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records import Diagnosis, RunResult
from estab.report.asked import asked
from estab.report.layout import Glyphs, glyphs_for, line
from estab.report.measured import interrupted, measured, stopped
from estab.report.program import program_seen
from estab.report.trimmed import print_trimmed
from estab.report.verdict import diagnosed, other_suspects, verdict
from estab.report.words import clean, seconds
from estab.words import plural


def render(run: RunResult, console: Console) -> None:
    """Prints the whole report of a run on `console`, no line longer than it is wide and none with blanks at its end."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_parts(run, console, glyphs))


def render_diagnosis(diagnosis: Diagnosis, title: str, console: Console) -> None:
    """Prints a verdict that belongs to no run, such as that on snapshots; `title` says what was judged, in a line."""
    glyphs = glyphs_for(console)
    judged = [*diagnosed(diagnosis, glyphs, failed=False), *other_suspects(diagnosis)]
    print_trimmed(console, line(clean(title), style="bold"), *judged)


def _parts(run: RunResult, console: Console, glyphs: Glyphs) -> Iterator[RenderableType]:
    if run.interrupted:
        yield interrupted(run)
    if run.stopped:
        yield stopped(run)
    yield _asked(run, console, glyphs)
    yield _where(run, glyphs)
    yield from verdict(run, glyphs)
    yield from measured(run, console, glyphs)
    if run.program is not None:
        yield from program_seen(run.program)
    if run.diagnosis is not None:
        yield from other_suspects(run.diagnosis)


def _asked(run: RunResult, console: Console, glyphs: Glyphs) -> RenderableType:
    """The command and what was asked of it; what finds no room goes on beneath, each part whole."""
    lines = [""]
    command = f"estab {clean(run.command)}"
    for part in asked(run):
        longer = lines[-1] + glyphs.dot + part if lines[-1] else part
        if lines[-1] and len(command) + 2 + len(longer) > console.width:
            lines.append(part)
        else:
            lines[-1] = longer
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(command, style="bold"), Text("\n".join(lines)))
    return table


def _where(run: RunResult, glyphs: Glyphs) -> Text:
    """Which engine, on what, for how long."""
    host = run.host
    program = run.program
    parts = [f"{clean(run.engine).capitalize()} engine" if program is None else clean(program.seen).capitalize()]
    parts += [plural(host.cores, "core")] if host.cores is not None else []
    parts += [f"Linux {clean(host.kernel)}"] if host.kernel else []
    parts += [clean(host.hostname)] if host.hostname else []
    return line(glyphs.dot.join([*parts, f"took {seconds(run.elapsed_s, glyphs.micro)}"]), style="dim")
