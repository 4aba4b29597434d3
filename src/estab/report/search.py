"""What a search found, on the terminal: the attempts one by one, then the answer and what sets it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType

from estab.records.search import Ceiling, CeilingStep, HighestRate, IdleStep, IdleTime, RateStep
from estab.report.idle_gaps import gap_table, rest_time, what_happened
from estab.report.layout import columns, heading, indented, pairs
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds


def ceiling_step(step: CeilingStep) -> str:
    """One attempt in one line."""
    if not step.failed:
        return f"{count(step.asked)} held, in {seconds(step.seconds)}"
    text = f"{count(step.held)} of {count(step.asked)} held: {step.cause or 'no cause named'}"
    return text + (f"; continues with {step.moved}" if step.moved else "")


def rate_step(step: RateStep) -> str:
    """One attempt in one line."""
    latency = "nothing answered" if step.latency_us is None else seconds(step.latency_us / 1e6)
    return f"{count(step.rate_per_s)}/s: {latency}" + (f", {step.why}" if step.why else "")


def idle_step(step: IdleStep) -> str:
    """One round in one line."""
    rests = [gap.gap_s for gap in step.gaps]
    tried = f"{rest_time(min(rests, default=0.0))} to {rest_time(max(rests, default=0.0))}"
    borne = [gap.gap_s for gap in step.gaps if gap.answered and not gap.ended]
    first = next((gap for gap in step.gaps if gap.ended), None)
    told = [f"{rest_time(max(borne))} answered"] if borne else []
    told += [f"{rest_time(first.gap_s)} {what_happened(first)}"] if first is not None else []
    return f"rests of {tried}: {', '.join(told) or 'none was asked again'}"


def idle_words(idle: IdleTime) -> str:
    """What a search for an idle time came to, as a part of a sentence."""
    if idle.idle_s is None:
        if idle.note:
            return f"not known: {clean(idle.note)}"
        longest = rest_time(idle.most_s)
        return f"none up to {longest}: what rested so long was answered" if idle.confirmed else "not known"
    time = rest_time(idle.idle_s)
    if idle.how in ("closed", "reset"):
        return f"{idle.how} by {'FIN' if idle.how == 'closed' else 'RST'} after {time}"
    between = f"{rest_time(idle.borne_s or 0.0)} is answered, {rest_time(idle.lost_s or 0.0)} is not"
    return f"forgotten after {time} ({between})"


def render_idle(idle: IdleTime, console: Console) -> None:
    """The whole search."""
    print_trimmed(console, *_idle(idle))


def render_ceiling(ceiling: Ceiling, console: Console) -> None:
    """The whole search."""
    print_trimmed(console, *_ceiling(ceiling))


def render_rate(highest: HighestRate, console: Console) -> None:
    """The whole search."""
    print_trimmed(console, *_rate(highest))


def _ceiling(ceiling: Ceiling) -> Iterator[RenderableType]:
    yield heading(f"Ceiling of {clean(ceiling.target)}")
    yield indented(pairs(_ceiling_answer(ceiling)))
    yield heading("Attempts")
    table = columns(header=True)
    for name in ("asked", "held", "sources", "processes", "took"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", overflow="fold")
    for step in ceiling.steps:
        met = step.cause or ("" if not step.failed else "no cause named")
        table.add_row(
            count(step.asked), count(step.held), count(step.sources), count(step.processes), seconds(step.seconds),
            clean(met + (f"; then {step.moved}" if step.moved else "")),
        )  # fmt: skip
    yield indented(table)
    cause = ceiling.diagnosis.accused if ceiling.diagnosis else None
    if cause is not None:
        yield heading("Raise it")
        yield indented(pairs([("works" if r.works else "does nothing", clean(r.command)) for r in cause.remedies]))


def _ceiling_answer(ceiling: Ceiling) -> list[tuple[str, str]]:
    said = []
    if ceiling.predicted is not None:
        said.append(("predicted", f"{count(ceiling.predicted)} by {clean(ceiling.predicted_by or '')}"))
    if ceiling.interrupted:
        said.append(("interrupted", "what was known until then:"))
    if ceiling.ceiling is None:
        said.append(("ceiling", "not one connection could be held" if ceiling.met else "not known"))
    elif not ceiling.met:
        said.append(("ceiling", f"not met: all {count(ceiling.ceiling)} that were tried fit"))
    else:
        sure = f"held, {count(ceiling.ceiling + 1)} did not" if ceiling.confirmed else "held at most, not confirmed"
        said.append(("ceiling", f"{count(ceiling.ceiling)} {sure}"))
    if ceiling.set_by:
        side = f" (at the {ceiling.diagnosis.side})" if ceiling.diagnosis and ceiling.diagnosis.side else ""
        said.append(("set by", f"{clean(ceiling.set_by)}{side}"))
    if ceiling.note:
        said.append(("note", clean(ceiling.note)))
    return said


def _rate(highest: HighestRate) -> Iterator[RenderableType]:
    name = f"p{highest.percentile:g}"
    yield heading(f"Highest rate of {clean(highest.target)} with {name} at most {seconds(highest.bound_us / 1e6)}")
    yield indented(pairs(_rate_answer(highest)))
    yield heading("Attempts")
    table = columns(header=True)
    for title in ("rate", "answered", name):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not good, because", overflow="fold")
    for step in highest.steps:
        reached = "-" if step.reached_per_s is None else f"{count(step.reached_per_s)}/s"
        latency = "-" if step.latency_us is None else seconds(step.latency_us / 1e6)
        table.add_row(f"{count(step.rate_per_s)}/s", reached, latency, clean(step.why or ""))
    yield indented(table)


def _rate_answer(highest: HighestRate) -> list[tuple[str, str]]:
    said = []
    if highest.interrupted:
        said.append(("interrupted", "what was known until then:"))
    if highest.rate_per_s is None:
        said.append(("rate", "none was low enough"))
    else:
        sure = "held twice" if highest.confirmed else "held once, not confirmed"
        said.append(("rate", f"{count(highest.rate_per_s)}/s: {sure}, within 5%"))
    if highest.generator_bound:
        said.append(("note", "our own client ran out of CPU at a higher rate: the server may well do more"))
    return said


def _idle(idle: IdleTime) -> Iterator[RenderableType]:
    yield heading(f"Idle time of {clean(idle.target)}, up to {rest_time(idle.most_s)}")
    said = [("interrupted", "what was known until then:")] if idle.interrupted else []
    said.append(("idle time", idle_words(idle)))
    if idle.set_by:
        side = f" (at the {idle.diagnosis.side})" if idle.diagnosis and idle.diagnosis.side else ""
        said.append(("set by", f"{clean(idle.set_by)}{side}"))
    yield indented(pairs(said))
    for number, step in enumerate(idle.steps, 1):
        yield heading(f"Round {number}, {seconds(step.seconds)}")
        yield indented(gap_table(step.gaps))
    cause = idle.diagnosis.accused if idle.diagnosis else None
    if cause is not None:
        yield heading("What to do")
        yield indented(pairs([("works" if r.works else "does nothing", clean(r.command)) for r in cause.remedies]))
