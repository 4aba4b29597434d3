"""Several runs on one page: side by side in a table, laid over one another, and as a sweep over sizes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from estab.kernel.rules import accept_queue
from estab.records import RunResult
from estab.report.html import labels, percentiles
from estab.report.html.charts import distribution, several
from estab.report.html.charts.style import HEIGHT
from estab.report.html.plot import Plot
from estab.report.html.rungs import asked_and_reached
from estab.report.html.subject import PageSubject
from estab.report.html.table import PlotTable, table
from estab.report.html.view import tone_of
from estab.report.words import DASH, clean, count, seconds

MOST_LINES = 8
_LATENCY_COLUMNS = ("place", "run", "percentile", "one_in", "latency_us")


def overview(subjects: Sequence[PageSubject]) -> dict[str, Any]:
    """What stands above the single runs."""
    runs = [(subject, subject.run) for subject in subjects if subject.run is not None]
    return {
        "tone": "bad" if any(subject.diagnosis.cause for subject in subjects) else "good",
        "eyebrow": "before and after" if is_pair(subjects) else f"{len(subjects):,} records",
        "summary": _sentence(subjects),
        "columns": _columns(subjects),
        "lines": _rows(subjects),
        "plots": [*_sweep(runs), *_open(runs), *_latency(runs, "connect"), *_latency(runs, "request")],
    }


def is_pair(subjects: Sequence[PageSubject]) -> bool:
    """Two runs of the same command: before, and after."""
    runs = [subject.run for subject in subjects if subject.run is not None]
    return len(subjects) == 2 and len(runs) == 2 and runs[0].command == runs[1].command


def _sentence(subjects: Sequence[PageSubject]) -> str:
    causes = [subject.diagnosis.cause for subject in subjects]
    if is_pair(subjects):
        first, second = (clean(cause or "no cause") for cause in causes)
        if causes[0] and not causes[1]:
            return f"{first} before; after it, no cause is left."
        return f"{first} before and after." if first == second else f"{first} before, {second} after."
    named = sorted({clean(cause) for cause in causes if cause})
    if not named:
        return f"None of {len(subjects):,} met a limit that is named."
    return f"{sum(cause is not None for cause in causes):,} of {len(subjects):,} with a cause: {', '.join(named)}."


# The table ---------------------------------------------------------------------------------------------------------


def _measures(subject: PageSubject) -> list[tuple[str, str]]:
    run = subject.run
    _, tag = tone_of(subject.diagnosis, failed=subject.failed)
    if run is None:
        return [("verdict", tag)]
    asked, reached = asked_and_reached(run)
    listener, requests, latency = run.server.listener, run.requests, run.latency
    return [
        ("verdict", tag),
        ("asked for", count(asked)),
        ("reached", count(reached)),
        ("accepted", count(run.funnel.accepted)),
        ("failed", count(run.client_failures)),
        ("ghosts", count(run.ghosts.count) if run.ghosts else DASH),
        (
            "queue at worst",
            f"{count(listener.worst_depth)} of {count(accept_queue.room(listener.limit))}" if listener else DASH,
        ),
        ("requests/s", count(requests.per_second) if requests else DASH),
        ("connect p99", _p99(latency.connect_us)),
        ("request p99", _p99(latency.request_us)),
    ]


def _p99(latency: Any) -> str:
    return seconds(latency.p99 / 1e6, "µs") if latency is not None and latency.p99 is not None else DASH


def _columns(subjects: Sequence[PageSubject]) -> list[tuple[str, bool]]:
    if is_pair(subjects):
        return [("", False), *((clean(subject.title), True) for subject in subjects)]
    return [("", False), *((name, name != "verdict") for name in _shown(subjects))]


def _shown(subjects: Sequence[PageSubject]) -> list[str]:
    """The measures that at least one record has."""
    known: dict[str, bool] = {}
    for subject in subjects:
        for name, value in _measures(subject):
            known[name] = known.get(name, False) or value != DASH
    return [name for name, is_known in known.items() if is_known]


def _rows(subjects: Sequence[PageSubject]) -> list[list[str]]:
    shown = _shown(subjects)
    values = [dict(_measures(subject)) for subject in subjects]
    if is_pair(subjects):
        return [[name, *(measures.get(name, DASH) for measures in values)] for name in shown]
    return [
        [clean(s.title), *(measures.get(n, DASH) for n in shown)] for s, measures in zip(subjects, values, strict=True)
    ]


# The plots ---------------------------------------------------------------------------------------------------------


def _sweep(runs: Sequence[tuple[PageSubject, RunResult]]) -> list[Plot]:
    """Reached over asked for, where several sizes of the same command were tried."""
    holds = [(subject, *asked_and_reached(run)) for subject, run in runs if run.command == "hold"]
    if len(holds) < 3 or len({asked for _, asked, _ in holds}) < 3:
        return []
    rows = sorted(((clean(subject.title), asked, reached) for subject, asked, reached in holds), key=lambda row: row[1])
    top = max(max(asked, reached) for _, asked, reached in rows) * 1.08
    tables = [
        table("sweep", ("what", "size", "reached"), rows),
        table("even", ("size", "reached"), [(0, 0), (top, top)], drawn_only=True),
    ]
    caption = "Each dot is one run. On the dashed line all that were asked for were reached; below it a limit holds."
    return [Plot("sweep", "Ceiling", caption, tables, several.sweep("asked for", "connections reached", top))]


def _open(runs: Sequence[tuple[PageSubject, RunResult]]) -> list[Plot]:
    lines = [(subject, run) for subject, run in runs if run.timeline][:MOST_LINES]
    if len(lines) < 2:
        return []
    step = max(1, sum(len(run.timeline) for _, run in lines) // 3000)
    rows = [
        (str(place), clean(subject.title), point.t_s, point.open)
        for place, (subject, run) in enumerate(lines)
        for point in [*run.timeline[:-1:step], run.timeline[-1]]
    ]
    end_s = max(t_s for _, _, t_s, _ in rows) or 1.0
    top = float(max(1, *(n for _, _, _, n in rows)))
    ends = [(str(i), float(run.timeline[-1].open), clean(subject.title)) for i, (subject, run) in enumerate(lines)]
    label = labels.beside("open_labels", ends, t_s=end_s, top=top, height=HEIGHT)
    points = table("open", ("place", "run", "t_s", "open"), rows)
    return [Plot("open", "Open connections", "", [points, label], several.open_over_time(len(lines), end_s, top))]


def _latency(runs: Sequence[tuple[PageSubject, RunResult]], kind: str) -> list[Plot]:
    rows: list[tuple[str, str, float, float, float]] = []
    names: list[str] = []
    for subject, run in runs[:MOST_LINES]:
        place = str(len(names))
        mine = [row for row in percentiles.percentiles(run.latency).rows() if row["kind"] == kind]
        mine = [row for row in mine if float(row["latency_us"] or 0) > 0]
        if mine:
            names.append(clean(subject.title))
            rows += [
                (place, names[-1], float(r["percentile"] or 0), float(r["one_in"] or 1), float(r["latency_us"] or 0))
                for r in mine
            ]
    if len(names) < 2:
        return []
    name = f"percentiles_{kind}"
    most = max(row[3] for row in rows)
    low, high = min(row[4] for row in rows), max(row[4] for row in rows)
    ends = [(str(i), max(row[4] for row in rows if row[0] == str(i)), title) for i, title in enumerate(names)]
    label = labels.beside(f"{name}_labels", ends, t_s=max(most, 10), top=high, height=220, log_from=low)
    tables: list[PlotTable] = [table(name, _LATENCY_COLUMNS, rows), label]
    chart = distribution.percentiles([str(i) for i in range(len(names))], most, name, "place")
    return [Plot(name, f"{kind.capitalize()} latency by percentile", "Both axes are logarithmic.", tables, chart)]
