"""What came of a run on many hosts -> one `ClusterResult`, judged as a whole. Pure, but for asking the judge.

A host's own run is judged as that host sees it. The server's counters count what came from all hosts: only the total
is set against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estab import __version__
from estab.api.hold import HoldRequest
from estab.api.request import LoadOptions, LoadRequest
from estab.cluster import clock as clocks
from estab.cluster import merge, shares, timeline
from estab.cluster.coordinator import Outcome, Part
from estab.cluster.messages import Attended
from estab.cluster.timeline import Track
from estab.diagnose import accepts, judge
from estab.records import (
    RUN_SCHEMA,
    ClientSide,
    Failure,
    FailureKind,
    Funnel,
    Ghosts,
    HostFacts,
    PortUse,
    RunResult,
    ServerSample,
    ServerSide,
    TimelinePoint,
    decode,
)
from estab.records.cluster import ClusterHost, ClusterResult, ClusterServer
from estab.records.failure import OF_CONNECTED, by_kind
from estab.words import plural

UNSEEN = "no worker is on the server's host; start one there: dask worker ADDRESS --resources estab-server=1"


@dataclass(frozen=True)
class ClusterRequest:
    """What was asked, when (Unix time), by whom and of whom: for the record. `engine` is what this host would take."""

    request: LoadRequest
    options: LoadOptions
    target: str
    scheduler: str
    idle: Mapping[str, str]
    here: HostFacts
    at_s: float
    engine: str


def result(asked: ClusterRequest, outcome: Outcome, shares: Sequence[int]) -> ClusterResult:
    """The whole record. `shares`: how many connections each part was given."""
    hosts = [host(part, share, outcome) for part, share in zip(outcome.parts, shares, strict=True)]
    skews = [host.start_skew_ms for host in hosts if host.start_skew_ms is not None]
    attended = outcome.attended()
    whole = total(asked, outcome, hosts, attended)
    return ClusterResult(
        scheduler=asked.scheduler,
        hosts=hosts,
        server=_server(outcome),
        idle=dict(asked.idle),
        total=whole,
        start_spread_ms=clocks.spread_ms(skews),
        start_uncertainty_ms=clocks.uncertainty_ms(host.clock for host in hosts if host.start_skew_ms is not None),
        scheduler_lost=outcome.scheduler_lost,
        interrupted=outcome.interrupted,
        estab_version=__version__,
    )


def host(part: Part, share: int, outcome: Outcome) -> ClusterHost:
    """One host's part."""
    generated = outcome.generated(part)
    run = None if generated is None else decode(bytes(generated.run), RunResult, RUN_SCHEMA)
    began, agreed = None if generated is None else generated.began_s, outcome.agreed_s
    return ClusterHost(
        address=part.member.address,
        name=part.member.name,
        connections=share,
        clock=part.clock,
        start_skew_ms=None if began is None or agreed is None else clocks.skew_ms(began, part.clock, agreed),
        run=run,
        lost=None if run is not None else part.lost or (str(part.error) if part.error else "it returned nothing"),
        last=None if run is not None else part.point,
        failures=[] if run is not None or part.point is None else _failures(part.point),
    )


def _failures(point: TimelinePoint) -> list[Failure]:
    """The failures that a point counts, by phase and errno."""
    counted = ((FailureKind.parse(text), count) for text, count in (point.failures or {}).items())
    return by_kind(Failure(phase=kind.phase, errno=kind.errno, count=count) for kind, count in counted)


def _server(outcome: Outcome) -> ClusterServer | None:
    part = outcome.server
    if part is None:
        return None
    lost = part.lost or (str(part.error) if part.error else None)
    return ClusterServer(address=part.member.address, name=part.member.name, clock=part.clock, lost=lost)


def total(
    asked: ClusterRequest, outcome: Outcome, hosts: Sequence[ClusterHost], attended: Attended | None
) -> RunResult:
    """All hosts as one run, with the server's end where it was seen, judged."""
    runs = [host.run for host in hosts if host.run is not None]
    failures = by_kind(
        failure for host in hosts for failure in (host.failures if host.run is None else host.run.failures)
    )
    server = _server_side(outcome, attended)
    whole = RunResult(
        command=asked.request.command,
        config=_config(asked, runs, hosts),
        host=asked.here,
        started_at_s=outcome.agreed_s or asked.at_s,
        elapsed_s=max((run.elapsed_s for run in runs), default=max((_reached(host) for host in hosts), default=0.0)),
        drain_s=max((run.drain_s for run in runs if run.drain_s is not None), default=None),
        engine=runs[0].engine if runs else asked.engine,
        interrupted=outcome.interrupted,
        stopped=next((run.stopped for run in runs if run.stopped is not None), None),
        funnel=merge.funnel([_funnel(host) for host in hosts], _accepted(asked, failures, hosts, server)),
        failures=failures,
        requests=merge.requests(run.requests for run in runs),
        open_loop=merge.open_loop(run.open_loop for run in runs),
        visitors=merge.visitors(run.visitors for run in runs),
        latency=merge.latency([run.latency for run in runs]),
        syn_retransmits=merge.counts(run.syn_retransmits for run in runs) or {},
        timeline=timeline.joined(_tracks(hosts), _samples(outcome, attended)),
        error_orders=merge.error_orders(order for run in runs for order in run.error_orders),
        arrival_order=merge.arrival_order(run.arrival_order for run in runs),
        ghosts=_ghosts(outcome, attended),
        stalls=merge.stalls(run.stalls for run in runs),
        connect_after=merge.connect_after(run.connect_after for run in runs),
        addresses=next((run.addresses for run in runs if run.addresses), []),
        client=_client_side(runs),
        server=server,
        estab_version=__version__,
    )
    return _judged(whole, hosts)


