"""Clients that connect and close in a loop fill the port range with TIME_WAIT: EADDRNOTAVAIL (99).

The end that closes first keeps the port for 60 s (`include/net/tcp.h TCP_TIMEWAIT_LEN`); tcp_tw_reuse lets connect()
take it over after a second, or after tcp_tw_reuse_delay (6.14) (`net/ipv4/tcp_ipv4.c tcp_twsk_unique`; docs/kernel.md
rules 22 and 23). tcp_fin_timeout is about FIN_WAIT2 and does nothing here. A late duplicate of the client's last ACK is
answered by a RST, and that RST ends the TIME_WAIT (RFC 1337): net.ipv4.tcp_rfc1337=1 holds the port all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules import ephemeral_ports, time_wait
from estab.kernel.rules.interval import Interval
from estab.lab.parts import one_port
from estab.lab.parts.figures import connected_or
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario
from estab.lab.parts.settings import INT, MOST, Value, rtt, setting, switch
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup

LOW = 40000


@dataclass(frozen=True, kw_only=True)
class TimeWaitPortExhaustion(Scenario):
    """Short connections over the wire, slow enough for reuse to keep up: two at a time, a round trip each."""

    cause = "time_wait_port_exhaustion"
    side = "client"
    symptom = "cannot assign requested address (99) after a while of short connections"
    seconds = 28.0
    waits = True
    control = {"attempts": 60}

    attempts: int = setting(330, "connects in all, two at a time, each closed at once by the client", 1, MOST)
    ports: int = setting(250, "size of net.ipv4.ip_local_port_range at the client", 1, 60_000)
    reuse: int = setting(0, "net.ipv4.tcp_tw_reuse at the client: 0, 1 or 2 (loopback only)", 0, 2)
    fin_timeout: int = setting(60, "net.ipv4.tcp_fin_timeout at the client", 1, INT)
    rfc1337: int = setting(1, "net.ipv4.tcp_rfc1337 at the client; with 0 a stray RST frees a port early", 0, 1)
    reset: bool = switch(False, "close by RST")
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """As many connects as there are ports, once; with reuse the range comes back after a second."""
        room = ephemeral_ports.capacity(LOW, LOW + self.ports - 1).connections
        if self.reset or self.reuse == 1 or room.low >= self.attempts:
            return {"connected": self.attempts}
        stray = Interval(low=0, high=time_wait.most_freed_by_resets(self.rfc1337))
        return {"connected": room + stray, "connected + EADDRNOTAVAIL": self.attempts}

    def setup(self) -> Setup:
        """A narrow range at the client, which closes first."""
        client: dict[str, int | str] = {"net.ipv4.ip_local_port_range": f"{LOW} {LOW + self.ports - 1}"}
        client |= {"net.ipv4.tcp_tw_reuse": self.reuse, "net.ipv4.tcp_fin_timeout": self.fin_timeout}
        client |= {"net.ipv4.tcp_rfc1337": self.rfc1337}
        load = LoadSpec(
            command="churn", connections=2, attempts=self.attempts, duration_s=15, size_bytes=0, processes=1,
            reset=self.reset,
        )  # fmt: skip
        return Setup(load=load, client=tuple(client.items()), rtt_s=self.rtt_s)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who found no port."""
        return connected_or(ran.run, "EADDRNOTAVAIL")

    def more(self, _measure: Measure) -> Iterator[FigureRow]:
        """A range of one port, for each tcp_tw_reuse and gap."""
        yield from one_port.rows()
