"""A server reads a part of each request and closes: the client gets ECONNRESET in place of an answer.

`net/ipv4/tcp.c __tcp_close` sends RST in place of FIN where the receive queue is not empty, and counts TCPAbortOnClose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

_REQUEST = 64


@dataclass(frozen=True, kw_only=True)
class ClosedWithDataUnread(Scenario):
    """Short connections with a request each, and a program that does not read it to the end."""

    cause = "closed_with_data_unread"
    side = "server"
    symptom = "connection reset by peer in place of an answer; the server's log says that it answered"
    seconds = 6.0
    control = {"reads": 64}
    no_own_server = "its server is the failure: a program that closes with data unread"

    connections: int = connections(60, "connections, one after another, each with a request of 64 bytes")
    reads: int = setting(10, "bytes of a request that the server reads; 64 or more: all, and it answers", 1, 65536)
    rtt_s: float = rtt(0.002)

    def predict(self) -> Mapping[str, Figure]:
        """One reset for each, and the kernel's word for it."""
        reset = self.connections if self.reads < _REQUEST else 0
        return {"connected": self.connections, "reset": reset, "TCPAbortOnClose": reset}

    def setup(self) -> Setup:
        """Five at a time."""
        load = LoadSpec(
            command="churn", connections=5, attempts=self.connections, duration_s=5, size_bytes=_REQUEST, processes=1
        )
        setup = Setup(load=load, rtt_s=self.rtt_s)
        return replace(setup, closes=("unread", self.reads)) if self.reads < _REQUEST else setup

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what the server's kernel counted."""
        return {
            "connected": ran.run.funnel.connected,
            "reset": failed(ran.run, "ECONNRESET", "EPIPE"),
            "TCPAbortOnClose": moved(ran.run, "TCPAbortOnClose"),
        }
