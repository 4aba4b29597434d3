"""TCP_DEFER_ACCEPT and clients that wait for the server to speak: connected at the client, unknown to its program.

`net/ipv4/tcp_minisocks.c tcp_check_req` drops the final ACK without data (TCPDeferAcceptDrop) for as many SYN-ACK
retransmissions as the seconds make; the server stays in SYN_RECV (docs/kernel.md rules 5 and 8). The drops add to `d`
of `ss -m`, which so looks like an overflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import synack_retries
from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import INT, Value, backlog, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class DeferAcceptDrops(Scenario):
    """Clients that wait for a word of the server's, and a server that accepts at once what the kernel gives it."""

    cause = "defer_accept_drops"
    side = "server"
    symptom = "connect works, the server's greeting never comes; ss -m of the listener counts drops"
    seconds = 7.0
    control = {"defer": 0}
    no_own_server = "its server is the failure: a program that sets TCP_DEFER_ACCEPT"

    connections: int = connections(50, "clients that connect and wait for the server")
    defer: int = setting(30, "TCP_DEFER_ACCEPT of the listener in seconds; 0 does not set it", 0, INT)
    backlog: int = backlog(128)
    timeout_s: float = duration(0.8, "how long each waits for it")
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """Deferred: each bare ACK is dropped, and its client waits in vain."""
        held = self.connections if synack_retries.defer_accept_timeouts(self.defer) else 0
        return {
            "client ESTABLISHED": self.connections,
            "TCPDeferAcceptDrop": held,
            "own timeouts": held,
            "served": self.connections - held,
        }

    def setup(self) -> Setup:
        """Each client connects once, says nothing, and waits until the server closes."""
        load = LoadSpec(
            command="churn", connections=self.connections, attempts=self.connections, size_bytes=0,
            first_close="server", timeout_s=self.timeout_s, duration_s=2 * self.timeout_s,
        )  # fmt: skip
        return Setup(load=load, rtt_s=self.rtt_s, backlog=self.backlog, defer_s=self.defer)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who was served: by the time a client gives up, its FIN is as good as data, and it is accepted after all."""
        run = ran.run
        return {
            "client ESTABLISHED": run.funnel.connected,
            "TCPDeferAcceptDrop": moved(run, "TCPDeferAcceptDrop"),
            "own timeouts": failed(run, "own_timeout"),
            "served": run.funnel.completed,
        }
