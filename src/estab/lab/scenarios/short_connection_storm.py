"""Many short connections on a server that hiccups, with a queue that somaxconn cut to 128: timeouts, report 003.

While the server does not accept for a moment, the queue fills and SYNs are dropped (`net/ipv4/tcp_input.c
tcp_conn_request`). They would be sent again after 1 s, but the clients' timeout of 0.5 s ends them first (KERNEL.md
rules 3 and 18): what would be one slow connect is a failure, and the next attempt adds to the storm.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.api.bench import bench
from estab.api.churn import churn
from estab.kernel.rules.interval import Interval
from estab.lab.figures import failed, moved, queue_sysctls
from estab.lab.scenario import Act, Figure, Played, Remedy, Row, setting, this
from estab.lab.wire.spec import WireSpec
from estab.records import RunResult

CAUSE = "short_connection_storm"
SIDE = "server"
SYMPTOM = "connect timeouts of short connections in bursts; ListenOverflows grows every second"
SECONDS = 12.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(600, "clients that connect, ask once, close, and again")
    backlog: int = setting(8192, "what listen() is asked for")
    somaxconn: int = setting(128, "net.core.somaxconn at the server")
    timeout_s: float = setting(0.5, "the clients' connect timeout")
    hiccup_s: float = setting(0.2, "how long the server pauses, twice")
    pool: int = setting(0, "connections that are kept open instead; 0 keeps none")
    tries: int = setting(6, "net.ipv4.tcp_syn_retries at the client")
    rtt_s: float = setting(0.08, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """Whether the queue holds all that can come at once, and whether the clients see a second SYN."""
    overflows = not s.pool and s.connections > min(s.backlog, s.somaxconn) + 1
    some, none = Interval(low=1, high=None), 0
    return {
        "ListenOverflows": some if overflows else none,
        "timeouts": some if overflows and s.timeout_s <= 1 else none,
    }


def play(act: Act, s: Settings) -> Played:
    """A storm, or a pool, through two hiccups."""
    client = {"net.ipv4.tcp_syn_retries": s.tries}
    with act.stage(WireSpec(rtt_s=s.rtt_s), client=client, server=queue_sysctls(s.somaxconn, 1)) as stage:
        server = stage.serve(backlog=s.backlog)
        load = stage.load(lambda progress: _load(s, stage.target, progress))
        load.begun()
        for _ in range(2):
            time.sleep(0.3)
            server.tell("pause")
            time.sleep(s.hiccup_s)
            server.tell("resume")
        run = stage.finish(server, load)
    rate = run.requests.per_second if run.requests else None
    note = f"{rate:,.0f} requests a second with {'a pool of ' + str(s.pool) if s.pool else 'short connections'}"
    measured = {"ListenOverflows": moved(run, "ListenOverflows"), "timeouts": failed(run, "own_timeout", "ETIMEDOUT")}
    return Played(run, measured, (note,) if rate else ())


def _load(s: Settings, target: str, progress: object) -> RunResult:
    told: dict[str, object] = {"progress": progress, "workers": 1, "timeout_s": s.timeout_s, "duration_s": 1.6}
    if s.pool:
        return bench(target, connections=s.pool, size_bytes=64, **told)  # type: ignore[arg-type]
    return churn(target, connections=s.connections, size_bytes=64, **told)  # type: ignore[arg-type]


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The pool beside the storm, in requests a second."""
    for what, other in (("storm", s), ("pool", replace(s, pool=50)), ("somaxconn", replace(s, somaxconn=8192))):
        run = act.again(this(__name__), other).run
        rate = run.requests.per_second if run and run.requests else None
        yield Row(f"{what}: requests a second", Interval(low=1, high=None), rate)


REMEDIES = (
    Remedy("sysctl -w net.core.somaxconn=8192, then listen() anew", True, {"somaxconn": 8192}),
    Remedy("a connection pool", True, {"pool": 50}),
    Remedy("sysctl -w net.ipv4.tcp_syn_retries=10", False, {"tries": 10}),
)
CONTROL = {"hiccup_s": 0.0, "connections": 100}
