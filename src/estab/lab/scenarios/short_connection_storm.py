"""Many short connections on a server that hiccups, with a queue that somaxconn cut to 128: 110s, report 003.

While the server does not accept for a moment, the queue fills and SYNs are dropped (`net/ipv4/tcp_input.c
tcp_conn_request`). They would be sent again after 1 s, but the clients' timeout of 0.8 s ends them first
(docs/kernel.md rules 3 and 18): what would be one slow connect is a failure, and the next attempt adds to the storm.
PHP, as in report 003, calls its own timeout 110 (`main/network.c PHP_TIMEOUT_ERROR_VALUE`); the kernel's own ETIMEDOUT
(110) comes to clients without a timeout, once every SYN of theirs met a full queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.api.bench import bench
from estab.api.churn import churn
from estab.api.recorder import ProgressCallback
from estab.api.request import LoadOptions
from estab.kernel.rules import accept_queue, syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import LINEAR, failed, moved, none_failed, queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, changed, compared, setting, this
from estab.lab.wire.spec import WireSpec
from estab.records import RunResult

CAUSE = "short_connection_storm"
SIDE = "server"
SYMPTOM = "connect timeouts of short connections in bursts; ListenOverflows grows every second"
SECONDS = 14.0
SOME = Interval(low=1, high=None)
BETWEEN_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(300, "clients that connect, ask once, close, and again")
    backlog: int = setting(8192, "what listen() is asked for")
    somaxconn: int = setting(128, "net.core.somaxconn at the server")
    timeout_s: float = setting(0.8, "the clients' connect timeout; 0 leaves it to the kernel")
    hiccup_s: float = setting(0.2, "how long the server pauses")
    hiccups: int = setting(2, "how often it does")
    pool: int = setting(0, "connections that are kept open instead; 0 keeps none")
    tries: int = setting(6, "net.ipv4.tcp_syn_retries at the client")
    ask: int = setting(64, "bytes that each asks with; 0 connects and closes at once, as report 003's clients do")
    rtt_s: float = setting(0.02, "round-trip time")
    apart_s: float = setting(0.12, "by how much SYNs come later, at most: clients do not come in step")


def predict(s: Settings) -> dict[str, Figure]:
    """Whether the queue holds all that can come at once, and who gives up: the client, the kernel, or nobody."""
    room = accept_queue.fits(accept_queue.granted(s.backlog, s.somaxconn))
    each = 1 if s.ask else s.hiccup_s / s.rtt_s + 1  # who does not wait for an answer comes again every round trip
    overflows = (s.pool or s.connections * each) > room and s.hiccup_s > 0
    impatient = 0 < s.timeout_s <= syn_retries.INITIAL_RTO_S
    last_syn_s = syn_retries.timeline(s.tries, LINEAR).retransmits_s[-1]
    return {
        "ListenOverflows": SOME if overflows else 0,
        "own timeouts": SOME if overflows and impatient else 0,
        "ETIMEDOUT (110)": SOME if overflows and not s.timeout_s and last_syn_s < s.hiccup_s else 0,
    }


def play(act: Act, s: Settings) -> Played:
    """A storm, or a pool, through the hiccups."""
    client = {"net.ipv4.tcp_syn_retries": s.tries}
    with act.stage(
        WireSpec(rtt_s=s.rtt_s, syn_spread_s=s.apart_s), client=client, server=queue_sysctls(s.somaxconn, 1)
    ) as stage:
        server = stage.serve(backlog=s.backlog)
        load = stage.load(lambda progress: _load(s, stage.target, progress))
        load.begun()
        server.hiccup(s.hiccups, s.hiccup_s, every_s=BETWEEN_S)
        run = stage.finish(server, load)
    measured = {"own timeouts": failed(run, "own_timeout"), "ETIMEDOUT (110)": failed(run, "ETIMEDOUT")}
    return Played(run, measured | {"ListenOverflows": moved(run, "ListenOverflows")})


def _load(s: Settings, target: str, progress: ProgressCallback) -> RunResult:
    duration_s = s.hiccups * (BETWEEN_S + s.hiccup_s) + (0.9 if s.timeout_s else 1.5)  # until the last SYN was given up
    options = LoadOptions(processes=1, timeout_s=s.timeout_s)
    if s.pool:
        return bench(
            target, connections=s.pool, size_bytes=64, duration_s=duration_s, options=options, progress=progress
        )
    return churn(
        target, connections=s.connections, size_bytes=s.ask, duration_s=duration_s, options=options, progress=progress
    )


def more(act: Act, s: Settings) -> Iterator[Row]:
    """With 8192 not one; the kernel's own 110s; and what each way gives in requests a second."""
    kernels = replace(s, connections=150, ask=0, timeout_s=0.0, tries=1, hiccups=1, hiccup_s=2.8)
    yield from compared(act, __name__, "somaxconn 8192", replace(s, somaxconn=8192))
    yield from compared(act, __name__, "no timeout of their own", kernels)
    for what, other in (("storm", s), *((one.command, changed(s, one.changes)) for one in REMEDIES if one.works)):
        run = act.again(this(__name__), other).run
        yield Row(f"{what}: requests a second", SOME, run.requests.per_second if run and run.requests else None)


mended = none_failed  # a connect that takes a second longer is whole
REMEDIES = (
    Remedy("sysctl -w net.core.somaxconn=8192, then listen() anew", True, {"somaxconn": 8192}),
    Remedy("a connection pool", True, {"pool": 100}),
    Remedy("a connect timeout of 3 s", True, {"timeout_s": 3.0}),
    Remedy("sysctl -w net.ipv4.tcp_syn_retries=10", False, {"tries": 10}),
)
CONTROL = {"hiccup_s": 0.0, "connections": 100}
