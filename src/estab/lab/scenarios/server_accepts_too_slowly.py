"""A server takes 20 connections a second and 100 a second come: its queue fills, and a longer one fills a little later.

What waits grows by (arrivals - accepts) a second until B+1 wait (`include/net/sock.h sk_acceptq_is_full`); from then on
a SYN is dropped for each that is not accepted (`net/ipv4/tcp_input.c tcp_conn_request`). B more places delay that by
B / (arrivals - accepts) s (docs/kernel.md rules 2 and 3), and who waits in them waits longer than its timeout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import moved, queue_sysctls
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, duration, max_syn_backlog, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

SOME = Interval(low=1, high=None)


@dataclass(frozen=True, kw_only=True)
class ServerAcceptsTooSlowly(Scenario):
    """Clients at a rate, and a server that takes its time for each."""

    cause = "server_accepts_too_slowly"
    side = "server"
    symptom = "under load most connects time out, and a bigger backlog or somaxconn changed nothing but the latency"
    seconds = 12.0
    control = {"accept_delay_s": 0.0}

    connections: int = connections(300, "clients at once, at most")
    rate: int = setting(100, "connects a second", 1, 100_000)
    accept_delay_s: float = duration(0.05, "how long the server works for each connection that it takes; 0 for none")
    backlog: int = backlog(16)
    timeout_s: float = duration(0.7, "the clients' timeout, for the connect and for the answer")
    load_s: float = duration(1.5, "how long they come")
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.002)

    @property
    def _surplus_per_s(self) -> float:
        return self.rate - (1 / self.accept_delay_s if self.accept_delay_s else self.rate)

    def predict(self) -> Mapping[str, Figure]:
        """Where more come than are taken the queue is full once the surplus has filled it; and no more were taken."""
        room = accept_queue.fits(self.backlog)
        if self._surplus_per_s * self.load_s <= room:
            return {"ListenOverflows": 0}
        most = int((self.load_s + self.timeout_s) / self.accept_delay_s) + 1
        return {"worst queue": room, "ListenOverflows": SOME, "answered": Interval(low=1, high=most)}

    def setup(self) -> Setup:
        """Connects by a schedule, whoever waits; each asks once and closes."""
        load = LoadSpec(
            command="churn", connections=self.connections, rate_per_s=float(self.rate), duration_s=self.load_s,
            timeout_s=self.timeout_s, processes=1,
        )  # fmt: skip
        return Setup(
            load=load, server=queue_sysctls(4096, 1, self.max_syn_backlog), rtt_s=self.rtt_s, backlog=self.backlog,
            accept_delay_s=self.accept_delay_s,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """The listener, as it was seen, and who got an answer."""
        listener = ran.run.server.listener
        return {
            "worst queue": listener.worst_depth if listener is not None else None,
            "ListenOverflows": moved(ran.run, "ListenOverflows"),
            "answered": ran.run.requests.count if ran.run.requests is not None else None,
        }
