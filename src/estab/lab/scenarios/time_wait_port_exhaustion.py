"""Clients that connect and close in a loop fill the port range with TIME_WAIT: EADDRNOTAVAIL (99), report 003.

The end that closes first keeps the port for 60 s (`include/net/tcp.h TCP_TIMEWAIT_LEN`); tcp_tw_reuse lets connect()
take it over after a second, or after tcp_tw_reuse_delay (6.14) (`net/ipv4/tcp_ipv4.c tcp_twsk_unique`; docs/kernel.md
rules 22 and 23). tcp_fin_timeout is about FIN_WAIT2 and does nothing here. A late duplicate of the client's last ACK is
answered by a RST, and that RST ends the TIME_WAIT (RFC 1337): net.ipv4.tcp_rfc1337=1 holds the port all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.api.churn import churn
from estab.api.request import LoadOptions
from estab.kernel.rules import ephemeral_ports, time_wait
from estab.kernel.rules.interval import Interval
from estab.lab.parts import one_port
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, setting
from estab.lab.wire.spec import WireSpec

CAUSE = "time_wait_port_exhaustion"
SIDE = "client"
SYMPTOM = "cannot assign requested address (99) after a while of short connections"
SECONDS = 10.0
LOW = 40000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    attempts: int = setting(330, "connects in all, two at a time, each closed at once by the client")
    ports: int = setting(250, "size of net.ipv4.ip_local_port_range at the client")
    reuse: int = setting(0, "net.ipv4.tcp_tw_reuse at the client: 0, 1 or 2 (loopback only)")
    fin_timeout: int = setting(60, "net.ipv4.tcp_fin_timeout at the client")
    rfc1337: int = setting(1, "net.ipv4.tcp_rfc1337 at the client; with 0 a stray RST frees a port early")
    reset: bool = setting(False, "close by RST")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """As many connects as there are ports, once; with reuse the range comes back after a second."""
    room = ephemeral_ports.capacity(LOW, LOW + s.ports - 1).connections
    if s.reset or s.reuse == 1 or room.low >= s.attempts:
        return {"connected": s.attempts}
    stray = Interval(low=0, high=time_wait.most_freed_by_resets(s.rfc1337))
    return {"connected": room + stray, "connected + EADDRNOTAVAIL": s.attempts}


def play(act: Act, s: Settings) -> Played:
    """Short connections over the wire, slow enough for reuse to keep up: two at a time, a round trip each."""
    client: dict[str, int | str] = {"net.ipv4.ip_local_port_range": f"{LOW} {LOW + s.ports - 1}"}
    client |= {"net.ipv4.tcp_tw_reuse": s.reuse, "net.ipv4.tcp_fin_timeout": s.fin_timeout}
    client |= {"net.ipv4.tcp_rfc1337": s.rfc1337}
    with act.stage(WireSpec(rtt_s=s.rtt_s), client=client) as stage:
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: churn(
                stage.target, connections=2, attempts=s.attempts, duration_s=15, options=LoadOptions(processes=1),
                close="rst" if s.reset else "fin", progress=progress,
            ),
        )  # fmt: skip
    connected = run.funnel.connected
    both = connected + failed(run, "EADDRNOTAVAIL")
    return Played(run, {"connected": connected, "connected + EADDRNOTAVAIL": both})


def more(_act: Act, _s: Settings) -> Iterator[Row]:
    """A range of one port, for each tcp_tw_reuse and gap."""
    yield from one_port.rows()


REMEDIES = (
    Remedy("sysctl -w net.ipv4.tcp_tw_reuse=1", True, {"reuse": 1}),
    Remedy("sysctl -w net.ipv4.ip_local_port_range='40000 40999'", True, {"ports": 1000}),
    Remedy("sysctl -w net.ipv4.tcp_fin_timeout=5", False, {"fin_timeout": 5}),
)
CONTROL = {"attempts": 60}
