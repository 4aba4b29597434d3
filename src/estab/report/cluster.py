"""A run on many hosts on the terminal: a line a host, what was lost, all as one run; and what a check found."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records.cluster import ClusterCheck, ClusterHost, ClusterResult, ClusterWorker
from estab.report.answer.run import answer_run, brief_run
from estab.report.layout import Glyphs, columns, glyphs_for, heading, indented, line
from estab.report.text import render
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds
from estab.words import plural

_HOSTS = 3  # in the answer, beside its verdict on one screen


def render_cluster(result: ClusterResult, console: Console) -> None:
    """Prints the whole report of a run on many hosts: each host, then all of them as one run."""
    glyphs = glyphs_for(console)
    print_trimmed(console, *_hosts(result, glyphs))
    print_trimmed(console, heading("All hosts as one run"))
    render(result.total, console)


def answer_cluster(result: ClusterResult, console: Console) -> None:
    """Prints the answer: all of them as one run, then a line a host."""
    glyphs = glyphs_for(console)
    answer_run(result.total, console)
    lost = [host for host in result.hosts if host.lost is not None]
    shown = [*lost, *(host for host in result.hosts if host.lost is None)][:_HOSTS]
    parts: list[RenderableType] = [indented(line(_who(result), style="dim")), indented(_table(shown, glyphs))]
    if len(result.hosts) > _HOSTS:
        parts.append(indented(line(f"{plural(len(result.hosts) - _HOSTS, 'host')} more (-v)", style="dim")))
    for text in [result.scheduler_lost, *(f"{host.name} was lost: {host.lost}" for host in lost[:1])]:
        if text is not None:
            parts.append(indented(line(clean(text), style="bold yellow")))
    print_trimmed(console, *parts)


def brief_cluster(result: ClusterResult, glyphs: Glyphs) -> str:
    """The answer in one line."""
    return f"{brief_run(result.total, glyphs)} ({plural(len(result.hosts), 'host')})"


def _hosts(result: ClusterResult, glyphs: Glyphs) -> Iterator[RenderableType]:
    if result.scheduler_lost is not None:
        yield line(f"{clean(result.scheduler_lost)}: what follows is what was known by then.", style="bold yellow")
    yield line(_who(result), style="bold")
    yield indented(_table(result.hosts, glyphs))
    for host in result.hosts:
        if host.lost is not None:
            yield indented(line(f"{clean(host.name)} was lost: {clean(host.lost)}", style="bold yellow"))
    yield indented(line(_start(result, glyphs), style="dim"))
    yield indented(line(_server(result), style="dim"))
    for address, why in result.idle.items():
        yield indented(line(f"idle: {clean(address)}: {clean(why)}", style="dim"))


def _who(result: ClusterResult) -> str:
    return f"{plural(len(result.hosts), 'host')} by the scheduler at {clean(result.scheduler)}"


def _table(hosts: list[ClusterHost], glyphs: Glyphs) -> Table:
    table = columns(header=True)
    table.add_column("host", no_wrap=True)
    for title in ("began", "attempted", "connected", "failed", "requests", "p99"):
        table.add_column(title, justify="right", no_wrap=True)
    for host in hosts:
        table.add_row(clean(host.name), *(Text(cell) for cell in _cells(host, glyphs)))
    return table


def _cells(host: ClusterHost, glyphs: Glyphs) -> Iterator[str]:
    yield "" if host.start_skew_ms is None else f"{host.start_skew_ms:+.2f} ms"
    if host.run is None:
        last = host.last
        yield from (["", "", "", ""] if last is None else map(count, (last.attempted, last.connected, last.failed)))
        yield from ([] if last is None else [count(last.requests) if last.requests else ""])
        yield "lost"
        return
    run = host.run
    yield from map(count, (run.funnel.attempted, run.funnel.connected, sum(each.count for each in run.failures)))
    yield count(run.requests.count) if run.requests else ""
    latency = run.latency.request_us or run.latency.connect_us
    yield seconds(latency.p99 / 1e6, glyphs.micro) if latency and latency.p99 is not None else ""


def _start(result: ClusterResult, glyphs: Glyphs) -> str:
    clocks = [abs(host.clock.offset_ms) for host in result.hosts]
    told = f"clocks within {max(clocks):.2f} ms of this one" if clocks else ""
    if result.start_spread_ms is None:
        return told
    sure = f" (known to {result.start_uncertainty_ms:.2f} ms)" if result.start_uncertainty_ms is not None else ""
    return f"started within {result.start_spread_ms:.2f} ms of each other{sure}{glyphs.dot}{told}"


def _server(result: ClusterResult) -> str:
    if result.server is None:
        return "server's end: no worker there; start one with --resources estab-server=1"
    if result.server.lost is not None:
        return f"server's end: {clean(result.server.name)} was lost: {clean(result.server.lost)}"
    return f"server's end: watched by {clean(result.server.name)}"


def render_check(check: ClusterCheck, console: Console) -> None:
    """Prints every worker of a cluster: what it is, how far its clock is off, what it could generate."""
    glyphs = glyphs_for(console)
    title = f"{plural(len(check.workers), 'worker')} by the scheduler at {clean(check.scheduler)}"
    print_trimmed(console, line(title, style="bold"))
    table = columns(header=True)
    for title in ("worker", "part", "estab"):
        table.add_column(title, no_wrap=True)
    for title in ("cores", "nofile", "ports", "clock", "can hold"):
        table.add_column(title, justify="right", no_wrap=True)
    for worker in check.workers:
        table.add_row(*(Text(cell) for cell in _check_cells(worker)))
    print_trimmed(console, indented(table))
    for worker in check.workers:
        for told in _remarks(worker, glyphs):
            print_trimmed(console, indented(told))
    print_trimmed(console, line("\n" + _sum(check)))


def _check_cells(worker: ClusterWorker) -> Iterator[str]:
    yield clean(worker.name)
    yield worker.role
    yield clean(worker.estab_version or "?")
    for number in (worker.cores, worker.nofile_soft, worker.ports):
        yield "?" if number is None else count(number)
    yield "?" if worker.clock is None else f"{worker.clock.offset_ms:+.2f} ±{worker.clock.uncertainty_ms:.2f} ms"
    yield "" if worker.role == "server" else "?" if worker.connections is None else count(worker.connections)


def _remarks(worker: ClusterWorker, glyphs: Glyphs) -> Iterator[Text]:
    if worker.problem is not None:
        yield line(clean(worker.problem), style="bold yellow")
    elif worker.role == "generator" and worker.binding is not None:
        parts = [f"{clean(worker.name)}: {clean(worker.binding)} is the first limit there"]
        parts += [f"{plural(worker.processes, 'process', 'processes')} would carry them"] if worker.processes else []
        yield line(glyphs.dot.join(parts), style="dim")


def _sum(check: ClusterCheck) -> str:
    generators = [worker for worker in check.workers if worker.role == "generator"]
    if any(worker.problem is not None for worker in check.workers if worker.role != "idle"):
        return "Not ready: see above."
    sees = any(worker.role == "server" for worker in check.workers)
    server = "" if sees else " No worker sees the server's end (--resources estab-server=1)."
    connections = "an unknown number of" if check.connections is None else count(check.connections)
    return f"Ready: {plural(len(generators), 'host')} could hold {connections} connections to one target.{server}"
