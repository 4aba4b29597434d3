"""A recording on one screen: its episodes, the newest last, and what to do about the cause that shows most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records import Diagnosis, Episode, Episodes
from estab.report.answer.shape import WIDTH, cut, headline, joined, plain_headline, rows
from estab.report.answer.verdict import advice, evidence, titled
from estab.report.episodes import after, basis, beside, costs, days, shown_by, where
from estab.report.layout import Glyphs, columns, glyphs_for, indented
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count
from estab.words import clock, plural

_NEWEST = 9
_GAPS = 2 + 4 * 2  # the indent, and two blanks between columns


def answer_episodes(recording: Episodes, diagnosis: Diagnosis, console: Console) -> None:
    """Prints the answer of a recording in which something was found; `diagnosis` is all of it in one verdict."""
    glyphs = glyphs_for(console)
    several = len(recording.episodes) > 1
    print_trimmed(
        console, *_several(recording, diagnosis, glyphs) if several else _single(recording, diagnosis, glyphs)
    )


def brief_episodes(recording: Episodes, glyphs: Glyphs) -> str:
    """The answer in one line: how many, and the newest."""
    newest = recording.episodes[-1]
    name, many = f"{clean(newest.cause)} ({newest.side})", len(recording.episodes)
    text = f"{_when(newest, days(recording))}, {', '.join(filter(None, [where(newest), *_told(newest)]))}"
    return plain_headline("bad", name, text + (f"; the newest of {many:,} episodes" if many > 1 else ""), glyphs)


def _single(recording: Episodes, diagnosis: Diagnosis, glyphs: Glyphs) -> Iterator[RenderableType]:
    """The verdict as on two snapshots, and when it was so."""
    [episode] = recording.episodes
    yield headline("bad", *titled(diagnosis), glyphs)
    when = joined([f"{_when(episode, days(recording))} UTC", where(episode), *_told(episode)], 2, glyphs)
    why = [(_why(episode), text) for _label, text in evidence(diagnosis, glyphs)]
    yield from rows([("When", Text(when)), *why, *advice(diagnosis, glyphs), *_rest(recording, glyphs)])


def _why(episode: Episode) -> str:
    """How the evidence is called: of several intervals it is that of the worst."""
    return "Why" if shown_by(episode) is None else "At worst"


def _several(recording: Episodes, diagnosis: Diagnosis, glyphs: Glyphs) -> Iterator[RenderableType]:
    causes = Counter(clean(episode.cause) for episode in recording.episodes)
    told = glyphs.dot.join(f"{cause} {count(times)}" for cause, times in causes.most_common())
    yield headline("bad", plural(len(recording.episodes), "episode"), cut(told, 2, glyphs), glyphs)
    older = len(recording.episodes) - _NEWEST
    if older > 0:
        yield indented(Text(f"{plural(older, 'older one', 'older ones')} (-v)", style="dim"))
    yield indented(_table(recording.episodes[-_NEWEST:], days(recording), glyphs))
    name, text = titled(diagnosis)
    mostly = ("Mostly", Text.assemble((name, "bold"), cut(f": {text}", 3, glyphs)))
    yield from rows([mostly, *advice(diagnosis, glyphs), *_rest(recording, glyphs)])


def _table(episodes: list[Episode], day: bool, glyphs: Glyphs) -> Table:
    """A line each, the place cut to the room that the others leave."""
    cells = [
        (_when(episode, day), clean(episode.cause), _place(episode), count(episode.drops), after(episode, short=True))
        for episode in episodes
    ]
    heads = ("when (UTC)", "cause", "where", "drops", "then")
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    room = max(6, WIDTH - _GAPS - sum(widths) + widths[2])
    table = columns(header=True)
    for head in heads:
        table.add_column(head, no_wrap=True, justify="right" if head == "drops" else "left")
    for when, cause, place, drops, then in cells:
        shown = place if len(place) <= room else place[: room - len(glyphs.cut)] + glyphs.cut
        table.add_row(when, Text(cause, style="bold"), Text(shown), drops, then)
    return table


def _when(episode: Episode, day: bool) -> str:
    """From when to when."""
    return f"{clock(episode.from_s, day=day)[-14:]}-{clock(episode.to_s)}"


def _place(episode: Episode) -> str:
    """Where, in a few letters: of a listener the port is enough."""
    if episode.place != "listener":
        return where(episode)
    return where(episode.replace(address="*", service=None))


def _told(episode: Episode) -> list[str]:
    return [*list(costs(episode))[1:], after(episode)]


def _rest(recording: Episodes, glyphs: Glyphs) -> Iterator[tuple[str, Text]]:
    if (told := beside(recording)) is not None:
        yield "Over all", Text(cut(told, 2, glyphs))
    yield "Of", Text.assemble((basis(recording), "dim"), ("   -v shows all", "dim"))
