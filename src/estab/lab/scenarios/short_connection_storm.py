"""Many short connections on a server that hiccups, with a queue that somaxconn cut to 32: 110s.

While the server does not accept for a moment, the queue fills and SYNs are dropped (`net/ipv4/tcp_input.c
tcp_conn_request`). They would be sent again after 1 s, but the clients' timeout of 0.8 s ends them first
(docs/kernel.md rules 3 and 18): what would be one slow connect is a failure, and the next attempt adds to the storm.
PHP calls its own timeout 110 (`main/network.c PHP_TIMEOUT_ERROR_VALUE`); the kernel's own ETIMEDOUT
(110) comes to clients without a timeout, once every SYN of theirs met a full queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue, syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed, moved, queue_sysctls
from estab.lab.parts.running_kernel import LINEAR
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, compared
from estab.lab.parts.settings import MOST, Value, backlog, connections, duration, rtt, setting, somaxconn
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

SOME = Interval(low=1, high=None)
BETWEEN_S = 0.2


@dataclass(frozen=True, kw_only=True)
class ShortConnectionStorm(Scenario):
    """A storm, or a pool, through the hiccups."""

    cause = "short_connection_storm"
    side = "server"
    symptom = "connect timeouts of short connections in bursts; ListenOverflows grows every second"
    seconds = 28.0
    control = {"hiccup_s": 0.0, "connections": 30}

    connections: int = connections(70, "clients that connect, ask once, close, and again")
    backlog: int = backlog(8192)
    somaxconn: int = somaxconn(32)
    timeout_s: float = duration(0.8, "the clients' connect timeout; 0 leaves it to the kernel")
    hiccup_s: float = duration(0.2, "how long the server pauses")
    hiccups: int = setting(2, "how often it does", 0, 100)
    pool: int = setting(0, "connections that are kept open instead; 0 keeps none", 0, MOST)
    tries: int = setting(6, "net.ipv4.tcp_syn_retries at the client", 1, 127)
    ask: int = setting(64, "bytes that each asks with; 0 connects and closes at once", 0, 16 << 20)
    rtt_s: float = rtt(0.02)
    apart_s: float = duration(0.12, "by how much SYNs come later, at most: clients do not come in step")

    def predict(self) -> Mapping[str, Figure]:
        """Whether the queue holds all that can come at once, and who gives up: the client, the kernel, or nobody."""
        room = accept_queue.fits(accept_queue.granted(self.backlog, self.somaxconn))
        # Who does not wait for an answer comes again every round trip.
        each = 1 if self.ask else self.hiccup_s / self.rtt_s + 1
        overflows = (self.pool or self.connections * each) > room and self.hiccup_s > 0
        impatient = 0 < self.timeout_s <= syn_retries.INITIAL_RTO_S
        last_syn_s = syn_retries.timeline(self.tries, LINEAR).retransmits_s[-1]
        return {
            "ListenOverflows": SOME if overflows else 0,
            "own timeouts": SOME if overflows and impatient else 0,
            "ETIMEDOUT (110)": SOME if overflows and not self.timeout_s and last_syn_s < self.hiccup_s else 0,
        }

    def setup(self) -> Setup:
        """The load goes on until the last SYN was given up."""
        each_s = BETWEEN_S + self.hiccup_s
        load = LoadSpec(
            command="bench" if self.pool else "churn", connections=self.pool or self.connections,
            size_bytes=64 if self.pool else self.ask, processes=1, timeout_s=self.timeout_s,
            duration_s=self.hiccups * each_s + (0.9 if self.timeout_s else 1.5),
        )  # fmt: skip
        hiccups = range(1, self.hiccups + 1) if self.hiccup_s else ()
        return Setup(
            load=load, client=(("net.ipv4.tcp_syn_retries", self.tries),), server=queue_sysctls(self.somaxconn, 1),
            rtt_s=self.rtt_s, path=Path(syn_spread_s=self.apart_s), backlog=self.backlog,
            pauses=tuple((number * each_s - self.hiccup_s, number * each_s) for number in hiccups),
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who gave up."""
        return {
            "ListenOverflows": moved(ran.run, "ListenOverflows"),
            "own timeouts": failed(ran.run, "own_timeout"),
            "ETIMEDOUT (110)": failed(ran.run, "ETIMEDOUT"),
        }

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """With 8192 not one; the kernel's own 110s; and what each way gives in requests a second."""
        longer = self.but(somaxconn=8192)
        kernels = self.but(ask=0, timeout_s=0.0, tries=1, hiccups=1, hiccup_s=2.8)
        yield from compared(measure, "somaxconn 8192", longer)
        yield from compared(measure, "no timeout of their own", kernels)
        ways = {"storm": self, "sysctl -w net.core.somaxconn=8192, then listen() anew": longer,
                "a connection pool": self.but(pool=50),
                "a connect timeout of 3 s": self.but(timeout_s=3.0)}  # fmt: skip
        for what, way in ways.items():
            requests = measure.of(way).run.requests
            yield FigureRow(f"{what}: requests a second", SOME, requests.per_second if requests else None)
