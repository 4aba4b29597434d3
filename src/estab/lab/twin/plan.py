"""From a recorded run to a twin: what can be rebuilt, what is taken for granted, what can't be isolated. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from estab.diagnose import facts
from estab.errors import EstabError, ReadError, UsageError
from estab.lab.space import check_sysctl
from estab.lab.twin.setup import Command, Replay, Setup, Sysctls
from estab.load.target import parse
from estab.records import RunResult, Snapshot, TimelinePoint

SHORTEST_HOLD_S = 0.3  # so that both ends are counted while it holds
LONGEST_S = 120.0  # the lab waits 180 s for a load at the most
NO_WIRE_BELOW_S = 50e-6  # a round trip that short is the kernel's own time, not a path's
_COMMANDS: tuple[Command, ...] = ("hold", "bench", "churn")
_STATUS = ("fs.file-nr", "net.netfilter.nf_conntrack_count")  # what is, not what is set
_ON_A_PATH = (
    "path_filtered",
    "path_syn_loss",
    "path_flow_table_full",
)
_HOST = {
    "conntrack_full_local": "the connection tracking table is bounded for the whole machine",
    "generator_saturated": "the CPU of the machine that ran the load is not this one's",
    "accept_thread_starved": "the program's own threads: the twin's server accepts at the recorded rate instead",
    "defer_accept_drops": "TCP_DEFER_ACCEPT is the program's own socket option, and the record does not hold it",
    "bound_ports_poisoned": "the programs that hold ports by bind() on the recorded host",
}


@dataclass(frozen=True)
class Planned:
    """The twin, what had to be taken for granted, and what of the record no namespace can isolate."""

    setup: Setup
    assumed: tuple[str, ...]
    not_isolated: tuple[str, ...]


def plan(run: RunResult) -> Planned:
    """The twin of a run. Raises ReadError, with what is missing, for one that has no load to replay."""
    assumed: list[str] = []
    replay = _replay(run, assumed)
    rtt_s = _rtt_s(run, assumed)
    lost: dict[str, str] = {}
    client = _sysctls("client", run.client.before, assumed, lost)
    server = _sysctls("server", run.server.before, assumed, lost)
    setup = Setup(
        load=replay, client=client, server=server, rtt_s=rtt_s,
        client_nofile=_client_nofile(run), server_nofile=_server_nofile(run),
        one_shell=run.server.embedded,
    )  # fmt: skip
    setup = _serving(run, setup, assumed)
    cause = run.diagnosis.cause if run.diagnosis else None
    beyond = [f"{name}: {why}" for name, why in lost.items()]
    if cause in _ON_A_PATH:
        beyond.insert(0, f"the path ({cause}): the record holds what it did to packets, not what stands there")
    elif cause in _HOST:
        beyond.insert(0, _HOST[cause])
    return Planned(setup, tuple(assumed), tuple(beyond))


# -- the load ---------------------------------------------------------------------------------------------------------


def _replay(run: RunResult, assumed: list[str]) -> Replay:
    command = next((one for one in _COMMANDS if one == run.command), None)
    if command is None:
        raise ReadError(f"it is a record of `estab {run.command}`, which has no load to replay; record hold or churn")
    config = _Config(run.config)
    duration_s = config.number("duration_s")
    runs_s = min(max(duration_s, SHORTEST_HOLD_S if command == "hold" else 0.0), LONGEST_S)
    if runs_s != duration_s:
        assumed.append(f"{command} for {runs_s:g} s instead of {duration_s:g}")
    sources = run.config.get("sources")
    connections = max(1, int(config.number("connections")))
    return Replay(
        command=command,
        connections=connections,
        duration_s=runs_s,
        timeout_s=config.number("timeout_s"),
        workers=max(1, int(config.number("workers", 1))),
        sources=len(sources) if isinstance(sources, list) else 0,
        in_flight=max(1, int(config.number("in_flight", connections))),
        ramp_per_s=config.number("ramp_per_s", 0) or None,
        reset=config.value("reset", False) is True or config.value("close", "fin") == "rst",
        size_bytes=int(config.number("size_bytes", 64)),
        mode="flood" if config.value("mode", "rr") == "flood" else "rr",
        depth=max(1, int(config.number("depth", 1))),
        attempts=int(config.number("attempts", 0)),
        first_close="server" if config.value("first_close", "client") == "server" else "client",
    )


class _Config:
    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    def value(self, key: str, default: Any) -> Any:
        found = self._config.get(key)
        return default if found is None else found

    def number(self, key: str, default: float | None = None) -> float:
        found = self.value(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e12:
            raise ReadError(f"its config has {key} {found!r}: a load can't be replayed without it")
        return found


# -- the path and the hosts -------------------------------------------------------------------------------------------


def _loopback(run: RunResult) -> bool:
    try:
        host, _port = parse(str(run.config.get("target", "")))
        return ip_address(host.split("%")[0]).is_loopback
    except (EstabError, ValueError):
        return False


def _rtt_s(run: RunResult, assumed: list[str]) -> float | None:
    """The round-trip time of the wire; None: no wire."""
    if _loopback(run):
        return None
    found = run.latency.connect_us
    resent = sum(count for syns, count in run.syn_retransmits.items() if syns != "0")
    if found is None or found.p50 is None or 2 * resent > sum(run.syn_retransmits.values()):
        assumed.append("the round-trip time is not known (no connect was answered at once): 0")
        return 0.0
    return found.p50 / 1e6 if found.p50 / 1e6 >= NO_WIRE_BELOW_S else 0.0


def _sysctls(which: str, taken: Snapshot | None, assumed: list[str], lost: dict[str, str]) -> Sysctls:
    if taken is None or taken.sysctls is None:
        assumed.append(f"the {which}'s sysctls were not recorded: as a new network namespace has them")
        return ()
    kept: dict[str, int | str] = {}
    for name, value in taken.sysctls.items():
        if name in _STATUS:
            continue
        try:
            check_sysctl(name)
        except UsageError as error:
            said = str(error)
            lost[name] = said[said.find("(") + 1 : said.find(")")] if "(" in said else "it is the whole machine's"
        else:
            kept[name] = value if isinstance(value, str) else " ".join(str(number) for number in value)
    return tuple(kept.items())


def _client_nofile(run: RunResult) -> int | None:
    found = [one.nofile_soft for one in run.client.workers if one.nofile_soft]
    return min(found) if found else run.client.before.nofile_soft if run.client.before else None


def _server_nofile(run: RunResult) -> int | None:
    full = facts.fullest_server(run)
    return full.limit if full else None


# -- the server -------------------------------------------------------------------------------------------------------


def _serving(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    """Its backlog and how it accepts."""
    if run.diagnosis is not None and run.diagnosis.cause == "nobody_listening":
        return replace(setup, listens=False)
    watch = run.server.listener
    asked = facts.asked(run, "backlog_asked")
    if watch is None:
        assumed.append("the server's listener was not seen: backlog 4096, and it accepts at once")
        return replace(setup, backlog=4096 if asked is None else int(asked))
    # What was asked for matters where somaxconn cut it: a remedy may raise that.
    backlog = max(watch.limit, int(asked or 0))
    setup = replace(setup, backlog=backlog, processes=max(1, watch.listeners))
    if setup.somaxconn is not None and watch.limit > setup.somaxconn:
        assumed.append(f"listen() was called under another somaxconn: here it is {watch.limit:,}, as was granted")
        setup = setup.with_sysctl("server", "net.core.somaxconn", watch.limit)
    return _accepting(run, setup, assumed)


def _accepting(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    watch = run.server.listener
    cause = run.diagnosis.cause if run.diagnosis else None
    if watch is None or watch.worst_depth <= 0 or cause == "server_open_files":
        return setup
    if not facts.accepted(run) and cause == "server_not_accepting":
        return replace(setup, accepts=False)
    gap = run.config.get("accept_gap_s")
    if isinstance(gap, int | float) and 0 < gap <= 3600:
        return replace(setup, accept_gap_s=float(gap))
    points = [(one, count) for one in run.timeline if (count := _accepted_at(one, run)) is not None]
    if cause == "server_not_accepting" and points:
        most = points[-1][1]
        return replace(setup, stops_after_s=next(one.t_s for one, count in points if count >= most))
    rate = _accepts_per_s(points)
    if rate is not None and facts.server_delta(run, "TcpExt.ListenOverflows"):
        return replace(setup, accept_gap_s=min(3600.0, 1 / rate))
    if rate is None:
        assumed.append("how fast the server accepted was not seen: at once")
    return setup


def _accepted_at(point: TimelinePoint, run: RunResult) -> int | None:
    """Accepted by then. Where the server did not say, its descriptors tell: in a hold nothing is closed meanwhile."""
    if point.accepted is None and run.command == "hold" and point.open > 0:
        return point.server_fds
    return point.accepted


def _accepts_per_s(points: list[tuple[TimelinePoint, int]]) -> float | None:
    """Accepts a second while connections waited; None: not seen, or none."""
    waiting = [(one.t_s, count) for one, count in points if one.queue_depth]
    if len(waiting) < 2 or waiting[-1][0] - waiting[0][0] < 0.05:
        return None
    (first_s, first), (last_s, last) = waiting[0], waiting[-1]
    return (last - first) / (last_s - first_s) if last > first else None
