"""TCP_DEFER_ACCEPT and clients that do not speak first: connected at the client, unknown to the server's program.

`net/ipv4/tcp_minisocks.c tcp_check_req` drops the final ACK without data (TCPDeferAcceptDrop) for as many SYN-ACK
retransmissions as the seconds make; the server stays in SYN_RECV (docs/kernel.md rules 5 and 8). The drops add to `d`
of `ss -m`, which so looks like an overflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import synack_retries
from estab.lab.parts.figures import moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import INT, Value, backlog, connections, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class DeferAcceptDrops(Scenario):
    """Silent clients, and a server that accepts at once what the kernel gives it."""

    cause = "defer_accept_drops"
    side = "server"
    symptom = "connect works, the server's greeting never comes; ss -m of the listener counts drops"
    seconds = 4.0
    control = {"defer": 0}
    no_own_server = "its server is the failure: a program that sets TCP_DEFER_ACCEPT"

    connections: int = connections(50, "clients that connect and say nothing")
    defer: int = setting(30, "TCP_DEFER_ACCEPT of the listener in seconds; 0 does not set it", 0, INT)
    backlog: int = backlog(128)
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """Deferred: each bare ACK is dropped, and the client alone believes in the connection."""
        held = self.connections if synack_retries.defer_accept_timeouts(self.defer) else 0
        return {
            "client ESTABLISHED": self.connections,
            "TCPDeferAcceptDrop": held,
            "ghosts": held,
            "accepted meanwhile": self.connections - held,
        }

    def setup(self) -> Setup:
        """Clients that hold their connections and write nothing."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.3), rtt_s=self.rtt_s, backlog=self.backlog,
            defer_s=self.defer,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Accepted meanwhile, not at the end: a FIN is as good as data, and then all are."""
        run = ran.run
        return {
            "client ESTABLISHED": run.funnel.connected,
            "TCPDeferAcceptDrop": moved(run, "TCPDeferAcceptDrop"),
            "ghosts": run.ghosts.count if run.ghosts else None,
            "accepted meanwhile": run.server.listener.accepted_at_end if run.server.listener else None,
        }
