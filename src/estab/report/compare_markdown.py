"""A comparison as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from estab.records.comparison import Comparison
from estab.report.compare_words import change, interval, label, noise, sections, side, summary, value, worse
from estab.report.markup import plain


def markdown(comparison: Comparison) -> str:
    """The whole comparison in GitHub's Markdown: the verdict on top, the figures folded away."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    fired = [term for term in comparison.gate if term.fired]
    state = "" if not comparison.gate else " fails" if fired else " passes"
    yield f"### estab compare{state}"
    yield ""
    yield plain(summary(comparison))
    yield ""
    yield from (f"- **{plain(term.term)}**: {plain(term.reason)}" for term in fired)
    yield from [""] if fired else []
    yield from _sides(comparison)
    yield from (f"> {plain(note)}\n" for note in comparison.notes)
    yield f"<details{' open' if fired else ''}><summary>Figures</summary>"
    yield ""
    yield from _figures(comparison)
    yield ""
    yield "</details>"


def _sides(comparison: Comparison) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, sample in (("A", comparison.a), ("B", comparison.b)):
        yield f"| {name}: {plain(sample.name)} | {plain(side(sample))} |"
    for difference in comparison.differences:
        yield f"| setup differs: {plain(difference.what)} | A {plain(difference.a)}, B {plain(difference.b)} |"
    yield ""


def _figures(comparison: Comparison) -> Iterator[str]:
    yield "| figure | A | B | change | 95% interval | beyond noise? |"
    yield "|---|---:|---:|---:|---|---|"
    for _title, figures in sections(comparison):
        for figure in figures:
            cells = [
                value(figure, figure.a, "µs"),
                value(figure, figure.b, "µs"),
                change(figure),
                interval(figure),
                noise(figure),
            ]
            bold = "**" if worse(figure) else ""
            yield f"| {bold}{plain(label(figure))}{bold} | {' | '.join(plain(cell) for cell in cells)} |"
