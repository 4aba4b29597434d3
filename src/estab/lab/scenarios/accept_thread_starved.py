"""One thread accepts, many others burn the CPU, and connections wait for a server that seems to be there.

No kernel limit but the scheduler's: accept() takes microseconds, and a thread that shares its cores, its interpreter
lock or its event loop with much work waits for its turn while the queue fills (`net/ipv4/inet_connection_sock.c
inet_csk_accept`). The server is a Python program here: a lock that is passed on every 5 ms, by turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, max_syn_backlog, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class AcceptThreadStarved(Scenario):
    """Connections at a rate that an idle accept() would never notice."""

    cause = "accept_thread_starved"
    side = "server"
    symptom = "connects are slow or time out while the server's CPU is at 100% and ss shows a full Recv-Q"
    seconds = 8.0
    control = {"burners": 0, "connections": 100, "backlog": 128}
    alone = True
    no_own_server = "its server is the failure: a program whose other threads keep it from accept()"

    connections: int = connections(200, "connections to hold, 200 a second")
    burners: int = setting(8, "threads that burn the CPU beside the one that accepts", 0, 64)
    backlog: int = backlog(32)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.002)

    def predict(self) -> Mapping[str, Figure]:
        """A queue that is full, and fewer accepted than came."""
        if not self.burners:
            return {"accepted": self.connections}
        accepted = Interval(low=1, high=self.connections - 1)
        return {"worst queue": accept_queue.fits(self.backlog), "accepted": accepted}

    def setup(self) -> Setup:
        """The program, and clients at a steady rate."""
        return Setup(
            load=LoadSpec(
                connections=self.connections, ramp_per_s=200, duration_s=0.2, timeout_s=0.9, processes=1
            ),
            server=queue_sysctls(4096, 1, self.max_syn_backlog), rtt_s=self.rtt_s, backlog=self.backlog,
            burners=self.burners,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """The listener, as it was seen."""
        if (listener := ran.run.server.listener) is None:
            return {}
        return {"worst queue": listener.worst_depth, "accepted": listener.accepted_at_end}
