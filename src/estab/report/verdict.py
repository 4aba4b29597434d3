"""The verdict in one sentence with its evidence, what to do, and what does nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from estab.records import Diagnosis, Remedy, RunResult, Suspect
from estab.report.layout import Glyphs, hanging, heading, indented, line
from estab.report.ledger import ledger
from estab.report.words import clean


def verdict(run: RunResult, glyphs: Glyphs) -> Iterator[RenderableType]:
    """What the judge says of a run, but for the ledger of the others."""
    diagnosis = run.diagnosis
    if diagnosis is None:
        yield heading("Verdict")
        yield indented(line("This run has not been judged: estab diagnose does.", style="dim"))
        return
    yield from diagnosed(diagnosis, glyphs, failed=bool(run.failures))


def diagnosed(diagnosis: Diagnosis, glyphs: Glyphs, *, failed: bool) -> Iterator[RenderableType]:
    """A diagnosis by itself, of a run or of snapshots: the cause, its evidence, what to do.

    `failed`: there were failures that want a cause.
    """
    suspect = diagnosis.accused
    yield _title(diagnosis, failed)
    yield indented(line(clean(diagnosis.summary)))
    if suspect is not None:
        yield from _evidence(suspect, glyphs)
        yield from _remedies(suspect)
    elif found := leads(diagnosis):
        yield heading("To find out")
        yield from _listed(found, "green")


def other_suspects(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """The ledger of all who are not accused."""
    suspect = diagnosis.accused
    yield from ledger([s for s in diagnosis.suspects if s is not suspect], "Other suspects" if suspect else "Suspects")


def _title(diagnosis: Diagnosis, failed: bool) -> Text:
    title = heading("Verdict  ")
    if diagnosis.cause is not None:
        title.append(clean(diagnosis.cause), style="bold red")
        if diagnosis.side is not None:
            title.append(f"  (on the {diagnosis.side})" if diagnosis.side == "path" else f"  (at the {diagnosis.side})")
    elif any(s.verdict == "possible" for s in diagnosis.suspects):
        title.append("no cause confirmed", style="bold yellow")
    elif failed:
        title.append("no known cause", style="bold yellow")
    else:
        title.append("no cause", style="bold green")
    return title


def _evidence(suspect: Suspect, glyphs: Glyphs) -> Iterator[RenderableType]:
    for fact in suspect.evidence:
        text = Text(clean(fact.text or f"{fact.field} {fact.value}"))
        text.append(f"  [{clean(fact.source)}]", style="dim")
        yield hanging(glyphs.bullet, text, by=4)


def _remedies(suspect: Suspect) -> Iterator[RenderableType]:
    works = [r for r in suspect.remedies if r.works]
    nothing = [r for r in suspect.remedies if not r.works]
    if works:
        yield heading("What to do")
        yield from _listed(works, "green")
    if nothing:
        yield heading("What does nothing")
        yield from _listed(nothing, "yellow")


def _listed(remedies: list[Remedy], style: str) -> Iterator[RenderableType]:
    for remedy in remedies:
        yield indented(line(clean(remedy.command), style=style))
        yield indented(line(clean(remedy.why), style="dim"), by=6)


def leads(diagnosis: Diagnosis) -> list[Remedy]:
    """Nothing is confirmed: the first thing to do about each possible suspect, without the rest."""
    unsure = [suspect for suspect in diagnosis.suspects if suspect.verdict == "possible" and suspect.remedies]
    return [suspect.remedies[0].replace(why=f"{suspect.cause}: {suspect.remedies[0].why}") for suspect in unsure]
