"""bind() owns most of the port range: EADDRNOTAVAIL although few connections are open.

connect() passes over a port whose bind bucket belongs to a plain bind(), whatever its destination
(`net/ipv4/inet_hashtables.c __inet_hash_connect`, `fastreuse`); with IP_BIND_ADDRESS_NO_PORT a bound source address
owns none (docs/kernel.md rule 21). `ss -tan` does not show such sockets.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import ephemeral_ports
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting

CAUSE = "bound_ports_poisoned"
SIDE = "client"
SYMPTOM = "cannot assign requested address (99), while ss shows the range almost unused"
SECONDS = 4.0
LOW, PORTS = 40000, 200
IP_BIND_ADDRESS_NO_PORT = 24  # `include/uapi/linux/in.h`; not in Python 3.11


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(100, "connections to hold, of a range of 200 ports")
    bound: int = setting(150, "sockets that did bind() and nothing else")
    no_port: bool = setting(False, "whether they set IP_BIND_ADDRESS_NO_PORT first")
    reuse: int = setting(2, "net.ipv4.tcp_tw_reuse at the client")


def predict(s: Settings) -> dict[str, Figure]:
    """What the range has left."""
    owned = () if s.no_port else range(LOW, LOW + s.bound)
    room = ephemeral_ports.capacity(LOW, LOW + PORTS - 1, bound=owned).connections
    if room.low >= s.connections:
        return {"connected": s.connections}
    return {"connected": room, "connected + EADDRNOTAVAIL": s.connections}


def play(act: Act, s: Settings) -> Played:
    """Another program's sockets own the ports, and then somebody connects."""
    sysctls: dict[str, int | str] = {"net.ipv4.ip_local_port_range": f"{LOW} {LOW + PORTS - 1}"}
    with act.stage(client=sysctls | {"net.ipv4.tcp_tw_reuse": s.reuse}) as stage, contextlib.ExitStack() as kept:
        with stage.client.entered():
            for number in range(s.bound):
                owner = kept.enter_context(socket.socket())
                owner.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, s.no_port)
                owner.bind(("0.0.0.0", 0 if s.no_port else LOW + number))
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                duration_s=0.2,
                options=LoadOptions(processes=1),
                progress=progress,
            ),
        )
    connected = run.funnel.connected
    both = connected + failed(run, "EADDRNOTAVAIL")
    return Played(run, {"connected": connected, "connected + EADDRNOTAVAIL": both})


REMEDIES = (
    Remedy("setsockopt(IP_BIND_ADDRESS_NO_PORT) before bind()", True, {"no_port": True}),
    Remedy("sysctl -w net.ipv4.tcp_tw_reuse=1", False, {"reuse": 1}),
)
CONTROL = {"bound": 0}
