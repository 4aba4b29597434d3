"""All local ports towards one target are in use: connect() says EADDRNOTAVAIL, "cannot assign requested address".

A port counts once per (source address, target address, target port) (`net/ipv4/inet_hashtables.c __inet_hash_connect`;
docs/kernel.md rules 20 and 21). A second source address has the whole range again.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import ephemeral_ports
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.process.namespace import ip_batch
from estab.lab.stage.stage import CLIENT

CAUSE = "ephemeral_port_exhaustion"
SIDE = "client"
SYMPTOM = "cannot assign requested address (99, EADDRNOTAVAIL)"
SECONDS = 4.0
LOW = 40000
SECOND = "10.77.0.3"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(300, "connections to hold")
    ports: int = setting(200, "size of net.ipv4.ip_local_port_range at the client")
    sources: int = setting(1, "source addresses, 1 or 2")
    reuse: int = setting(2, "net.ipv4.tcp_tw_reuse at the client")


def predict(s: Settings) -> dict[str, Figure]:
    """The range, times the source addresses."""
    one = ephemeral_ports.capacity(LOW, LOW + s.ports - 1)
    room = ephemeral_ports.connections(one, source_addresses=s.sources)
    if room.low >= s.connections:
        return {"connected": s.connections}
    return {"connected": room, "connected + EADDRNOTAVAIL": s.connections}


def play(act: Act, s: Settings) -> Played:
    """More connections to one target than ports."""
    sysctls: dict[str, int | str] = {"net.ipv4.tcp_tw_reuse": s.reuse}
    sysctls["net.ipv4.ip_local_port_range"] = f"{LOW} {LOW + s.ports - 1}"
    with act.stage(client=sysctls) as stage:
        with stage.client.entered():
            ip_batch([f"address add {SECOND}/24 dev eth0"])
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target, connections=s.connections, duration_s=0.2,
                options=LoadOptions(processes=1, sources=(CLIENT, SECOND) if s.sources > 1 else ()),
                progress=progress,
            ),
        )  # fmt: skip
    connected = run.funnel.connected
    both = connected + failed(run, "EADDRNOTAVAIL")
    return Played(run, {"connected": connected, "connected + EADDRNOTAVAIL": both})


REMEDIES = (
    Remedy("sysctl -w net.ipv4.ip_local_port_range='40000 40999'", True, {"ports": 1000}),
    Remedy("a second source address", True, {"sources": 2}),
    Remedy("sysctl -w net.ipv4.tcp_tw_reuse=1", False, {"reuse": 1}),
)
CONTROL = {"connections": 100}
