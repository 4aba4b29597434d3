"""A remedy of a verdict, as a change of a setup; or why a setup can't say anything of it. Pure.

A remedy says by `changes` what it changes, and each kind of change has one rule here. What has none, or belongs to a
program, to another machine or to the whole host, is said not to be expressed, and is then not called proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from estab.errors import UsageError
from estab.lab.process.namespace import check_sysctl
from estab.lab.stage import scaling
from estab.lab.stage.setup import Host, Setup
from estab.load.plan import OWN_DESCRIPTORS
from estab.records import Change, Remedy
from estab.words import plural

_OF_CLIENTS = ("ip_local_", "tcp_tw_", "tcp_timestamps", "tcp_fin_timeout", "tcp_syn_retries", "tcp_syn_linear")
_LONGEST_TIMEOUT_S = 10.0
_MOST_NAT_PORTS = 64512  # 1024 to 65535
LOOKS = "it looks, and changes nothing"


@dataclass(frozen=True)
class Expressed:
    """The setup with the remedy, and what was changed; `setup` None: it can't be, and `did` is the reason."""

    setup: Setup | None
    did: str


_Rule = Callable[[Change, Setup, float], Expressed]


def express(remedy: Remedy, setup: Setup, scale: float) -> Expressed:
    """What a remedy is in a setup, which is `scale` times what the remedy was given for."""
    if not remedy.changes:
        return Expressed(None, "it does not say what it changes")
    now, did = setup, []
    for change in remedy.changes:
        rule = _RULES.get(change.kind)
        if rule is None:
            return Expressed(None, f"changes of the kind {change.kind!r} are not known here")
        done = rule(change, now, scale)
        if done.setup is None:
            return done
        now = done.setup
        did.append(done.did)
    if now == setup and remedy.works:
        return Expressed(None, f"{', '.join(did)}: it is so already")
    return Expressed(now, ", ".join(did))


def _whole(change: Change) -> int:
    return int(change.value) if change.value is not None else 0


# -- the server -------------------------------------------------------------------------------------------------------


def _accept(_change: Change, setup: Setup, _scale: float) -> Expressed:
    return Expressed(setup.accepting(), "the server accepts at once")


