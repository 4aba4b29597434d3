"""The episodes of a recording in words, and all of them with their evidence and remedies."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from estab.kernel.formats.endpoint import endpoint
from estab.records import Diagnosis, Episode, Episodes
from estab.report.layout import glyphs_for, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.verdict import diagnosed
from estab.report.words import clean, seconds
from estab.words import clock, plural

_EVERY_ADDRESS = ("0.0.0.0", "::", "*")
_DAY_S = 86_400
_NEXT = {
    "recovered": "recovered",
    "restarted": "restarted",
    "reloaded": "reloaded",
    "closed": "closed",
    "going_on": "goes on",
}
_SHORT = {"restarted": "restart", "reloaded": "reload"}


def where(episode: Episode) -> str:
    """`:8080 gunicorn`, `to 10.0.0.5:80`, or nothing for a whole host; with the namespace that was asked for."""
    inside = [f"in {episode.netns}"] if episode.netns else []
    if episode.port is None:
        return " ".join(inside)
    address = episode.address or ""
    at = f":{episode.port}" if address in _EVERY_ADDRESS else endpoint(address, episode.port)
    towards = ["to"] if episode.place == "target" else []
    program = [episode.program] if episode.program else []
    service = [f"({episode.service})"] if episode.service else []
    return clean(" ".join([*towards, at, *program, *service, *inside]))


def after(episode: Episode, *, day: bool = False, short: bool = False) -> str:
    """What happened next, with when where that is not its end; `restart 02:15:02` where it is to be `short`."""
    if episode.next_s is None or episode.next == "recovered":
        return _NEXT[episode.next]
    word = _NEXT[episode.next]
    return f"{_SHORT.get(word, word) if short else word} {clock(episode.next_s, day=day)}"


def shown_by(episode: Episode) -> str | None:
    """Of several intervals that whose evidence is told, as the one that shows most. None: there is one alone."""
    if episode.intervals < 2 or episode.shown_from_s is None or episode.shown_to_s is None:
        return None
    return f"its worst interval, {clock(episode.shown_from_s)} to {clock(episode.shown_to_s)}"


def days(recording: Episodes) -> bool:
    """Whether a time of day alone does not say which moment of it is meant."""
    return recording.to_s - recording.from_s >= _DAY_S


def basis(recording: Episodes) -> str:
    """What was judged."""
    until = clock(recording.to_s, day=clock(recording.to_s, day=True)[:10] != clock(recording.from_s, day=True)[:10])
    return f"{plural(recording.snapshots, 'snapshot')}, {clock(recording.from_s, day=True)} to {until} UTC"


def beside(recording: Episodes) -> str | None:
    """The cause that only the whole of the recording shows, no interval of it. None: there is none."""
    cause = recording.whole.cause
    if cause is None or any(episode.cause == cause for episode in recording.episodes):
        return None
    return f"{clean(cause)}: {clean(recording.whole.summary)}"


def render_episodes(recording: Episodes, console: Console) -> None:
    """Prints every episode, newest last, with its evidence and its remedies."""
    print_trimmed(console, line(basis(recording), style="bold"))
    for episode in recording.episodes:
        print_trimmed(console, *_parts(episode, console))
    if (told := beside(recording)) is not None:
        print_trimmed(console, line(f"Over all of it: {told}"))


def _parts(episode: Episode, console: Console) -> Iterator[RenderableType]:
    times = f"{clock(episode.from_s, day=True)} to {clock(episode.to_s)} UTC"
    yield Text(f"\n{times}  {where(episode)}".rstrip(), style="bold")
    yield indented(line("; ".join([*costs(episode), _next(episode)])))
    if (worst := shown_by(episode)) is not None:
        yield indented(line(f"{worst}:", style="dim"))
    verdict = Diagnosis(
        cause=episode.cause, side=episode.side, summary=episode.suspect.summary, suspects=[episode.suspect]
    )
    yield from diagnosed(verdict, glyphs_for(console), failed=False)


def _next(episode: Episode) -> str:
    since = f" (PID {episode.pid or '?'}, then {episode.next_pid})" if episode.next_pid else ""
    return f"then: {after(episode, day=True)}{since}"


def costs(episode: Episode) -> Iterator[str]:
    """How long it was, how much it cost, and how deep the queue was."""
    yield f"{seconds(episode.to_s - episode.from_s)} in {plural(episode.intervals, 'interval')}"
    if episode.drops is not None:
        yield plural(episode.drops, "drop at the listener", "drops at the listener")
    if episode.overflows:
        yield f"ListenOverflows rose by {episode.overflows:,}"
    if episode.attempt_fails:
        yield f"AttemptFails rose by {episode.attempt_fails:,}"
    if episode.deepest is not None and episode.room is not None:
        yield f"{episode.deepest:,} waited where {plural(episode.room, 'fits', 'fit')}"
