"""A verdict on one screen: the cause, its evidence, what to do and what not, what else was looked at."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from estab.records import Diagnosis, Remedy, Suspect
from estab.report.answer.shape import Row, Tone, cut, joined, lines_of, lowered, short
from estab.report.layout import Glyphs
from estab.report.verdict import leads
from estab.report.words import clean
from estab.words import plural

_LINES = 4
_POSSIBLE = 2


def tone(diagnosis: Diagnosis, *, failed: bool) -> Tone:
    """Good where nothing is wrong; bad where a cause is named; unsure where something is open."""
    if diagnosis.cause is not None:
        return "bad"
    return "unsure" if failed or any(s.verdict == "possible" for s in diagnosis.suspects) else "good"


def titled(diagnosis: Diagnosis) -> tuple[str, str]:
    """The headline's name, as `accept_queue_overflow (server)` or none, and what it says."""
    summary = clean(diagnosis.summary)
    if diagnosis.cause is not None:
        side = f" ({diagnosis.side})" if diagnosis.side else ""
        return f"{clean(diagnosis.cause)}{side}", lowered(summary)
    return "", summary


def evidence(diagnosis: Diagnosis, glyphs: Glyphs) -> Iterator[Row]:
    """What the cause is known by; where none is named what speaks for each that is possible, and what would tell."""
    if (suspect := diagnosis.accused) is not None:
        facts = [fact.text or f"{fact.field} {fact.value}" for fact in suspect.evidence]
        yield "Why", Text(joined(facts, 2, glyphs))
        return
    possible = [suspect for suspect in diagnosis.suspects if suspect.verdict == "possible"]
    for number, suspect in enumerate(possible[:_POSSIBLE]):
        summary = cut(lowered(clean(suspect.summary)), _LINES, glyphs)
        yield "" if number else "Possible", Text.assemble((clean(suspect.cause), "bold"), f": {summary}")
    if len(possible) > _POSSIBLE:
        yield "", Text(f"{len(possible) - _POSSIBLE} more (-v)", style="dim")


def advice(diagnosis: Diagnosis, glyphs: Glyphs) -> Iterator[Row]:
    """What to do, and what does nothing; where nothing is confirmed how to find out."""
    suspect = diagnosis.accused
    if suspect is None:
        yield from _listed("Look", leads(diagnosis), glyphs)
        return
    yield from _listed("Do", [remedy for remedy in suspect.remedies if remedy.works], glyphs)
    yield "Not", Text(joined([short(r.command) for r in suspect.remedies if not r.works], 2, glyphs), style="yellow")


def _listed(label: str, remedies: list[Remedy], glyphs: Glyphs) -> Iterator[Row]:
    """Each on a line or two of its own, to be pasted, as long as there is room."""
    room = _LINES
    for number, remedy in enumerate(remedies):
        command = cut(remedy.command, 2, glyphs)
        room -= lines_of(command)
        if room < 0:
            yield "", Text(f"{len(remedies) - number} more (-v)", style="dim")
            return
        yield "" if number else label, Text(command, style="green")


def others(diagnosis: Diagnosis, hint: str) -> Row:
    """How the other suspects stand, and where all of it is."""
    beside = [suspect for suspect in diagnosis.suspects if suspect is not diagnosis.accused]
    parts = [f"{plural(_count(beside, 'ruled_out'), 'other cause')} ruled out"]
    if diagnosis.accused is not None and (possible := _count(beside, "possible")):
        parts.append(f"{possible} possible")
    parts.append(f"{_count(beside, 'not_observed')} not seen")
    return "Seen", Text.assemble(", ".join(parts), (f"   {hint}", "dim"))


def _count(suspects: list[Suspect], verdict: str) -> int:
    return sum(suspect.verdict == verdict for suspect in suspects)
