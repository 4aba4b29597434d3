"""From recorded snapshots to a twin: the state that they show, and the load that it implies. Pure.

A snapshot holds no load. What it implies is taken for granted, said so, and can be given: connections, round-trip time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from estab.diagnose import facts
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.diagnose.snapshots import fit, judge_snapshots
from estab.errors import ReadError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules import accept_queue
from estab.lab.stage.setup import LoadSpec, Path, Setup, Sysctls
from estab.lab.twin.plan import Planned, sysctls_of
from estab.records import Diagnosis, PortUse, Snapshot
from estab.words import plural

LONGEST_S = 5.0  # of the time between two snapshots that a twin plays
ONE_LOOK_S = 0.5  # into the load, where there is one snapshot only
_MORE = 0.1  # of what fits: how many more are taken to come than a full queue, or a full range, has room for
_RESENT = 4  # SYNs that a client sends again, one a second at first (tcp_syn_linear_timeouts)
_PORTS = ("bound_ports_poisoned", "time_wait_port_exhaustion", "ephemeral_port_exhaustion")
_BURSTS = ("syn_queue_overflow", "abort_on_overflow")
_BURST_RTT_S = 0.01


@dataclass(frozen=True)
class SnapshotPair:
    """One or two snapshots of one host (`before` None: one, or two that can't be compared), and their verdict."""

    before: Snapshot | None
    after: Snapshot
    diagnosis: Diagnosis

    @property
    def seen(self) -> Snapshots:
        """As suspects ask of them."""
        return Snapshots(self.before, self.after)

    @property
    def of_client(self) -> bool:
        """Does the verdict speak of the use of local ports?"""
        return self.diagnosis.cause in _PORTS

    @property
    def look_s(self) -> float:
        """When to look at the twin: so long after its load began, or after the first look."""
        return min(LONGEST_S, max(ONE_LOOK_S, self.seen.span_s)) if self.before else ONE_LOOK_S

    @property
    def first_s(self) -> float | None:
        """When to look for the first time; None: not before the only look; 0: before the load.

        A queue that was full at the first snapshot had turned its first SYNs away by then.
        """
        if self.before is None:
            return None
        return ONE_LOOK_S if self.was_full else 0.0

    @property
    def was_full(self) -> bool:
        """Was the queue in the greatest distress full at the first snapshot already?"""
        then = self.seen.queues[0].then if self.seen.queues else None
        return then is not None and then.depth >= accept_queue.room(then.limit)


def judged(series: list[Snapshot]) -> SnapshotPair:
    """The first and the last of them, judged."""
    ordered = sorted(series, key=lambda snapshot: snapshot.taken_at_s)
    before = ordered[0] if len(ordered) > 1 and fit(ordered[0], ordered[-1]) else None
    return SnapshotPair(before, ordered[-1], judge_snapshots(before, ordered[-1]))


def plan(pair: SnapshotPair) -> Planned:
    """The twin of what they show. Raises ReadError where they show neither a listener nor the use of ports."""
    assumed: list[str] = []
    lost: dict[str, str] = {}
    sysctls = sysctls_of("host", pair.after, assumed, lost)
    setup = _of_ports(pair, sysctls, assumed) if pair.of_client else _of_queue(pair, sysctls, assumed)
    assumed.append(
        "the clients' round-trip time is not in a snapshot: "
        + ("both ends on one loopback" if setup.rtt_s is None else f"{setup.rtt_s * 1000:g} ms")
        + " (--rtt sets it)"
    )
    return Planned(setup, tuple(assumed), tuple(f"{name}: {why}" for name, why in lost.items()))


# -- a listener -------------------------------------------------------------------------------------------------------


def _of_queue(pair: SnapshotPair, sysctls: Sysctls, assumed: list[str]) -> Setup:
    seen = pair.seen
    if not seen.queues:
        raise ReadError("the snapshot shows no listener, and no use of ports towards a target: nothing can be rebuilt")
    queue = seen.queues[0]
    where = endpoint(queue.now.address, queue.now.port)
    assumed.append(f"of {len(seen.queues):,} listeners the one in the greatest distress is rebuilt: {where}")
    limit = max(0, queue.now.limit)
    setup = Setup(load=_held(queue, pair), server=sysctls, client=sysctls, backlog=limit)
    if setup.somaxconn is not None and limit > setup.somaxconn:
        setup = setup.with_sysctl("server", "net.core.somaxconn", limit)
    setup = _descriptors(queue, setup) if pair.diagnosis.cause == "server_open_files" else setup
    setup = _pace(queue, pair, setup, assumed)
    if pair.diagnosis.cause in _BURSTS:
        many = setup.load.connections
        assumed.append(f"{many:,} SYNs reach the server at one moment")
        setup = replace(setup, rtt_s=_BURST_RTT_S, path=Path(gather=many))
    return setup


def _held(queue: Queue, pair: SnapshotPair) -> LoadSpec:
    """Clients that connect at once and keep what they get until the moment of the look."""
    return LoadSpec(
        command="hold",
        connections=max(1, queue.now.depth),
        in_flight=max(1, queue.now.depth),
        duration_s=ONE_LOOK_S,
        timeout_s=round((pair.first_s or 0.0) + pair.look_s + 1.0, 1),
        processes=1,
    )


def _descriptors(queue: Queue, setup: Setup) -> Setup:
    """The owner that has no descriptor left, and as many clients as it takes for that."""
    full = min(
        (owner for owner in queue.now.owners or [] if owner.fds is not None and owner.nofile_soft is not None),
        key=lambda owner: (owner.nofile_soft or 0) - (owner.fds or 0),
        default=None,
    )
    if full is None or full.nofile_soft is None:
        return setup
    many = full.nofile_soft + queue.now.depth
    return replace(setup.with_load(connections=many, in_flight=many), server_nofile=full.nofile_soft)


def _pace(queue: Queue, pair: SnapshotPair, setup: Setup, assumed: list[str]) -> Setup:
    """How the server accepted, and so how many clients there are."""
    if pair.diagnosis.cause == "server_open_files":
        return setup
    accepted = _accepted(queue, pair)
    turned = _turned_away(queue, pair)
    if not queue.full and not turned:
        return _with(setup, _established(queue, pair) or queue.now.depth, assumed, "as many as are connected")
    waiting = accept_queue.room(setup.backlog) if queue.full else queue.now.depth
    if pair.before is None:
        assumed.append(f"the server stands still while they come, and accepts again after {2 * ONE_LOOK_S:g} s")
        more = math.ceil(waiting * _MORE)
        told = f"as many as wait, and {_MORE:.0%} more: how many found no room is not in one snapshot"
        return _with(replace(setup, pauses=((0.0, 2 * ONE_LOOK_S),)), waiting + more, assumed, told)
    each = max(1, min(_RESENT, int(pair.look_s)) + (0 if pair.was_full else 1))
    behind = math.ceil((turned or 0) / each)
    told = f"as many as wait, were accepted, and sent the {turned or 0:,} SYNs that found no room"
    if not accepted:
        assumed.append("nothing was accepted between the two: the server never accepts")
        return _with(replace(setup, accepts=False), waiting + behind, assumed, told)
    gap_s = pair.seen.span_s / accepted
    assumed.append(f"{1 / gap_s:,.1f} accepts a second, as PassiveOpens and the queue tell")
    arrived = round(accepted * min(1.0, pair.look_s / pair.seen.span_s))
    setup = _with(replace(setup, accept_delay_s=min(3600.0, gap_s)), waiting + arrived + behind, assumed, told)
    return setup.with_load(ramp_per_s=setup.load.connections / pair.look_s)


def _with(setup: Setup, connections: int, assumed: list[str], told: str) -> Setup:
    many = max(1, connections)
    assumed.append(f"{plural(many, 'client')}, {told} (--connections sets it)")
    return setup.with_load(connections=many, in_flight=many)


def _turned_away(queue: Queue, pair: SnapshotPair) -> int | None:
    """SYNs that found no room between the two, as far as the twin plays that time. None: not known."""
    known = [queue.drops, pair.seen.rose(facts.LISTEN_OVERFLOWS)]
    most = max((count for count in known if count is not None), default=None)
    if most is None or not pair.seen.span_s:
        return most
    return round(most * min(1.0, pair.look_s / pair.seen.span_s))


def _accepted(queue: Queue, pair: SnapshotPair) -> int:
    """Accepted between the two: what the kernel opened, less what the queue grew by. 0 also where it is not known."""
    opened = pair.seen.rose(facts.PASSIVE_OPENS)
    if opened is None or queue.then is None:
        return 0
    return max(0, opened - (queue.now.depth - queue.then.depth))


def _established(queue: Queue, pair: SnapshotPair) -> int | None:
    if pair.after.server_sockets is not None and pair.after.server_sockets.port == queue.now.port:
        return pair.after.server_sockets.states.get("ESTAB")
    ports = pair.after.census.ports if pair.after.census else []
    return next((port.states.get("ESTAB") for port in ports if port.port == queue.now.port), None)


# -- local ports ------------------------------------------------------------------------------------------------------


def _of_ports(pair: SnapshotPair, sysctls: Sysctls, assumed: list[str]) -> Setup:
    use = pair.after.port_use
    assert use is not None, "the verdict rests on it"
    room = max(1, (use.capacity or use.used) - (use.bound or 0)) * max(1, use.sources)
    many = room + max(1, round(room * _MORE))
    assumed.append(f"{plural(many, 'connect')}, {_MORE:.0%} more than there are ports (--connections sets it)")
    waits = pair.diagnosis.cause == "time_wait_port_exhaustion"
    load = LoadSpec(
        command="churn" if waits else "hold",
        connections=min(many, 10) if waits else many,
        in_flight=many,
        attempts=many if waits else 0,
        duration_s=LONGEST_S if waits else 2 * ONE_LOOK_S,
        timeout_s=3.0,
        processes=1,
        sources=use.sources if use.sources > 1 else 0,
        size_bytes=1,
    )
    bound = use.bound or 0 if pair.diagnosis.cause == "bound_ports_poisoned" else 0
    return Setup(load=load, client=sysctls, server=sysctls, bound=bound)


def figures(pair: SnapshotPair, scale: float = 1.0) -> dict[str, float | None]:
    """What the two sides are compared by; counts times `scale`."""
    # A look at a whole host counts its targets as well: there the cause decides what it is about.
    if pair.of_client or (pair.after.port_use is not None and pair.after.targets is None):
        return _port_figures(pair.after.port_use, scale)
    queues = pair.seen.queues
    if not queues:
        return {}
    shown: dict[str, float | None] = {
        "waiting in the accept queue": queues[0].now.depth * scale,
        "places in it": accept_queue.room(queues[0].now.limit) * scale,
    }
    if pair.before is not None and pair.seen.span_s > 0 and pair.seen.deltas is not None:
        for name in (facts.LISTEN_OVERFLOWS, facts.LISTEN_DROPS, facts.REQ_QUEUE_DROP, facts.EMBRYONIC_RSTS):
            rose = pair.seen.rose(name)
            shown[f"{name.split('.')[1]} a second"] = None if rose is None else rose * scale / pair.seen.span_s
    return shown


def _port_figures(use: PortUse | None, scale: float) -> dict[str, float | None]:
    if use is None:
        return {}
    return {
        "local ports in use": use.used * scale,
        "of them in TIME_WAIT": use.time_wait * scale,
        "owned by bind()": None if use.bound is None else use.bound * scale,
    }


def outcome(pair: SnapshotPair) -> str:
    """What they show, in a few words."""
    told = [f"{value:,.0f} {what}" for what, value in figures(pair).items() if value]
    return ", ".join(told) or "nothing waits, nothing is full"
