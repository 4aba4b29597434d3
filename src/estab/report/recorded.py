"""A recording in words for a page or Markdown: how many episodes of what, the figures, and a table of them. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from estab.records import Episode, Episodes
from estab.report.episodes import after, costs, days, where
from estab.report.words import clean, count, seconds
from estab.words import clock, plural

MOST_LISTED = 50
_NAMED = 3


def causes(recording: Episodes) -> list[str]:
    """The causes by the intervals that show them, most first."""
    intervals = Counter[str]()
    for episode in recording.episodes:
        intervals[episode.cause] += episode.intervals
    return [cause for cause, _intervals in intervals.most_common()]


def listed(recording: Episodes) -> dict[str, Any]:
    """The newest ones as a table of words."""
    newest, day = recording.episodes[-MOST_LISTED:], days(recording)
    older = len(recording.episodes) - len(newest)
    rows = [_row(episode, day=day) for episode in newest]
    columns = [("when (UTC)", False), ("cause", False), ("where", False), ("what it cost", False), ("then", False)]
    return {"caption": f"{plural(older, 'older one')} not listed." if older else "", "columns": columns, "rows": rows}


def _row(episode: Episode, *, day: bool) -> list[str]:
    when = f"{clock(episode.from_s, day=day)} to {clock(episode.to_s)}"
    return [when, clean(episode.cause), where(episode) or "the host", "; ".join(costs(episode)), after(episode)]


def heading(recording: Episodes) -> str:
    """`3 episodes: accept_queue_overflow 2, server_open_files 1`; of many causes their number."""
    times, order = Counter(episode.cause for episode in recording.episodes), causes(recording)
    episodes = plural(len(recording.episodes), "episode")
    if len(order) > _NAMED:
        return f"{episodes} of {len(order):,} causes"
    return f"{episodes}: {', '.join(f'{clean(cause)} {count(times[cause])}' for cause in order)}"


def figures(recording: Episodes) -> list[tuple[str, str, str]]:
    """The numbers that a reader looks for first: (name, value, a few words)."""
    episodes = recording.episodes
    rows = [("recorded", _lasting(recording.to_s - recording.from_s), plural(recording.snapshots, "snapshot"))]
    if episodes:
        longest = max(episodes, key=lambda each: each.to_s - each.from_s)
        rows.append(("episodes", count(len(episodes)), plural(len(causes(recording)), "cause")))
        rows.append(("longest", _lasting(longest.to_s - longest.from_s), clean(longest.cause)))
        rows.append(("drops", count(sum(each.drops or 0 for each in episodes)), "at listeners, in episodes"))
    if restarts := sum(each.next == "restarted" for each in episodes):
        rows.append(("restarts", count(restarts), "after an episode"))
    return rows


def _lasting(value: float) -> str:
    """`12.0 s`, `1 min 47 s`, `7 h 59 min`, `6 d 4 h`."""
    if not value >= 60:
        return seconds(value)
    whole = round(value)
    for unit, smaller, unit_s, smaller_s in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= unit_s:
            rest = whole % unit_s // smaller_s
            return f"{whole // unit_s:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    return seconds(value)
