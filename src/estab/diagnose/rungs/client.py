"""What the client's own process and addresses allow: descriptors and local ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.diagnose.rungs.view import RANGE, RESERVED, BothEnds, natural, number, numbers, port_use, text, why
from estab.errors import EstabError
from estab.kernel.rules import descriptors, ephemeral_ports, kernel_version, time_wait
from estab.records import Limit, PortUse

OPEN_FILES = "client_open_files"
OPEN_FILES_HARD = "client_open_files_hard"
NR_OPEN = "nr_open"
PORTS = "ephemeral_ports"
PROCESSES = "pids"
PER_PROCESS = (OPEN_FILES, OPEN_FILES_HARD, NR_OPEN)
_RLIMIT = "getrlimit RLIMIT_NOFILE"
_WIDEST = (1024, ephemeral_ports.PORT_MAX)


def rungs(view: BothEnds) -> Iterator[Limit]:
    """The client's rungs, in no order."""
    yield from _open_files(view)
    yield _nr_open(view)
    if not view.is_unix:
        yield _ports(view)
    yield from _processes(view)


# Descriptors -------------------------------------------------------------------------------------------------------


def _open_files(view: BothEnds) -> Iterator[Limit]:
    own = view.spread.own_descriptors
    soft, hard = natural(view.client.nofile_soft), natural(view.client.nofile_hard)
    descriptors_left = descriptors.available(soft, own, hard)
    above = hard is not None and soft is not None and hard > soft
    yield Limit(
        limit=OPEN_FILES,
        side="client",
        unit="descriptors of one process",
        value=soft,
        used=own,
        capacity_connections=descriptors_left.available,
        source=f"{_RLIMIT}, soft",
        raise_with=f"ulimit -n {hard}" if above else _raise_hard(view, soft),
        restart="the client: a process inherits it; one that runs: prlimit --pid PID --nofile=N:N",
        why_unknown=None if soft is not None else "RLIMIT_NOFILE is unlimited or was not read",
    )
    if above:
        yield Limit(
            limit=OPEN_FILES_HARD,
            side="client",
            unit="descriptors of one process",
            value=hard,
            used=own,
            capacity_connections=descriptors_left.reachable,
            source=f"{_RLIMIT}, hard",
            raise_with=_raise_hard(view, hard),
            restart="the client, from a new login or unit",
        )


def _raise_hard(view: BothEnds, now: int | None) -> str:
    """The hard limit goes up to fs.nr_open, by root alone (kernel/sys.c do_prlimit)."""
    most = number(view.client, "fs.nr_open")
    aim = most if most is not None and (now is None or most > now) else 2 * (now or 524_288)
    return f"ulimit -n {aim} as root; LimitNOFILE={aim} in its systemd unit; nofile in /etc/security/limits.conf"


def _nr_open(view: BothEnds) -> Limit:
    value, own = number(view.client, "fs.nr_open"), view.spread.own_descriptors
    return Limit(
        limit=NR_OPEN,
        side="client",
        unit="descriptors of one process",
        value=value,
        used=own,
        capacity_connections=descriptors.available(value, own).available,
        source="/proc/sys/fs/nr_open",
        raise_with=f"sysctl -w fs.nr_open={2 * (value or 1 << 20)}",
        restart="the client, with a higher ulimit -n",
        note="the highest that RLIMIT_NOFILE of any process may become",
        why_unknown=None if value is not None else why(view.client, "sysctls.fs.nr_open", otherwise="not read"),
    )


def _processes(view: BothEnds) -> Iterator[Limit]:
    """Where the cgroup limits processes, it limits how far descriptors can be spread."""
    cgroup, soft = view.client.cgroup, natural(view.client.nofile_soft)
    if cgroup is None or cgroup.pids_max is None:
        return
    left = descriptors.available(natural(cgroup.pids_max), natural(cgroup.pids_current)).available
    each = descriptors.available(soft, view.spread.own_descriptors).available
    yield Limit(
        limit=PROCESSES,
        side="client",
        unit="processes",
        value=cgroup.pids_max,
        used=cgroup.pids_current,
        capacity_connections=None if left is None or each is None else left * each,
        source=f"cgroup {cgroup.path or ''} pids.max".replace("  ", " "),
        raise_with="TasksMax= in the unit, or pids.max of the cgroup",
        restart="nothing",
        note="as many processes more, each with its descriptors full",
        why_unknown=None if left is not None and each is not None else "pids.current or RLIMIT_NOFILE was not read",
    )


