"""The scenarios that there are, on the terminal: one in a few lines, or one with all its settings."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records.lab import LabEntry, LabList, LabSetting
from estab.report.layout import columns, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, setting_value


def render_list(scenarios: LabList, console: Console, *, settings: bool) -> None:
    """Prints the scenarios, with each one's typed settings where `settings` is true, and their names otherwise."""
    for number, entry in enumerate(scenarios.scenarios):
        if number:
            print_trimmed(console, line(""))
        print_trimmed(console, *_entry(entry, settings))
    print_trimmed(console, line(""))
    if not settings:
        print_trimmed(console, line("estab lab list NAME tells what its settings take and mean.", "dim"))
    print_trimmed(console, line("estab lab run NAME --set KEY=VALUE plays it with another.", "dim"))


def _entry(entry: LabEntry, settings: bool) -> Iterator[RenderableType]:
    takes = f"{entry.seconds:.0f} s" if entry.seconds else "-"
    cause = f"cause {entry.cause}, " if entry.cause else "no cause, "
    where = f"{'' if entry.cause == entry.name else cause}side {entry.side}, takes {takes}"
    yield Text.assemble((entry.name, "bold"), (f"  {where}", "dim"))
    yield indented(line(clean(entry.symptom)))
    if entry.why_not:
        yield indented(line(f"cannot run here: {clean(entry.why_not)}", "yellow"))
    if settings and entry.settings:
        yield indented(_table(entry.settings))
    elif entry.settings:
        defaults = (f"{setting.key}={setting_value(setting.kind, setting.default)}" for setting in entry.settings)
        yield indented(line("--set " + " ".join(defaults), "dim"))


def _table(settings: list[LabSetting]) -> Table:
    table = columns(header=True)
    for name in ("--set", "default", "takes", "what it is"):
        table.add_column(name, no_wrap=name in ("--set", "default"))
    for setting in settings:
        table.add_row(
            setting.key, setting_value(setting.kind, setting.default), Text(setting.takes), Text(clean(setting.text))
        )
    return table
