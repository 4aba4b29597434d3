"""The server runs out of descriptors: accept() says EMFILE, and the connections stay in the queue until it overflows.

accept() takes the descriptor before the connection (`net/socket.c do_accept`; docs/kernel.md rule 25), so that a
server's descriptor limit looks like an accept queue overflow from outside. A longer backlog only lets more wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, backlog, connections, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup
from estab.load.plan import OWN_DESCRIPTORS


@dataclass(frozen=True, kw_only=True)
class ServerOpenFiles(Scenario):
    """One server process with few descriptors, and connections that stay."""

    cause = "server_open_files"
    side = "server"
    symptom = "too many open files at accept(), in the server; clients time out or hang"
    seconds = 6.0
    control = {"connections": 80, "backlog": 128}

    connections: int = connections(200, "connections to hold")
    nofile: int = setting(128, "RLIMIT_NOFILE of the server's process", 32, MOST)
    backlog: int = backlog(16)
    rtt_s: float = rtt(0.002)

    def predict(self) -> Mapping[str, Figure]:
        """The limit, less what the process itself has open."""
        room = Interval(low=self.nofile - OWN_DESCRIPTORS, high=self.nofile - 3)
        return {"accepted": self.connections if self.connections <= room.low else room}

    def setup(self) -> Setup:
        """More connections than descriptors."""
        return Setup(
            load=LoadSpec(
                connections=self.connections, ramp_per_s=400, duration_s=0.4, timeout_s=0.8, processes=1
            ),
            server=queue_sysctls(4096, 1), rtt_s=self.rtt_s, backlog=self.backlog, server_nofile=self.nofile,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Counted while all were held: when clients close, descriptors come back and more are accepted."""
        listener = ran.run.server.listener
        return {"accepted": listener.accepted_at_end if listener else None}
