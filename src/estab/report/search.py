"""What a search found, on the terminal: the attempts one by one, then the answer and what sets it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType

from estab.records.search import Ceiling, CeilingStep, HighestRate, RateStep
from estab.report.layout import columns, heading, indented, pairs
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds


def ceiling_step(step: CeilingStep) -> str:
    """One attempt in one line."""
    if not step.failed:
        return f"{count(step.asked)} held, in {seconds(step.seconds)}"
    text = f"{count(step.held)} of {count(step.asked)} held: {step.cause or 'no cause named'}"
    return text + (f"; goes on with {step.moved}" if step.moved else "")


def rate_step(step: RateStep) -> str:
    """One attempt in one line."""
    latency = "nothing answered" if step.latency_us is None else seconds(step.latency_us / 1e6)
    return f"{count(step.rate_per_s)}/s: {latency}" + (f", {step.why}" if step.why else "")


def render_ceiling(found: Ceiling, console: Console) -> None:
    """The whole search."""
    for part in _ceiling(found):
        print_trimmed(console, part)


def render_rate(found: HighestRate, console: Console) -> None:
    """The whole search."""
    for part in _rate(found):
        print_trimmed(console, part)


def _ceiling(found: Ceiling) -> Iterator[RenderableType]:
    yield heading(f"Ceiling of {clean(found.target)}")
    yield indented(pairs(_ceiling_answer(found)))
    yield heading("Attempts")
    table = columns(header=True)
    for name in ("asked", "held", "sources", "processes", "took"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("met", overflow="fold")
    for step in found.steps:
        met = step.cause or ("" if not step.failed else "no cause named")
        table.add_row(
            count(step.asked), count(step.held), count(step.sources), count(step.processes), seconds(step.seconds),
            clean(met + (f"; then {step.moved}" if step.moved else "")),
        )  # fmt: skip
    yield indented(table)
    cause = found.diagnosis.accused if found.diagnosis else None
    if cause is not None:
        yield heading("Raise it")
        yield indented(pairs([("works" if r.works else "does nothing", clean(r.command)) for r in cause.remedies]))


def _ceiling_answer(found: Ceiling) -> list[tuple[str, str]]:
    said = []
    if found.predicted is not None:
        said.append(("predicted", f"{count(found.predicted)} by {clean(found.predicted_by or '')}"))
    if found.interrupted:
        said.append(("interrupted", "what was known until then:"))
    if found.ceiling is None:
        said.append(("ceiling", "not one connection could be held" if found.met else "not known"))
    elif not found.met:
        said.append(("ceiling", f"not met: all {count(found.ceiling)} that were tried fit"))
    else:
        sure = "held, and one more did not" if found.confirmed else "the most that was reached, not confirmed"
        said.append(("ceiling", f"{count(found.ceiling)}: {sure}"))
    if found.set_by:
        side = f" (at the {found.diagnosis.side})" if found.diagnosis and found.diagnosis.side else ""
        said.append(("set by", f"{clean(found.set_by)}{side}"))
    if found.note:
        said.append(("note", clean(found.note)))
    return said


def _rate(found: HighestRate) -> Iterator[RenderableType]:
    name = f"p{found.percentile:g}"
    yield heading(f"Highest rate of {clean(found.target)} with {name} at most {seconds(found.bound_us / 1e6)}")
    yield indented(pairs(_rate_answer(found)))
    yield heading("Attempts")
    table = columns(header=True)
    for title in ("rate", "answered", name):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not good, since", overflow="fold")
    for step in found.steps:
        reached = "-" if step.reached_per_s is None else f"{count(step.reached_per_s)}/s"
        latency = "-" if step.latency_us is None else seconds(step.latency_us / 1e6)
        table.add_row(f"{count(step.rate_per_s)}/s", reached, latency, clean(step.why or ""))
    yield indented(table)


def _rate_answer(found: HighestRate) -> list[tuple[str, str]]:
    said = []
    if found.interrupted:
        said.append(("interrupted", "what was known until then:"))
    if found.rate_per_s is None:
        said.append(("rate", "none was low enough"))
    else:
        sure = "good twice" if found.confirmed else "good, not confirmed"
        said.append(("rate", f"{count(found.rate_per_s)}/s: {sure}, within 5%"))
    if found.generator_bound:
        said.append(("note", "a higher one failed for want of CPU of our own client: the server may well do more"))
    return said
