"""The few shapes that the text report is made of, and the glyphs that it may use on this console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

INDENT = 2


@dataclass(frozen=True)
class Glyphs:
    """Signs for a console that writes Unicode, or ASCII where its encoding has no more."""

    bar: str
    bullet: str
    dot: str
    micro: str
    good: str
    bad: str
    unsure: str
    cut: str
    track: str
    parts: str  # of a bar's last cell, from one eighth to seven
    levels: str  # of a sparkline, from the lowest


UNICODE = Glyphs(
    bar="█", bullet="•", dot=" · ", micro="µs", good="✓", bad="✗", unsure="?", cut="…", track="░", parts="▏▎▍▌▋▊▉",
    levels="▁▂▃▄▅▆▇█",
)  # fmt: skip
ASCII = Glyphs(
    bar="#", bullet="-", dot=", ", micro="us", good="+", bad="x", unsure="?", cut="...", track=".", parts="",
    levels="_.-=+*%#",
)  # fmt: skip


def bar(share: float, width: int, glyphs: Glyphs, *, track: bool = False) -> str:
    """A bar for 0 to 1 of so many columns: whatever is not nothing is seen, and only 1 or more fills it.

    With a `track` it has its whole width, empty where it ends.
    """
    steps = len(glyphs.parts) + 1
    total = max(0, width) * steps
    lit = total if share >= 1 else min(total - 1, max(1 if share > 0 else 0, int(share * total)))
    whole, part = divmod(max(0, lit), steps)
    drawn = glyphs.bar * whole + (glyphs.parts[part - 1] if part else "")
    return drawn + glyphs.track * (width - len(drawn)) if track else drawn


def sparkline(values: Sequence[float], glyphs: Glyphs, top: float | None = None) -> str:
    """A column a value, as high as its share of `top` (None: of the highest); whatever is not nothing is seen."""
    whole = max(values, default=0.0) if top is None else top
    steps = len(glyphs.levels) - 1
    return "".join(
        glyphs.levels[0 if value <= 0 or whole <= 0 else max(1, min(steps, round(value / whole * steps)))]
        for value in values
    )


def glyphs_for(console: Console) -> Glyphs:
    """ASCII where the console's encoding is not a Unicode one (`LC_ALL=C`, a Windows code page)."""
    return ASCII if console.options.ascii_only else UNICODE


def heading(text: str) -> Text:
    """A section's name, with an empty line before it."""
    return Text("\n" + text, style="bold")


def line(text: str, style: str = "") -> Text:
    """One line of plain text: nothing in it is markup."""
    return Text(text, style=style)


def columns(header: bool = False) -> Table:
    """A table without lines, as wide as its content."""
    return Table(box=None, show_header=header, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)


@dataclass(frozen=True)
class Indented:
    """What wraps within its indentation. Unlike Rich's Padding it fills no line with blanks that nobody sees."""

    inner: RenderableType
    by: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        within = options.update_width(max(1, options.max_width - self.by))
        for segments in console.render_lines(self.inner, within, pad=False):
            yield Segment(" " * self.by)
            yield from segments
            yield Segment.line()


@dataclass(frozen=True)
class Beside:
    """Names and a text beside each, which wraps under itself.

    Rich's Table lays them out alike, and measures, wraps and pads each cell several times over: the fifty suspects of
    a ledger took most of a report's time.
    """

    rows: Sequence[tuple[Text, Text]]
    gap: int
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        longest = max((cell_len(name.plain) for name, _text in self.rows), default=0)
        outside = self.indent + self.gap
        room = max(1, min(longest, options.max_width - outside - 1))
        width = max(1, options.max_width - outside - room)
        indent, gap, under = (Segment(" " * wide) for wide in (self.indent, self.gap, outside + room))
        for name, text in self.rows:
            label = name.copy()
            label.truncate(room, overflow="ellipsis", pad=True)
            before: Iterable[Segment] = (indent, *_styled(label, console), gap)
            for part in _wrapped(text, width, console):
                yield from before
                yield from _styled(part, console)
                yield Segment.line()
                before = (under,)


def _wrapped(text: Text, width: int, console: Console) -> Iterable[Text]:
    """The lines of `text`; one that fits as it is needs no search for where to break it."""
    if text.cell_len <= width and text.plain.isprintable():
        return [text]
    return text.wrap(console, width, overflow="ellipsis")


def _styled(text: Text, console: Console) -> Iterable[Segment]:
    """The segments of a line. What has one style throughout needs no search for where one ends."""
    if text.spans:
        return text.render(console)
    return [Segment(text.plain, console.get_style(text.style))]


def beside(rows: Iterable[tuple[Text, Text]], *, gap: int = 2, indent: int = 0) -> RenderableType:
    """Rows of a name and a text beside it, which wraps under itself."""
    return Beside(list(rows), gap, indent)


def pairs(said: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and what is said of each, in two columns."""
    return beside((Text(name, style="dim"), Text(text)) for name, text in said)


def indented(inner: RenderableType, by: int = INDENT) -> RenderableType:
    """What wraps within its indentation."""
    return Indented(inner, by) if by else inner


def hanging(sign: str, text: Text, by: int = INDENT, style: str = "") -> RenderableType:
    """Text after a sign; what wraps stands under the text."""
    return beside([(Text(sign, style=style), text)], gap=1, indent=by)
