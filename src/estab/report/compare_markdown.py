"""A comparison as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from estab.records.comparison import Comparison
from estab.report.compare_words import change, interval, label, noise, sections, side, summary, value, worse
from estab.report.markup import plain


def markdown(found: Comparison) -> str:
    """The whole comparison in GitHub's Markdown: the verdict on top, the figures folded away."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    fired = [term for term in found.gate if term.fired]
    state = "" if not found.gate else " fails" if fired else " passes"
    yield f"### estab compare{state}"
    yield ""
    yield plain(summary(found))
    yield ""
    yield from (f"- **{plain(term.term)}**: {plain(term.reason)}" for term in fired)
    yield from [""] if fired else []
    yield from _sides(found)
    yield from (f"> {plain(note)}\n" for note in found.notes)
    yield f"<details{' open' if fired else ''}><summary>Figures</summary>"
    yield ""
    yield from _figures(found)
    yield ""
    yield "</details>"


def _sides(found: Comparison) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, sample in (("A", found.a), ("B", found.b)):
        yield f"| {name}: {plain(sample.name)} | {plain(side(sample))} |"
    for one in found.differences:
        yield f"| not alike: {plain(one.what)} | A {plain(one.a)}, B {plain(one.b)} |"
    yield ""


def _figures(found: Comparison) -> Iterator[str]:
    yield "| figure | A | B | change | 95% interval | beyond noise? |"
    yield "|---|---:|---:|---:|---|---|"
    for _title, figures in sections(found):
        for one in figures:
            cells = [value(one, one.a, "µs"), value(one, one.b, "µs"), change(one), interval(one), noise(one)]
            bold = "**" if worse(one) else ""
            yield f"| {bold}{plain(label(one))}{bold} | {' | '.join(plain(cell) for cell in cells)} |"