def _share_cpu(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if not setup.burners:
        return Expressed(None, "the server here has no threads that burn the CPU")
    return Expressed(replace(setup, burners=0), "no thread burns the CPU beside the accepting one")


def _close(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if not setup.leaks:
        return Expressed(None, "the server here closes what its clients closed")
    return Expressed(replace(setup, leaks=0), "the server closes what its clients closed")


def _listen(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.closes is not None and setup.closes[0] == "no_backend":
        return Expressed(replace(setup, closes=None), "the proxy's backend listens")
    return Expressed(replace(setup, listens=True), "a server listens there")


def _end_member(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if not 0 < setup.stuck < setup.processes:
        return Expressed(None, "none of several listeners is left standing here")
    left = setup.processes - setup.stuck
    return Expressed(replace(setup, processes=left, stuck=0), f"the other {plural(left, 'process', 'processes')} alone")


def _queue(change: Change, setup: Setup, scale: float) -> Expressed:
    """Both bounds of a queue: a backlog that somaxconn cuts is no remedy, and the verdict's list says so."""
    size = scaling.times(_whole(change), scale)
    deeper = replace(setup, backlog=max(size, setup.backlog))
    if setup.somaxconn is None or setup.somaxconn < size:
        deeper = deeper.with_sysctl("server", "net.core.somaxconn", size)
    return Expressed(deeper, f"listen({size}), somaxconn not below that")


def _backlog(change: Change, setup: Setup, _scale: float) -> Expressed:
    size = max(4 * setup.backlog, _whole(change))
    return Expressed(replace(setup, backlog=size), f"listen({size}), somaxconn as it is")


def _defer(change: Change, setup: Setup, _scale: float) -> Expressed:
    text = f"TCP_DEFER_ACCEPT {_whole(change)} s" if _whole(change) else "no TCP_DEFER_ACCEPT"
    return Expressed(replace(setup, defer_s=_whole(change)), text)


def _read_all(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.closes is None or setup.closes[0] != "unread":
        return Expressed(None, "the server here reads all that it is sent")
    return Expressed(replace(setup, closes=None), "the server reads all, and answers")


def _idle_longer(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.closes is None or setup.closes[0] != "idle":
        return Expressed(None, "the server here closes nothing for being silent")
    longer_s = 2 * (setup.closes[1] + setup.load.duration_s)
    return Expressed(replace(setup, closes=("idle", longer_s)), f"the server bears silence for {longer_s:g} s")


def _connection_limit(change: Change, setup: Setup, scale: float) -> Expressed:
    if setup.closes is None or setup.closes[0] != "over":
        return Expressed(None, "the server here has no limit of its own")
    most = max(setup.closes[1], scaling.times(_whole(change), scale))
    return Expressed(replace(setup, closes=("over", most)), f"the server keeps {most:,.0f} connections")


def _tasks(change: Change, setup: Setup, scale: float) -> Expressed:
    if setup.tasks is None:
        return Expressed(None, "the server here has one thread for all connections")
    most = max(setup.tasks, scaling.times(_whole(change), scale))
    return Expressed(replace(setup, tasks=most), f"the server may have {most:,} threads")


# -- both -------------------------------------------------------------------------------------------------------------


def _sysctl(change: Change, setup: Setup, scale: float) -> Expressed:
    name = change.name or ""
    host: Host = "client" if change.side == "client" else "server"
    if setup.rtt_s is None and host == "server" and any(word in name for word in _OF_CLIENTS):
        return Expressed(None, "client and server are one host here")
    try:
        check_sysctl(name)
    except UsageError as error:
        return Expressed(None, str(error))
    value = scaling.sysctl(name, _as_written(change), scale)
    where = "host" if setup.rtt_s is None else host
    return Expressed(setup.with_sysctl(host, name, value), f"{name}={value} at the {where}")


def _late(change: Change, setup: Setup, scale: float) -> Expressed:
    name = change.name or ""
    value = scaling.sysctl(name, _as_written(change), scale)
    return Expressed(replace(setup, late=((name, value),)), f"{name}={value} once the server listens")


def _as_written(change: Change) -> int | str:
    return change.value if isinstance(change.value, int | str) else str(change.value)


def _nofile(change: Change, setup: Setup, scale: float) -> Expressed:
    limit = scaling.descriptors(_whole(change), scale)
    if setup.one_shell:
        both = replace(setup, server_nofile=limit, client_nofile=limit)
        if both == setup:
            return Expressed(setup, "the same for the other end")
        return Expressed(both, f"RLIMIT_NOFILE {limit} for both ends, which one command started")
    if change.side == "server":
        return Expressed(replace(setup, server_nofile=limit), f"RLIMIT_NOFILE {limit} for the server")
    return Expressed(replace(setup, client_nofile=limit), f"RLIMIT_NOFILE {limit} for the client")


# -- the client -------------------------------------------------------------------------------------------------------


def _timeout(change: Change, setup: Setup, _scale: float) -> Expressed:
    now = setup.load.timeout_s
    wanted = min(2 * now, max(now, _LONGEST_TIMEOUT_S)) if change.value is None else float(change.value)
    return Expressed(setup.with_load(timeout_s=max(wanted, now) if now else now), f"a timeout of {wanted:g} s")


def _workers(_change: Change, setup: Setup, _scale: float) -> Expressed:
    room = max(1, (setup.client_nofile or 1024) - OWN_DESCRIPTORS)
    processes = -(-setup.load.connections // room) + 1
    return Expressed(setup.with_load(processes=processes), f"{processes} client processes")


def _sources(_change: Change, setup: Setup, _scale: float) -> Expressed:
    low, high = (int(port) for port in str(dict(setup.client).get(scaling.PORT_RANGE, "32768 60999")).split())
    load, room = setup.load, max(1, high - low + 1 - setup.bound)
    wanted = min(200, max(1, load.sources) + -(-max(load.connections, load.attempts) // room))
    return Expressed(setup.with_load(sources=wanted), plural(wanted, "source address", "source addresses"))


def _bind_no_port(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if not setup.bound:
        return Expressed(None, "the client here chooses its ports by connect() in any case")
    return Expressed(replace(setup, bound_no_port=True), "who binds leaves the port to connect()")


def _first_close(change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.load.command != "churn":
        return Expressed(None, "only churn closes on the way")
    return Expressed(setup.with_load(first_close=change.value), f"the {change.value} closes first")


def _pool(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.load.command != "churn":
        return Expressed(None, f"{setup.load.command} keeps its connections open already")
    duration_s = min(setup.load.duration_s, 2.0)
    many = setup.load.connections
    if setup.path.syns_per_s is not None:
        many = min(many, setup.path.syn_burst)
    pooled = setup.with_load(
        command="bench", connections=many, attempts=0, duration_s=duration_s, rate_per_s=None,
        size_bytes=max(1, setup.load.size_bytes), first_close="client",
    )  # fmt: skip
    return Expressed(pooled, f"{plural(many, 'connection')} kept open and used again")


def _fewer(change: Change, setup: Setup, scale: float) -> Expressed:
    load, flows = setup.load, setup.path.flows
    room = flows if change.value is None else scaling.times(_whole(change), scale)
    if room is None:
        return Expressed(None, "how few are few enough is not known")
    few = min(load.connections, room)
    pooled = "bench" if load.command == "churn" else load.command
    what = "flow" if change.value is None else "connection"
    return Expressed(setup.with_load(connections=few, command=pooled, attempts=0), f"{plural(few, what)} at once")


def _speak_first(_change: Change, setup: Setup, _scale: float) -> Expressed:
    spoken = setup.with_load(
        command="bench", mode="rr", size_bytes=64, duration_s=max(0.3, setup.load.duration_s), first_close="client"
    )
    return Expressed(spoken, "clients that send 64 bytes at once")


def _idle_shorter(change: Change, setup: Setup, _scale: float) -> Expressed:
    if not setup.load.gaps_s:
        return Expressed(None, "connections that only wait ask nothing here")
    # A hundredth less: what rests for as long as is borne may be forgotten by a hair.
    most_s = 0.99 * float(change.value or 0.0)
    gaps_s = tuple(sorted({min(gap_s, most_s) for gap_s in setup.load.gaps_s}))
    return Expressed(setup.with_load(gaps_s=gaps_s), f"no connection rests for more than {most_s:.3g} s")


# -- the path ---------------------------------------------------------------------------------------------------------


def _allow(_change: Change, setup: Setup, _scale: float) -> Expressed:
    return Expressed(setup.with_path(closed="none"), "no filter on the way")


def _mend(_change: Change, setup: Setup, _scale: float) -> Expressed:
    mended = setup.with_path(
        gap="none",
        members=0,
        most=None,
        largest=None,
        syns_per_s=None,
        forgets_s=None,
        ends_s=None,
        dead_first=False,
        spoils=None,
    )
    if mended.path == setup.path:
        return Expressed(None, "nothing of the path is dead or missing here")
    return Expressed(mended, "nothing of the path is dead, missing or limited any more")


def _mtu(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if setup.path.largest is None:
        return Expressed(None, "packets of every size pass here")
    return Expressed(replace(setup, mtu=setup.path.largest), f"links of {plural(setup.path.largest, 'byte')}")


def _drop_invalid(_change: Change, setup: Setup, _scale: float) -> Expressed:
    if not setup.path.strays:
        return Expressed(None, "nothing comes from outside of a window here")
    return Expressed(setup.with_path(drops_invalid=True), "the client drops what fits no flow")


def _nat_ports(change: Change, setup: Setup, scale: float) -> Expressed:
    if setup.path.nat_ports is None:
        return Expressed(None, "there is no NAT on the way here")
    ports = _MOST_NAT_PORTS if change.value is None else scaling.times(_whole(change), scale)
    return Expressed(setup.with_path(nat_ports=max(setup.path.nat_ports, ports)), f"NAT to {plural(ports, 'port')}")


def _flow_table(change: Change, setup: Setup, scale: float) -> Expressed:
    if setup.path.flows is None:
        return Expressed(None, "there is no flow table on the way here")
    if change.value is None:
        return Expressed(setup.with_path(flows=None), "no flow is tracked on the way")
    entries = max(setup.path.flows, scaling.times(_whole(change), scale))
    return Expressed(setup.with_path(flows=entries), f"a flow table of {entries:,}")


def _not(why: str) -> _Rule:
    return lambda change, _setup, _scale: Expressed(None, why.format(name=change.name or "what it changes"))


_RULES: dict[str, _Rule] = {
    "sysctl": _sysctl,
    "late_sysctl": _late,
    "backlog": _backlog,
    "queue": _queue,
    "accept": _accept,
    "share_cpu": _share_cpu,
    "close": _close,
    "listen": _listen,
    "end_member": _end_member,
    "defer_accept": _defer,
    "connection_limit": _connection_limit,
    "tasks": _tasks,
    "read_all": _read_all,
    "idle_longer": _idle_longer,
    "timeout": _timeout,
    "nofile": _nofile,
    "workers": _workers,
    "sources": _sources,
    "bind_no_port": _bind_no_port,
    "first_close": _first_close,
    "pool": _pool,
    "fewer": _fewer,
    "speak_first": _speak_first,
    "idle_shorter": _idle_shorter,
    "allow": _allow,
    "flow_table": _flow_table,
    "mend": _mend,
    "nat_ports": _nat_ports,
    "drop_invalid": _drop_invalid,
    "mtu": _mtu,
    "look": _not(LOOKS),
    "program": _not("there is no such program here: {name}"),
    "elsewhere": _not("beyond the namespaces: {name}"),
}
