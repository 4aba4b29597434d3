"""A filter on the way: DROP lets connects time out, REJECT refuses them in the server's place.

A dropped SYN is sent again until the client gives up. A reject answers: RST or ICMP port-unreachable make ECONNREFUSED,
administratively prohibited makes EHOSTUNREACH (`net/ipv4/icmp.c icmp_err_convert`). The listener is there all the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, setting, this
from estab.lab.wire.spec import WireSpec

CAUSE = "path_filtered"
SIDE = "path"
SYMPTOM = "connection timed out, or refused, or no route to host, although the server runs"
SECONDS = 6.0
ERRNO = {"drop": "own_timeout", "reset": "ECONNREFUSED", "unreachable": "ECONNREFUSED", "prohibited": "EHOSTUNREACH"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(40, "clients that connect")
    filter: str = setting("drop", "none, drop, reset, unreachable or prohibited")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    rtt_s: float = setting(0.005, "round-trip time")
    timeout_s: float = setting(0.6, "the clients' connect timeout")


def predict(s: Settings) -> dict[str, Figure]:
    """None gets through, and which errno says so."""
    errno = ERRNO.get(s.filter)
    if errno is None:
        return {"connected": s.connections}
    return {"connected": 0, f"connect: {errno}": s.connections, "SYNs that arrived": 0}


def play(act: Act, s: Settings) -> Played:
    """Connects through a filter to a server that is well."""
    kind: Any = s.filter
    with act.stage(WireSpec(rtt_s=s.rtt_s, filter=kind), server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                duration_s=0.2,
                options=LoadOptions(timeout_s=s.timeout_s),
                progress=progress,
            ),
        )
        arrived = sum(one.arrived for one in stage.wire_report().syns)
    measured = {"connected": run.funnel.connected, "SYNs that arrived": arrived}
    return Played(run, measured | {f"connect: {errno}": failed(run, errno) for errno in ERRNO.values()})


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The other kinds of filter: what the client is told, and that the judge says the same of each that it can tell."""
    for kind in ("reset", "unreachable", "prohibited"):
        other = replace(s, filter=kind)
        played = act.again(this(__name__), other)
        what = f"connect: {ERRNO[kind]}"
        yield Row(f"{kind}: {what}", s.connections, played.measured[what])


REMEDIES = (
    Remedy("nft insert rule … tcp dport 5000 accept, before the rule that drops", True, {"filter": "none"}),
    Remedy("a longer connect timeout: 1.5 s", False, {"timeout_s": 1.5}),
    Remedy("sysctl -w net.core.somaxconn=65535", False, {"somaxconn": 65535}),
)
CONTROL = {"filter": "none"}
