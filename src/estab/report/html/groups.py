"""The sections of a run's part of the page: which plots and tables stand together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules import accept_queue
from estab.records import Snapshot
from estab.report import recorded
from estab.report.html.plot import Plot
from estab.report.html.snapshots import CLOSE, QUEUES
from estab.report.html.subject import PageSubject
from estab.report.html.view import failure_rows, latency_rows
from estab.report.idle_gaps import HEADER, gap_rows
from estab.report.probes import HEADER as PROBE_HEADER
from estab.report.probes import probe_rows
from estab.report.words import clean, count

_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Episodes", ("episodes", *CLOSE)),
    ("Connections", ("funnel", "connections", "states_client", "states_server", "opens", "states_host")),
    ("Accept queue", (*QUEUES, "counters")),
    ("Failures", ("failures",)),
    ("Idle times", ()),
    ("Probes", ()),
    ("SYN retransmissions", ("syns",)),
    ("Latency", ("percentiles", "latency")),
    ("Throughput", ("throughput",)),
    ("Limits", ("rungs",)),
)


def groups(subject: PageSubject, plots: Sequence[Plot], shown: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Sections with the plots that are drawn, as the template takes them by name in `shown`, and with their tables."""
    names = {plot.name for plot in plots if plot.chart is not None}
    sections = []
    for title, members in _SECTIONS:
        here = [shown[name] for name in members if name in names]
        tables = _tables(title, subject)
        if here or tables:
            where = f"{key}-of-{title.lower().replace(' ', '-')}"  # the plots' ids are beside it
            sections.append({"id": where, "title": title, "plots": here, "tables": tables})
    return sections


def left_out(plots: Sequence[Plot]) -> list[tuple[str, str]]:
    """Each plot that shows nothing, by its section's title and its own, and why."""
    place = {name: title for title, members in _SECTIONS for name in members}
    return [(_what(place.get(plot.name, ""), plot.title), plot.missing) for plot in plots if plot.chart is None]


def _what(section: str, title: str) -> str:
    return title if section.lower() in title.lower() else f"{section}: {title[:1].lower()}{title[1:]}"


def _tables(title: str, subject: PageSubject) -> list[dict[str, Any]]:
    run = subject.run
    if run is None:
        return _of_a_recording(title, subject)
    if title == "Failures" and run.failures:
        columns = [("phase", False), ("why", False), ("count", True), ("first at", True), ("example", False)]
        return [{"caption": "", "columns": columns, "rows": failure_rows(run)}]
    if title == "Idle times" and run.idle_gaps:
        return [{"caption": "", "columns": HEADER, "rows": gap_rows(run.idle_gaps)}]
    if title == "Probes" and run.probes is not None:
        return [{"caption": "", "columns": PROBE_HEADER, "rows": [list(row) for row in probe_rows(run)]}]
    if title == "Latency" and latency_rows(run):
        names = ("count", "p50", "p90", "p99", "p99.9", "max")
        columns = [("latency", False), *((name, True) for name in names)]
        return [{"caption": "", "columns": columns, "rows": latency_rows(run)}]
    return []


def _of_a_recording(title: str, subject: PageSubject) -> list[dict[str, Any]]:
    recording = subject.episodes
    if title == "Episodes" and recording is not None and recording.episodes:
        return [recorded.listed(recording)]
    return _listeners(subject.last) if title == "Accept queue" and subject.last is not None else []


_MOST_LISTENERS = 12


def _listeners(snapshot: Snapshot) -> list[dict[str, Any]]:
    waiting = (each for each in snapshot.unix_listeners or () if each.depth)
    listeners = sorted(
        [*(snapshot.listeners or ()), *waiting],
        key=lambda listener: (-listener.depth / accept_queue.room(listener.limit), -(listener.drops or 0)),
    )
    rows = [
        [
            clean(endpoint(listener.address, listener.port)),
            count(listener.depth),
            count(listener.limit),
            count(listener.drops),
            clean(", ".join(owner.words for owner in listener.owners or [])),
        ]
        for listener in listeners[:_MOST_LISTENERS]
    ]
    columns = [
        ("listener", False),
        ("depth", True),
        ("limit", True),
        ("drops since it listens", True),
        ("owner", False),
    ]
    more = len(listeners) - len(rows)
    caption = "The last snapshot's listeners, the fullest first" + (f"; {more:,} more" if more > 0 else "") + "."
    return [{"caption": caption, "columns": columns, "rows": rows}] if rows else []