def _judged(whole: RunResult, hosts: Sequence[ClusterHost]) -> RunResult:
    """A run that lacks hosts is never called healthy."""
    diagnosis = judge(whole)
    lost = [host.name for host in hosts if host.lost is not None]
    if lost and diagnosis.cause is None:
        count = plural(len(lost), "host was", "hosts were")
        diagnosis = diagnosis.replace(
            summary=f"{count} lost ({', '.join(lost[:3])}): the run is not complete. {diagnosis.summary}"
        )
    return whole.replace(diagnosis=diagnosis)


def _config(asked: ClusterRequest, runs: Sequence[RunResult], hosts: Sequence[ClusterHost]) -> dict[str, Any]:
    """What was asked of all together, in the words of a run's own config."""
    config: dict[str, Any] = dict(runs[0].config) if runs else {}
    for name, value in {**asked.request.config(), "timeout_s": asked.options.timeout_s}.items():
        if not runs or (name in ("connections", *shares.COUNTS, *shares.RATES) and config.get(name) is not None):
            config[name] = value
    config["target"] = runs[0].config.get("target", asked.target) if runs else asked.target
    processes = [run.config.get("processes") for run in runs]
    config["processes"] = sum(count for count in processes if isinstance(count, int))
    config["sources"] = []
    config["hosts"] = len(hosts)
    return config


def _reached(host: ClusterHost) -> float:
    return host.last.t_s if host.last is not None else 0.0


def _funnel(host: ClusterHost) -> Funnel:
    if host.run is not None:
        return host.run.funnel
    last = host.last
    if last is None:
        return Funnel()
    return Funnel(
        attempted=last.attempted, connected=last.connected, first_byte=last.first_byte, completed=last.completed
    )


def _tracks(hosts: Sequence[ClusterHost]) -> list[Track]:
    return [
        Track(host.run.timeline, (host.start_skew_ms or 0.0) / 1e3)
        if host.run is not None
        else Track([host.last] if host.last is not None else [])
        for host in hosts
    ]


def _samples(outcome: Outcome, attended: Attended | None) -> list[tuple[float, ServerSample]]:
    """The server's samples, by seconds since the agreed start."""
    if attended is None or outcome.server is None or outcome.agreed_s is None:
        return []
    ahead = clocks.correction_s(outcome.server.clock) + outcome.agreed_s
    return [(sample.at_s - ahead, sample.seen) for sample in attended.samples]


def _server_side(outcome: Outcome, attended: Attended | None) -> ServerSide:
    if attended is not None:
        return attended.server.replace(via=f"worker {outcome.server.member.name}" if outcome.server else None)
    if outcome.server is None:
        return ServerSide(observed=False, why=UNSEEN)
    why = outcome.server.lost or str(outcome.server.error or "it returned nothing")
    return ServerSide(observed=False, why=f"the worker on the server's host was lost: {why}")


def _accepted(
    asked: ClusterRequest, failures: Sequence[Failure], hosts: Sequence[ClusterHost], server: ServerSide
) -> int | None:
    """The server's word on how many it accepted: its sockets with an inode, where all of them stayed to be counted."""
    stay = isinstance(asked.request, HoldRequest) and asked.request.churn_rate_per_s is None
    gone = any(failure.phase in OF_CONNECTED for failure in failures) or any(host.lost for host in hosts)
    return accepts.since_before(server) if stay and not gone else None


def _ghosts(outcome: Outcome, attended: Attended | None) -> Ghosts | None:
    """Held and not at the server, counted by the clients' addresses; None where addresses are rewritten between."""
    if attended is None or attended.held is None:
        return None
    every = [held.held for held in outcome.parts]
    if not every or any(held is None for held in every):
        return None
    held, there = merge.counts(every) or {}, attended.held
    if held and held.keys().isdisjoint(there):
        return None
    return Ghosts(
        count=sum(max(0, count - there.get(address, 0)) for address, count in held.items()),
        client_established=sum(held.values()),
        server_established=sum(there.get(address, 0) for address in held),
    )


def _client_side(runs: Sequence[RunResult]) -> ClientSide:
    """The hosts' ends: counters added up, the worst use of ports, every process; one host's snapshots."""
    if not runs:
        return ClientSide()
    worst = max(runs, key=lambda run: run.client_failures)
    uses: list[PortUse] = [run.client.port_use for run in runs if run.client.port_use is not None]
    return ClientSide(
        before=worst.client.before,
        after=worst.client.after,
        deltas=merge.counts(run.client.deltas for run in runs),
        port_use=max(uses, key=lambda use: use.used / max(1, use.capacity or 1), default=None),
        resending=worst.client.resending,
        workers=[worker for run in runs for worker in run.client.workers],
    )
