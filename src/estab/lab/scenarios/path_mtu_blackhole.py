"""Packets above a size vanish on the way, and no ICMP tells the sender: small requests work, big ones hang.

RFC 2923, 2.1. The sender repeats the first segment, as big each time (`net/ipv4/tcp_timer.c tcp_retransmit_timer`); in
segments of 536 bytes the same request passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

_FULL = 1500  # bytes: the MTU of the links


@dataclass(frozen=True, kw_only=True)
class PathMtuBlackhole(Scenario):
    """Requests of more than one segment."""

    cause = "path_mtu_blackhole"
    side = "path"
    symptom = "connect and small requests work, big ones hang: ssh after login, TLS after hello, uploads over a VPN"
    seconds = 13.0
    waits = True
    control = {"largest": _FULL}

    connections: int = connections(10, "clients that connect and ask")
    largest: int = setting(1200, "bytes of the biggest IP packet that passes", 576, 65_535)
    request_bytes: int = setting(4000, "a request, and its answer", 1, 100_000)
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.5, "the clients' timeout")

    def predict(self) -> Mapping[str, Figure]:
        """All connect; what is bigger than fits is never answered, and in small segments it is."""
        if self.largest >= _FULL or self.request_bytes + 52 <= self.largest:  # IPv4's, TCP's header and timestamps
            return {"connected": self.connections, "own_timeout": 0}
        return {"connected": self.connections, "own_timeout": self.connections, "small segments answered": 1,
                "full segments answered": 0, "TCPSynRetrans": 0}  # fmt: skip

    def setup(self) -> Setup:
        """The wire loses what is longer, both ways."""
        load = LoadSpec(
            command="bench", connections=self.connections, duration_s=1.0, timeout_s=self.timeout_s,
            size_bytes=self.request_bytes,
        )  # fmt: skip
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(largest=self.largest))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what passed afterwards."""
        probe = ran.run.size_probe
        return {
            "connected": ran.run.funnel.connected,
            "own_timeout": failed(ran.run, "own_timeout"),
            "small segments answered": None if probe is None else int(probe.small_answered),
            "full segments answered": None if probe is None else int(probe.full_answered or False),
            "TCPSynRetrans": ran.run.client.rose("TcpExt.TCPSynRetrans"),
        }
