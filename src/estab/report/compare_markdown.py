"""A comparison as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from estab.records.comparison import Comparison
from estab.report.compare_words import change, interval, label, noise, sections, side, summary, value, worse
from estab.report.words import clean


def markdown(found: Comparison) -> str:
    """The whole comparison in GitHub's Markdown: the verdict on top, the figures folded away."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    fired = [term for term in found.gate if term.fired]
    state = "" if not found.gate else " fails" if fired else " passes"
    yield f"### estab compare{state}"
    yield ""
    yield escaped(summary(found))
    yield ""
    yield from (f"- **{escaped(term.term)}**: {escaped(term.reason)}" for term in fired)
    yield from [""] if fired else []
    yield from _sides(found)
    yield from (f"> {escaped(note)}\n" for note in found.notes)
    yield f"<details{' open' if fired else ''}><summary>Figures</summary>"
    yield ""
    yield from _figures(found)
    yield ""
    yield "</details>"


def _sides(found: Comparison) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, sample in (("A", found.a), ("B", found.b)):
        yield f"| {name}: {escaped(sample.name)} | {escaped(side(sample))} |"
    for one in found.differences:
        yield f"| not alike: {escaped(one.what)} | A {escaped(one.a)}, B {escaped(one.b)} |"
    yield ""


def _figures(found: Comparison) -> Iterator[str]:
    yield "| figure | A | B | change | 95% interval | beyond noise? |"
    yield "|---|--:|--:|--:|---|---|"
    for _title, figures in sections(found):
        for one in figures:
            cells = [value(one, one.a, "µs"), value(one, one.b, "µs"), change(one), interval(one), noise(one)]
            bold = "**" if worse(one) else ""
            yield f"| {bold}{escaped(label(one))}{bold} | {' | '.join(escaped(cell) for cell in cells)} |"


def escaped(text: str) -> str:
    """One line in which nothing is markup, not even in a cell of a table."""
    return "".join("\\" + c if c in "\\`*_{}[]<>#|~" else c for c in clean(text))