# Ports -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """Local ports of one source address towards the target. `total` leaves out the reserved and the bound ones.

    `held` are those that cannot be had now; `bound` and `reserved` of the range are gone for every target.
    """

    low: int
    high: int
    total: int
    held: int
    reserved: int
    bound: int | None
    odd: bool


def ports(view: BothEnds) -> Ports | None:
    """The ports, as rule 21 counts them. None: the range was not read. Raises EstabError for one that cannot be."""
    bounds = numbers(view.client, RANGE)
    if bounds is None or len(bounds) != 2:
        return None
    low, high = bounds
    reserved = ephemeral_ports.parse_port_ranges(text(view.client, RESERVED) or "")
    capacity = ephemeral_ports.capacity(low, high, reserved)
    use = port_use(view)
    bound = _bound(view, use, low, high, reserved)
    return Ports(
        low=low,
        high=high,
        total=max(0, int(capacity.connections.low) - (bound or 0)),
        held=_held(view, use) if use else 0,
        reserved=high - low + 1 - capacity.ports,
        bound=bound,
        odd=not capacity.connections.exact,
    )


def _bound(view: BothEnds, use: PortUse | None, low: int, high: int, reserved: frozenset[int]) -> int | None:
    """Ports lost to bind(): those that sock_diag counted, else the listeners'. Reserved ones were taken off already."""
    listening = {listener.port for listener in view.client.listeners or () if low <= listener.port <= high}
    if use is not None and use.bound is not None:
        return max(0, use.bound - len(listening & reserved))
    return None if view.client.listeners is None else len(listening - reserved)


def _held(view: BothEnds, use: PortUse) -> int:
    """Ports of one source address that are in use, without those in TIME_WAIT that connect() takes over."""
    worst = use.used if use.worst_source_used is None else use.worst_source_used
    # Of several sources nobody says whose the TIME_WAIT are: then all are taken for held.
    taken_over = use.time_wait if reuses(view) and use.sources <= 1 else 0
    return max(0, worst - max(0, taken_over))


def reuses(view: BothEnds) -> bool:
    """Whether connect() takes over ports in TIME_WAIT towards the target (rule 22)."""
    mode, stamps = number(view.client, "net.ipv4.tcp_tw_reuse"), number(view.client, "net.ipv4.tcp_timestamps")
    if mode not in (0, 1, 2):
        return False
    return time_wait.reuses(mode, loopback=view.loopback, timestamps=stamps != 0)


def _ports(view: BothEnds) -> Limit:
    blank = Limit(
        limit=PORTS,
        side="client",
        unit="ports of one source address to one target",
        source=f"{RANGE}, {RESERVED}, sock_diag",
        restart="nothing: it counts at once",
    )
    try:
        room = ports(view)
    except EstabError as error:
        return blank.replace(why_unknown=str(error))
    if room is None:
        return blank.replace(why_unknown=why(view.client, f"sysctls.{RANGE}", otherwise="the port range was not read"))
    return blank.replace(
        value=room.total,
        used=room.held if port_use(view) is not None else None,
        capacity_connections=max(0, room.total - room.held),
        raise_with=_more_ports(room),
        note="; ".join(_port_notes(view, room)),
    )


def _more_ports(room: Ports) -> str:
    more = "more source addresses at the client (estab hold --source ADDRESS), or more addresses or ports at the server"
    if (room.low, room.high) == _WIDEST:
        return more
    return f'sysctl -w {RANGE}="{_WIDEST[0]} {_WIDEST[1]}"; then {more}'


def _port_notes(view: BothEnds, room: Ports) -> Iterator[str]:
    use = port_use(view)
    yield f"range {room.low}-{room.high}"
    if room.reserved:
        yield f"less {room.reserved:,} reserved"
    if room.bound:
        yield f"less {room.bound:,} owned by bind(), listeners included"
    if room.bound is None or (use is not None and use.bound is None):
        yield "ports of sockets that only did bind() are not seen"
    if room.odd:
        yield "of an odd number each search misses one"
    if use is None:
        if view.target is not None:
            yield "ports in use towards the target were not observed"
    elif use.time_wait:
        yield f"{use.time_wait:,} in TIME_WAIT, {_reuse_words(view, use)}"


def _reuse_words(view: BothEnds, use: PortUse) -> str:
    if not reuses(view):
        return "held for 60 s"
    if use.sources > 1:
        return "counted as held: they are several source addresses'"
    return f"not counted: connect() takes them over {_delay(view)}"


def _delay(view: BothEnds) -> str:
    try:
        kernel = kernel_version.of(view.client.host)
        wait = time_wait.reuse_after_s(kernel, number(view.client, "net.ipv4.tcp_tw_reuse_delay"))
    except EstabError:
        return "after a while"
    return f"after {wait} s"
