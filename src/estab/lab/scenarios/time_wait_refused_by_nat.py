"""Several clients share the few ports of a NAT, and the server's TIME_WAIT refuses who comes by a port that was used.

`tcp_timewait_state_process` (`net/ipv4/tcp_minisocks.c`) takes a SYN on a connection in TIME_WAIT only where its clock
(the timestamp) or its sequence number is ahead of the last one. Each client has a clock of its own
(`secure_tcp_ts_off`, `net/core/secure_seq.c`): whose is behind is refused, by an ACK, and PAWSTimewait rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting, switch
from estab.lab.stage import firewall
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup

_PER_S = 30.0


@dataclass(frozen=True, kw_only=True)
class TimeWaitRefusedByNat(Scenario):
    """Short connections of two addresses behind one NAT, which the server closes first."""

    cause = "time_wait_refused_by_nat"
    side = "path"
    symptom = "some connects time out, of clients behind one NAT, to a server that closes first"
    seconds = 28.0
    waits = True
    control = {"server_closes": False}

    attempts: int = connections(130, "connects, 30 a second")
    ports: int = setting(44, "ports of the NAT; its entries of closed connections live for 1 s", 40, 60_000)
    server_closes: bool = switch(True, "whether the server closes first, and so has the TIME_WAIT")
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.5, "the clients' connect timeout")

    @classmethod
    def why_not(cls) -> str | None:
        """It needs nftables."""
        return firewall.why_not()

    def predict(self) -> Mapping[str, Figure]:
        """By chance, whose clock is behind; each SYN that arrives is answered or refused."""
        if not self.server_closes:
            return {"connected": self.attempts}
        return {
            "own_timeout": Interval(low=3, high=self.attempts // 2),
            "connected + own_timeout": self.attempts,
            "SYNs less PassiveOpens less PAWSTimewait": 0,
            "ListenDrops": 0,
        }

    def setup(self) -> Setup:
        """The NAT is in the clients' host."""
        load = LoadSpec(
            command="churn", connections=20, attempts=self.attempts, duration_s=30, timeout_s=self.timeout_s,
            rate_per_s=_PER_S, processes=2, sources=2, size_bytes=16,
            first_close="server" if self.server_closes else "client",
        )  # fmt: skip
        return Setup(load=load, rtt_s=self.rtt_s, path=Path(nat_ports=self.ports, nat_forgets=True))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients were told, and what the server counted."""
        connected, lost = ran.run.funnel.connected, failed(ran.run, "own_timeout")
        answered = (ran.run.server.rose("Tcp.PassiveOpens") or 0) + (moved(ran.run, "PAWSTimewait") or 0)
        return {
            "connected": connected,
            "own_timeout": lost,
            "connected + own_timeout": connected + lost,
            "SYNs less PassiveOpens less PAWSTimewait": sum(syn.arrived for syn in ran.wire.syns) - answered,
            "ListenDrops": moved(ran.run, "ListenDrops"),
        }
