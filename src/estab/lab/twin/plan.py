"""From a recorded run to a twin: what can be rebuilt, what is taken for granted, what can't be isolated. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from estab.diagnose import descriptors, facts, local_ports
from estab.diagnose.cause import NotRebuilt
from estab.diagnose.suspects import BY_ID
from estab.errors import EstabError, ReadError, UsageError
from estab.lab.process.namespace import check_sysctl
from estab.lab.stage.scaling import PORT_RANGE
from estab.lab.stage.setup import Command, LoadSpec, Path, Setup, Sysctls
from estab.lab.twin.from_program import as_load
from estab.lab.twin.path import path_of
from estab.lab.twin.serving import serving
from estab.load.target import parse
from estab.records import RunResult, Snapshot
from estab.words import plural

SHORTEST_HOLD_S = 0.15  # so that one of ten samples a second falls into it, and both ends are counted then
LONGEST_S = 120.0  # the lab waits 180 s for a load at the most
NO_WIRE_BELOW_S = 50e-6  # a round trip that short is the kernel's own time, not a path's
_COMMANDS: tuple[Command, ...] = ("hold", "bench", "churn")
_STATUS = ("fs.file-nr", "net.netfilter.nf_conntrack_count")  # what is, not what is set


@dataclass(frozen=True)
class Planned:
    """The twin, what had to be taken for granted, and what of the record no namespace can isolate."""

    setup: Setup
    assumed: tuple[str, ...]
    not_isolated: tuple[str, ...]


def plan(run: RunResult) -> Planned:
    """The twin of a run. Raises ReadError, with what is missing, for one that has no load to replay."""
    assumed: list[str] = []
    if run.program is not None:
        run = as_load(run, assumed)
    replay = _replay(run, assumed)
    rtt_s = _rtt_s(run, assumed)
    lost: dict[str, str] = {}
    client = sysctls_of("client", run.client.before, assumed, lost)
    server = sysctls_of("server", run.server.before, assumed, lost)
    setup = Setup(
        load=replay, client=client, server=server, rtt_s=rtt_s,
        client_nofile=_client_nofile(run), server_nofile=_server_nofile(run),
        one_shell=run.server.embedded, unix=facts.unix_target(run) is not None,
    )  # fmt: skip
    setup = serving(run, replace(setup, bound=_bound(run, assumed)), assumed)
    path = path_of(run, assumed, over_wire=rtt_s is not None)
    if path != Path():
        if rtt_s is None:
            assumed.append("both ends were on one loopback; here a wire without delay joins two hosts")
        setup = replace(setup, path=path, rtt_s=rtt_s or 0.0)
    if path.nat_forgets and replay.sources < 2:
        assumed.append("the clients are two addresses behind the NAT, for one alone is not refused")
        setup = setup.with_load(sources=2)
    beyond = [f"{name}: {why}" for name, why in lost.items()]
    cause = BY_ID.get(run.cause or "")
    if cause is not None and isinstance(cause.twin, NotRebuilt):
        beyond.insert(0, f"{cause.id}: {cause.twin.why}")
    return Planned(setup, tuple(assumed), tuple(beyond))


def _bound(run: RunResult, assumed: list[str]) -> int:
    """Ports that others at the client own by bind(), where connects found none."""
    use = run.client.port_use
    if use is None or not use.bound or not local_ports.failed_for_ports(run):
        return 0
    port = facts.target_port(run)
    listens = run.server.observed and port is not None and _in_range(run, port)
    bound = max(0, use.bound - int(listens))
    if bound:
        assumed.append(
            f"another program owns {plural(bound, 'port')}, the first of the range; which one, is not recorded"
        )
    return bound


def _in_range(run: RunResult, port: int) -> bool:
    """Does the listener's own port stand in the client's range? It is counted among what bind() owns."""
    ports = ((run.client.before.sysctls if run.client.before else None) or {}).get(PORT_RANGE)
    return isinstance(ports, list) and len(ports) == 2 and ports[0] <= port <= ports[1]


# -- the load ---------------------------------------------------------------------------------------------------------


def _replay(run: RunResult, assumed: list[str]) -> LoadSpec:
    command = next((known for known in _COMMANDS if known == run.command), None)
    if command is None:
        raise ReadError(f"it is a record of `estab {run.command}`, which has no load to replay; record hold or churn")
    config = _Config(run.config)
    duration_s = config.number("duration_s")
    runs_s = min(max(duration_s, SHORTEST_HOLD_S if command == "hold" else 0.0), LONGEST_S)
    if runs_s != duration_s:
        assumed.append(f"{command} for {runs_s:g} s instead of {duration_s:g}")
    sources = run.config.get("sources")
    connections = max(1, int(config.number("connections")))
    return LoadSpec(
        command=command,
        connections=connections,
        duration_s=runs_s,
        timeout_s=config.number("timeout_s"),
        processes=max(1, int(config.number("processes", 1))),
        sources=len(sources) if isinstance(sources, list) else 0,
        in_flight=max(1, int(config.number("in_flight", connections))),
        ramp_per_s=config.number("ramp_per_s", 0) or None,
        rate_per_s=(config.number("rate_per_s", 0) or None) if command == "churn" else None,
        reset=config.value("reset", False) is True or config.value("close", "fin") == "rst",
        size_bytes=int(config.number("size_bytes", 64)),
        mode="flood" if config.value("mode", "rr") == "flood" else "rr",
        depth=max(1, int(config.number("depth", 1))),
        attempts=int(config.number("attempts", 0)),
        first_close="server" if config.value("first_close", "client") == "server" else "client",
        gaps_s=tuple(sorted({min(gap.gap_s, LONGEST_S) for gap in run.idle_gaps})),
    )


class _Config:
    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    def value(self, key: str, default: Any) -> Any:
        value = self._config.get(key)
        return default if value is None else value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
            raise ReadError(f"its config has {key} {value!r}: a load can't be replayed without it")
        return value


# -- the path and the hosts -------------------------------------------------------------------------------------------


def _loopback(run: RunResult) -> bool:
    try:
        host, _port = parse(str(run.config.get("target", "")))
        return ip_address(host.split("%")[0]).is_loopback
    except (EstabError, ValueError):
        return False


def _rtt_s(run: RunResult, assumed: list[str]) -> float | None:
    """The round-trip time of the wire; None: no wire."""
    if _loopback(run) or facts.unix_target(run) is not None:
        return None
    connect = run.latency.connect_us
    resent = run.retransmitted
    if connect is None or connect.p50 is None or 2 * resent > sum(run.syn_retransmits.values()):
        assumed.append("the round-trip time is not known (no connect was answered at once): 0")
        return 0.0
    return connect.p50 / 1e6 if connect.p50 / 1e6 >= NO_WIRE_BELOW_S else 0.0


def sysctls_of(which: str, taken: Snapshot | None, assumed: list[str], lost: dict[str, str]) -> Sysctls:
    """The sysctls of a snapshot that a namespace can have; `lost` are those that it can't, each with the reason."""
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
    limits = [worker.nofile_soft for worker in run.client.workers if worker.nofile_soft]
    return min(limits) if limits else run.client.before.nofile_soft if run.client.before else None


def _server_nofile(run: RunResult) -> int | None:
    full = descriptors.fullest_server(run)
    return full.limit if full else None
