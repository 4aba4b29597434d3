"""What was measured: the funnel, failures, throughput, latency, SYN retransmits, the listener, CPU."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.kernel.formats import first_bytes
from estab.kernel.rules import accept_queue
from estab.records import ListenerWatch, Percentiles, RunResult, Worker
from estab.report.idle_gaps import gap_table
from estab.report.layout import Glyphs, bar, columns, heading, indented, line, pairs
from estab.report.probes import probe_rows
from estab.report.words import clean, count, example_of, percent, seconds, size
from estab.words import places, plural

BUSY = 0.9  # of one core: from here a worker is bound by CPU
BAR_MOST = 32
_DRAIN_TOLD_S = 0.1  # each load ends a few milliseconds after its duration


def measured(run: RunResult, console: Console, glyphs: Glyphs) -> Iterator[RenderableType]:
    """The sections on what was measured, each with its heading; one with nothing to tell is left out."""
    yield heading("Funnel")
    yield indented(_funnel(run, console, glyphs))
    if run.failures:
        yield heading("Failures")
        yield indented(_failures(run, glyphs))
        yield from _peer(run)
    if run.idle_gaps:
        yield heading("Idle times")
        yield indented(gap_table(run.idle_gaps))
    if run.probes is not None:
        yield heading("Probes")
        yield indented(pairs(list(probe_rows(run, glyphs.micro))))
    figures = [
        *_throughput(run),
        *_open_loop(run, glyphs),
        *_visitors(run, glyphs),
        *_syn_retransmits(run),
        *_listener(run),
        *(("CPU bound", f"{text} of a core (the busiest worker of each)") for text in cpu_bound(run)),
        *_lost(run),
    ]
    latency = _latency(run, glyphs)
    if figures or latency:
        yield heading("Measured")
    if figures:
        yield indented(pairs(figures))
    if latency:
        yield indented(latency)


def _funnel(run: RunResult, console: Console, glyphs: Glyphs) -> Table:
    funnel = run.funnel
    stages = [
        ("attempted", funnel.attempted),
        ("connected", funnel.connected),
        ("accepted", funnel.accepted),
        ("first byte", funnel.first_byte if run.requests is not None else None),
        ("completed", funnel.completed),
    ]
    width = max(8, min(BAR_MOST, console.width - 40))
    table = columns()
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="cyan")
    for name, value in stages:
        if value is None:
            table.add_row(name, "-", "", Text(_why_none(run, name), style="dim"))
            continue
        share = value / funnel.attempted if funnel.attempted > 0 else 0.0
        table.add_row(name, count(value), percent(value, funnel.attempted), bar(share, width, glyphs))
    return table


def _why_none(run: RunResult, stage: str) -> str:
    if stage != "first byte":
        return "not observed"
    return "not measured (hold sends nothing)" if run.command == "hold" else "not measured"


def _peer(run: RunResult) -> Iterator[RenderableType]:
    """Who answers there, where no reply was what was expected. Where no cause is named the verdict says it."""
    if run.no_echo is not None and run.cause is not None:
        yield indented(line(clean(first_bytes.no_echo(run.no_echo.first_bytes or ""))))
    if run.no_http is not None and run.cause is not None:
        yield indented(line(clean(first_bytes.no_http(run.no_http.first_bytes or ""))))


def _failures(run: RunResult, glyphs: Glyphs) -> Table:
    table = columns(header=True)
    table.add_column("phase", no_wrap=True)
    table.add_column("why", no_wrap=True, style="red")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first at", justify="right", no_wrap=True)
    table.add_column("example", overflow="fold")
    for failure in sorted(run.failures, key=lambda f: -f.count):
        example = example_of(failure)
        first, why = seconds(failure.first_s, glyphs.micro), clean(failure.kind.reason)
        table.add_row(Text(clean(failure.phase)), Text(why), count(failure.count), first, Text(example))
    return table


def _throughput(run: RunResult) -> list[tuple[str, str]]:
    figures = []
    connects = run.funnel.connected
    if run.command == "churn" and run.elapsed_s > 0 and connects:
        drained_s = run.elapsed_s - run.load_s
        drain = f", then {seconds(drained_s)} of drain" if drained_s >= _DRAIN_TOLD_S else ""
        text = f"{count(connects / run.load_s)}/s  ({plural(connects, 'connect')} in {seconds(run.load_s)}{drain})"
        figures.append(("connects", text))
    requests = run.requests
    if requests is None or not requests.count:
        return figures
    text = plural(requests.count, "request")
    if requests.per_second is not None:
        within = "" if requests.seconds is None else f" in {seconds(requests.seconds)}"
        text = f"{count(requests.per_second)}/s  ({text}{within})"
    figures.append(("requests", text))
    if requests.http_status:
        figures.append(("replies", ", ".join(f"{status}: {count(n)}" for status, n in requests.http_status.items())))
    if requests.renewed:
        figures.append(("made anew", plural(requests.renewed, "connection")))
    if requests.bytes and requests.seconds:
        figures.append(("bytes back", f"{size(requests.bytes / requests.seconds)}/s  ({size(requests.bytes)})"))
    return figures


def _open_loop(run: RunResult, glyphs: Glyphs) -> list[tuple[str, str]]:
    """How the schedule was kept."""
    loop = run.open_loop
    if loop is None:
        return []
    what = "connect" if run.command == "churn" else "request"
    free = "slot" if run.command == "churn" else "connection"
    parts = [f"{plural(loop.scheduled, what)} due"]
    if loop.late:
        worst = seconds(loop.worst_late_ms / 1e3, glyphs.micro)
        parts.append(f"{percent(loop.late, loop.scheduled)} begun over 1 ms late by ourselves (at worst {worst})")
    if loop.waited:
        parts.append(f"{percent(loop.waited, loop.scheduled)} found no free {free}")
    if loop.unsent:
        parts.append(f"{count(loop.unsent)} never begun")
    return [("open loop", ", ".join(parts if len(parts) > 1 else [*parts, "all begun in time"]))]


def _visitors(run: RunResult, glyphs: Glyphs) -> list[tuple[str, str]]:
    """Those who came and went beside the held connections."""
    came = run.visitors
    if came is None:
        return []
    text = f"{count(came.funnel.completed)} of {plural(came.funnel.attempted, 'connection')} came and went"
    if run.elapsed_s > 0:
        text += f", {count(came.funnel.completed / run.elapsed_s)}/s"
    if (connect := came.latency.connect_us) is not None:
        text += f", connect p50 {_micro(connect.p50, glyphs)}, p99 {_micro(connect.p99, glyphs)}"
    return [("visitors", text)]


def _latency(run: RunResult, glyphs: Glyphs) -> Table | None:
    rows = [("connect", run.latency.connect_us), ("request", run.latency.request_us)]
    known = [(name, percentiles) for name, percentiles in rows if percentiles is not None and percentiles.count]
    if not known:
        return None
    table = columns(header=True)
    table.add_column("latency", no_wrap=True)
    for name in ("p50", "p90", "p99", "p99.9", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, percentiles in known:
        table.add_row(name, *(_micro(value, glyphs) for value in _quantiles(percentiles)))
    return table


def _quantiles(percentiles: Percentiles) -> list[float | None]:
    return [percentiles.p50, percentiles.p90, percentiles.p99, percentiles.p999, percentiles.max]


def _micro(value: float | None, glyphs: Glyphs) -> str:
    return seconds(None if value is None else value / 1e6, glyphs.micro)


def _syn_retransmits(run: RunResult) -> list[tuple[str, str]]:
    """How often connects sent their SYN; nothing where every one was answered the first time."""
    known = {times: n for times, n in run.connects_by_resent.items() if n}
    if not any(known):
        return []
    *others, (times, n) = known.items()
    parts = [f"{times or 'none'} for {n:,}" for times, n in others]
    return [("SYN retransmits", ", ".join([*parts, f"{times or 'none'} for {plural(n, 'connect')}"]))]


def _listener(run: RunResult) -> list[tuple[str, str]]:
    server = run.server
    if server.listener is not None and server.observed:
        return [("accept queue", _queue(server.listener, run))]
    unseen = "no listener was found there" if server.observed else "the server's end is not on this host"
    return [("accept queue", f"not observed: {clean(server.why or unseen)}")]


def _queue(watch: ListenerWatch, run: RunResult) -> str:
    text = f"{places(watch.worst_depth, accept_queue.room(watch.limit))} used at worst"
    asked = run.config.get("backlog_asked")
    if isinstance(asked, int) and asked > watch.limit:
        text += f", the backlog of {asked:,} cut to {watch.limit:,}"
    if watch.full_samples:
        text += f", full in {watch.full_samples:,} of {plural(watch.samples, 'sample')}"
    if watch.listeners > 1:
        text += f"; fullest of {watch.listeners:,} listeners"
    return text


def cpu_bound(run: RunResult) -> list[str]:
    """A note where workers of ours had no CPU to spare: then the figures are the machine's."""
    busy = [(role, _busiest(workers)) for role, workers in _by_role(run).items()]
    bound = [f"{role} {fraction:.0%}" for role, fraction in busy if fraction is not None and fraction >= BUSY]
    return [", ".join(bound)] if bound else []


def _by_role(run: RunResult) -> dict[str, list[Worker]]:
    return {"client": run.client.workers, "server": run.server.workers}


def _busiest(workers: list[Worker]) -> float | None:
    return max((w.cpu_fraction for w in workers if w.cpu_fraction is not None), default=None)


def _lost(run: RunResult) -> list[tuple[str, str]]:
    return [
        ("worker lost", f"{clean(w.role)} {w.pid}: {clean(w.lost or '')}; its numbers until then are kept")
        for w in run.lost_workers
    ]


def stopped(run: RunResult) -> Text:
    """Said at the top of a run that ended before its time by itself."""
    what = "was an echo" if run.stopped == "no_echo" else "was HTTP"
    return line(f"Stopped after {seconds(run.elapsed_s)}: none of the replies {what}.", style="bold yellow")


def interrupted(run: RunResult) -> Text:
    """Said at the top of a run that a signal ended."""
    return line(f"Interrupted after {seconds(run.elapsed_s)}: what was seen until then.", style="bold yellow")
