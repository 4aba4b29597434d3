"""A server that never closes what its clients closed: its descriptors fill with CLOSE-WAIT, and then accept() fails.

`tcp_fin` (`net/ipv4/tcp_input.c`) moves the socket to CLOSE-WAIT, where only the program's close() ends it. As many
short connections as the process has descriptors are served; what comes later waits in the accept queue
(docs/kernel.md rule 25).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, backlog, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup
from estab.load.plan import OWN_DESCRIPTORS


@dataclass(frozen=True, kw_only=True)
class CloseWaitLeak(Scenario):
    """Short connections, one after another, to a server that keeps its end of each."""

    cause = "close_wait_leak"
    side = "server"
    symptom = "too many open files after hours or days; ss shows ever more CLOSE-WAIT; a restart helps for a while"
    seconds = 12.0
    control = {"leaks": 0}
    no_own_server = "its server is the failure: a program that forgets to close"

    connections: int = connections(8, "clients that connect, ask once, close, and again")
    attempts: int = setting(800, "connects in all", 1, MOST)
    leaks: int = setting(1, "1: what the client closed stays open; 0: it is closed", 0, 1)
    nofile: int = setting(64, "RLIMIT_NOFILE of the server's process", 32, MOST)
    backlog: int = backlog(16)
    timeout_s: float = duration(0.5, "the clients' connect timeout")
    rtt_s: float = rtt(0.001)

    def predict(self) -> Mapping[str, Figure]:
        """The limit, less what the process itself has open: so many are served, and so many stay."""
        room = Interval(low=self.nofile - OWN_DESCRIPTORS, high=self.nofile - 3)
        if not self.leaks or self.attempts <= room.low:
            return {"served": self.attempts, "CLOSE-WAIT": self.attempts if self.leaks else 0}
        return {"served": room, "CLOSE-WAIT": room}

    def setup(self) -> Setup:
        """More connects than descriptors."""
        return Setup(
            load=LoadSpec(
                command="churn", connections=self.connections, attempts=self.attempts, duration_s=3.5,
                timeout_s=self.timeout_s, processes=1,
            ),
            server=queue_sysctls(4096, 1), rtt_s=self.rtt_s, backlog=self.backlog, server_nofile=self.nofile,
            leaks=self.leaks,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """At the end: what the clients closed and the server has accepted."""
        after = ran.run.server.after
        listener = ran.run.server.listener
        states = after.server_sockets.states if after is not None and after.server_sockets is not None else {}
        waiting = listener.last_depth if listener is not None else 0
        return {"served": ran.run.funnel.completed, "CLOSE-WAIT": max(0, states.get("CLOSE-WAIT", 0) - waiting)}
