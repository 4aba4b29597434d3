"""Nothing listens on the port: each SYN is answered by RST, and connect() says ECONNREFUSED at once.

`net/ipv4/tcp_ipv4.c tcp_v4_rcv` finds no socket and sends RST; `tcp_rcv_synsent_state_process` makes
ECONNREFUSED of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.stage.server import Nobody
from estab.lab.stage.stage import PORT
from estab.lab.wire.spec import WireSpec

CAUSE = "nobody_listening"
SIDE = "server"
SYMPTOM = "connection refused, at once"
SECONDS = 2.0

_WHERE_IT_IS = "--server stood for the server that is started: in the remedy that starts it, and in the healthy control"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(50, "clients that connect")
    listens: bool = setting(False, "whether the server is there")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """All or none."""
    return {"connected": s.connections if s.listens else 0, "ECONNREFUSED": 0 if s.listens else s.connections}


def play(act: Act, s: Settings) -> Played:
    """Connects to a port that nobody has."""
    with act.stage(WireSpec(rtt_s=s.rtt_s), server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve(None if s.listens else Nobody(stage.host, PORT))
        run = stage.run(
            server,
            lambda progress: hold(stage.target, connections=s.connections, duration_s=0.2, progress=progress),
        )
    measured = {"connected": run.funnel.connected, "ECONNREFUSED": failed(run, "ECONNREFUSED")}
    return Played(run, measured, () if act.command is None or s.listens else (_WHERE_IT_IS,))


REMEDIES = (
    Remedy("start the server, on that address and port", True, {"listens": True}),
    Remedy("sysctl -w net.core.somaxconn=65535", False, {"somaxconn": 65535}),
)
CONTROL = {"listens": True}
