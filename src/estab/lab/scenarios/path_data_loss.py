"""Handshakes pass, and every segment with data is lost on the way: it is sent again and again, unacknowledged.

A program that does not answer looks the same to its client, but its kernel acknowledges (`net/ipv4/tcp_input.c
tcp_data_queue`): the client's data then is not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

_HEADERS = 60  # bytes: IPv4's 20, TCP's 20 and 20 of its options in a SYN; other segments have fewer


@dataclass(frozen=True, kw_only=True)
class PathDataLoss(Scenario):
    """Requests on connections that were made well."""

    cause = "path_data_loss"
    side = "path"
    symptom = "connects at once, then hangs until the read times out; ss shows unacked data and a rising backoff"
    seconds = 12.0
    control = {"loses": False}

    connections: int = connections(20, "clients that connect and ask")
    loses: bool = switch(True, "whether the wire loses every segment with data")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.5, "the clients' timeout")

    def predict(self) -> Mapping[str, Figure]:
        """All connect, none is answered, and no SYN is sent again."""
        if not self.loses:
            return {"connected": self.connections, "own_timeout": 0}
        return {
            "connected": self.connections, "own_timeout": self.connections, "TCPSynRetrans": 0,
            "data timers": Interval(low=2 * self.connections, high=8 * self.connections), "bytes that arrived": 0,
        }  # fmt: skip

    def setup(self) -> Setup:
        """No packet longer than headers passes."""
        load = LoadSpec(
            command="bench", connections=self.connections, duration_s=1.0, timeout_s=self.timeout_s, size_bytes=64
        )
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(largest=_HEADERS if self.loses else None))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what was sent again."""
        client = ran.run.client
        again = client.rose("TcpExt.TCPSynRetrans")
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "TCPSynRetrans": again,
            "data timers": (client.rose("TcpExt.TCPTimeouts") or 0) - (again or 0),
            "bytes that arrived": ran.run.requests.bytes if ran.run.requests is not None else None,
        }
