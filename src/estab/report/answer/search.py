"""What a search found on one screen: the number, what sets it, the last attempts, and what raises it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.text import Text

from estab.records.search import Ceiling, HighestRate, IdleTime
from estab.report.answer.shape import Row, Tone, headline, plain_headline, rows
from estab.report.answer.verdict import advice
from estab.report.idle_gaps import rest_time
from estab.report.layout import Glyphs, glyphs_for
from estab.report.search import ceiling_step, idle_step, idle_words, rate_step
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds

S = TypeVar("S")
_LAST = 5


def answer_ceiling(ceiling: Ceiling, console: Console) -> None:
    """Prints the answer."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_parts(_ceiling(ceiling), _ceiling_rows(ceiling, glyphs), glyphs))


def answer_rate(highest: HighestRate, console: Console) -> None:
    """Prints the answer."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_parts(_rate(highest), _attempts(highest.steps, rate_step), glyphs))


def answer_idle(idle: IdleTime, console: Console) -> None:
    """Prints the answer."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_parts(_idle(idle), _idle_rows(idle, glyphs), glyphs))


def brief_ceiling(ceiling: Ceiling, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return plain_headline(*_ceiling(ceiling), glyphs)


def brief_rate(highest: HighestRate, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return plain_headline(*_rate(highest), glyphs)


def brief_idle(idle: IdleTime, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return plain_headline(*_idle(idle), glyphs)


def _parts(said: tuple[Tone, str, str], below: Iterator[Row], glyphs: Glyphs) -> Iterator[RenderableType]:
    yield headline(*said, glyphs)
    yield from rows(below)


def _ceiling(ceiling: Ceiling) -> tuple[Tone, str, str]:
    stopped = "interrupted; known until then: " if ceiling.interrupted else ""
    target = f"ceiling of {clean(ceiling.target)}"
    by = ""
    if ceiling.set_by:
        side = f" ({ceiling.diagnosis.side})" if ceiling.diagnosis and ceiling.diagnosis.side else ""
        by = f", set by {clean(ceiling.set_by)}{side}"
    if ceiling.ceiling is None:
        text = "not one connection could be held" if ceiling.met else "not known"
        return "bad" if ceiling.met else "unsure", target, f"{stopped}{text}{by}"
    if not ceiling.met:
        return "good", target, f"{stopped}not met, all {count(ceiling.ceiling)} that were tried fit"
    if ceiling.confirmed:
        return "good", target, f"{stopped}{count(ceiling.ceiling)} held, {count(ceiling.ceiling + 1)} did not{by}"
    return "unsure", target, f"{stopped}{count(ceiling.ceiling)} held at most, not confirmed{by}"


def _ceiling_rows(ceiling: Ceiling, glyphs: Glyphs) -> Iterator[Row]:
    if ceiling.predicted is not None:
        yield "Expected", Text(f"{count(ceiling.predicted)} by {clean(ceiling.predicted_by or '')} (estab limits)")
    yield from _attempts(ceiling.steps, ceiling_step)
    if ceiling.note:
        yield "Note", Text(clean(ceiling.note))
    if ceiling.diagnosis is not None and ceiling.diagnosis.accused is not None:
        yield from advice(ceiling.diagnosis, glyphs)


def _attempts(steps: Sequence[S], said: Callable[[S], str]) -> Iterator[Row]:
    left = len(steps) - _LAST
    if left > 0:
        yield "Tried", Text(f"{left} before these (-v)", style="dim")
    for number, step in enumerate(steps[-_LAST:]):
        yield "" if number or left > 0 else "Tried", Text(clean(said(step)))


def _rate(highest: HighestRate) -> tuple[Tone, str, str]:
    bound = f"p{highest.percentile:g} at most {seconds(highest.bound_us / 1e6)}"
    stopped = "interrupted; known until then: " if highest.interrupted else ""
    own = ". Our own client ran out of CPU at a higher rate: the server may do more" * highest.generator_bound
    target = f"highest rate of {clean(highest.target)}"
    if highest.rate_per_s is None:
        return "bad", target, f"{stopped}none was low enough for {bound}{own}"
    sure = "held twice" if highest.confirmed else "held once, not confirmed"
    tone: Tone = "good" if highest.confirmed else "unsure"
    return tone, target, f"{stopped}{count(highest.rate_per_s)}/s with {bound}, {sure}, within 5%{own}"


def _idle(idle: IdleTime) -> tuple[Tone, str, str]:
    stopped = "interrupted; known until then: " if idle.interrupted else ""
    by = ""
    if idle.set_by:
        side = f" ({idle.diagnosis.side})" if idle.diagnosis and idle.diagnosis.side else ""
        by = f", set by {clean(idle.set_by)}{side}"
    tone: Tone = "good" if idle.confirmed else "unsure"
    return tone, f"idle time of {clean(idle.target)}", f"{stopped}{idle_words(idle)}{by}"


def _idle_rows(idle: IdleTime, glyphs: Glyphs) -> Iterator[Row]:
    yield from _attempts(idle.steps, idle_step)
    if idle.borne_s is not None:
        yield "Borne", Text(f"a rest of {rest_time(idle.borne_s)}")
    if idle.diagnosis is not None and idle.diagnosis.accused is not None:
        yield from advice(idle.diagnosis, glyphs)
