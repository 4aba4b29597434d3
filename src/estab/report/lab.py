"""What the lab saw, on the terminal: predicted beside measured, the verdict, each remedy run and marked."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.kernel.measured import extrapolated
from estab.records.lab import LabRemedy, LabResult, LabScenario
from estab.report.layout import Glyphs, columns, glyphs_for, hanging, heading, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds
from estab.words import plural

SAID = {
    "as_predicted": ("as predicted", "green"),
    "differs": ("differs from the prediction", "bold red"),
    "cannot_run": ("cannot run here", "yellow"),
    "failed": ("failed", "bold red"),
}
_SHORT = {"as_predicted": "as predicted", "differs": "differs", "cannot_run": "not here", "failed": "failed"}


def render_scenario(done: LabScenario, console: Console) -> None:
    """Prints one scenario as soon as it is over."""
    print_trimmed(console, *_scenario(done, glyphs_for(console)))


def render_end(result: LabResult, console: Console) -> None:
    """Prints what all came to: one line a scenario where there are several, the wire's own cost, the total."""
    glyphs = glyphs_for(console)
    if len(result.scenarios) > 1:
        print_trimmed(console, heading("All"))
        print_trimmed(console, indented(_overview(result)))
    print_trimmed(console, line(""))
    if result.wire is not None:
        wire = result.wire
        text = (
            f"The wire itself adds {seconds(wire.added_us / 1e6, glyphs.micro)} to a packet "
            f"(p99 {seconds(wire.added_p99_us / 1e6, glyphs.micro)}) and carries "
            f"{count(wire.packets_per_s)} packets a second."
        )
        print_trimmed(console, line(text, "dim"))
    render_caveats(result, console)
    print_trimmed(console, line(end(result, glyphs), "bold"))


def render_caveats(result: LabResult, console: Console) -> None:
    """Says where the rules were not measured, and where processes of a server of one's own could outlive the run."""
    if (said := extrapolated(result.kernel)) is not None:
        print_trimmed(console, line(said, "yellow"))
    if result.contained is False:
        text = (
            "This machine allows no PID namespace with a /proc of its own: a --server that makes a daemon of itself is "
            "ended with the run, but not where estab's own keeper of it is killed as well."
        )
        print_trimmed(console, line(text, "yellow"))


def end(result: LabResult, glyphs: Glyphs) -> str:
    """How many came as predicted, who ran them, and how long that took."""
    good = sum(done.status == "as_predicted" for done in result.scenarios)
    not_here = sum(done.status == "cannot_run" for done in result.scenarios)
    text = f"{good} of {plural(len(result.scenarios), 'scenario')} as predicted"
    text += f", {not_here} cannot run here" if not_here else ""
    who = "as root" if result.euid == 0 else "without root, in a user namespace"
    stopped = "interrupted; " if result.interrupted else ""
    return f"{stopped}{text}, {who}, in {seconds(result.seconds, glyphs.micro)}."


def _scenario(done: LabScenario, glyphs: Glyphs) -> Iterator[RenderableType]:
    said, style = SAID[done.status]
    yield Text.assemble(("\n" + done.name, "bold"), "  ", (said, style), (f"  {done.seconds:.1f} s", "dim"))
    yield indented(line(clean(done.symptom), "dim"))
    if done.why:
        yield indented(line(clean(done.why)))
    if done.ceilings:
        yield indented(ceilings(done))
    elif done.rows:
        yield indented(_rows(done))
    if done.status in ("as_predicted", "differs") and (done.cause or done.expected or done.summary):
        yield indented(_verdict(done))
    for note in done.notes:
        yield indented(line(clean(note)))
    for remedy in done.remedies:
        yield hanging(glyphs.bullet, _remedy(remedy))
    if done.control_ran:
        accused = ", ".join(done.accused_in_control)
        text = f"healthy control: accused {accused}" if accused else "healthy control: no false alarm"
        yield indented(line(text, "bold red" if accused else ""))
    for path in done.captures[:1]:
        more = f" and {len(done.captures) - 1} more" if len(done.captures) > 1 else ""
        yield indented(line(f"capture: {clean(path)}{more}", "dim"))


def _rows(done: LabScenario) -> Table:
    table = columns(header=True)
    table.add_column("")
    for name in ("predicted", "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in done.rows:
        mark = Text("") if row.agrees else Text("differs", style="bold red")
        table.add_row(Text(clean(row.what)), Text(clean(row.predicted)), Text(clean(row.measured)), mark)
    return table


def ceilings(done: LabScenario) -> Table:
    """How many connections a flow table of each size let through."""
    table = columns(header=True)
    for name in ("size set", "ceiling found"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for point in done.ceilings:
        wrong = "" if point.found == point.predicted else f"predicted {count(point.predicted)}"
        mark = Text(wrong, style="bold red")
        table.add_row(count(point.size), "not measured" if point.found is None else count(point.found), mark)
    return table


def _verdict(done: LabScenario) -> Text:
    expected, got = done.expected or "no cause", done.cause or "no cause"
    if expected == got:
        return Text.assemble("verdict: ", (got, "bold"), f", as expected. {clean(done.summary)}")
    if done.only_possible:
        said = f" is possible, which is right here: {clean(done.only_possible)}."
        return Text.assemble("verdict: ", (expected, "bold"), said)
    return Text.assemble(("verdict: ", ""), (f"{got}, expected {expected}", "bold red"), f". {clean(done.summary)}")


def _remedy(remedy: LabRemedy) -> Text:
    marked = {True: "works", False: "does nothing", None: "not tried"}[remedy.works]
    style = "green" if remedy.works else "yellow"
    parts: list[str | tuple[str, str]] = [(f"{marked}: ", style), clean(remedy.command)]
    if remedy.text:
        parts.append((f"  ({clean(remedy.text)})", "dim"))
    if remedy.works is not None and remedy.works != remedy.claimed:
        parts.append((f"  but estab says that it {'works' if remedy.claimed else 'does nothing'}", "bold red"))
    return Text.assemble(*parts)


def _named(done: LabScenario) -> str:
    if done.only_possible:
        return "possible"
    return "confirmed" if done.cause and done.cause == done.expected else done.cause or "none"


def _overview(result: LabResult) -> Table:
    table = columns(header=True)
    for name in ("scenario", "", "verdict", "figures", "remedies", "control"):
        right = name in ("figures", "remedies")
        table.add_column(name, no_wrap=name != "verdict", justify="right" if right else "left", overflow="fold")
    for done in result.scenarios:
        style = SAID[done.status][1]
        agree = sum(row.agrees for row in done.rows)
        held = sum(remedy.works == remedy.claimed for remedy in done.remedies)
        ran = done.status in ("as_predicted", "differs")
        table.add_row(
            done.name,
            Text(_SHORT[done.status], style=style),
            _named(done) if ran else "",
            f"{agree}/{len(done.rows)}" if done.rows else "",
            f"{held}/{len(done.remedies)}" if done.remedies else "",
            ("accuses" if done.accused_in_control else "clean") if done.control_ran else "",
        )
    return table
