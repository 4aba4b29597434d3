"""A filter on the way: DROP lets connects time out, REJECT refuses them in the server's place.

A dropped SYN is sent again until the client gives up. A reject answers: RST or ICMP port-unreachable make ECONNREFUSED,
administratively prohibited makes EHOSTUNREACH (`net/ipv4/icmp.c icmp_err_convert`). The listener is there all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario
from estab.lab.parts.settings import Value, connections, duration, rtt, setting, somaxconn
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup
from estab.lab.wire.spec import Filter

ERRNO = {"drop": "own_timeout", "reset": "ECONNREFUSED", "unreachable": "ECONNREFUSED", "prohibited": "EHOSTUNREACH"}


@dataclass(frozen=True, kw_only=True)
class PathFiltered(Scenario):
    """Connects through a filter to a server that is well."""

    cause = "path_filtered"
    side = "path"
    symptom = "connection timed out, or refused, or no route to host, although the server runs"
    seconds = 7.0
    control = {"filter": "none"}

    connections: int = connections(40, "clients that connect")
    filter: Filter = setting("drop", "none, drop, reset, unreachable or prohibited", choices=get_args(Filter))  # noqa: RUF009
    somaxconn: int = somaxconn()
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(0.6, "the clients' connect timeout")

    def predict(self) -> Mapping[str, Figure]:
        """None gets through, and which errno says so."""
        errno = ERRNO.get(self.filter)
        if errno is None:
            return {"connected": self.connections}
        return {"connected": 0, f"connect: {errno}": self.connections, "SYNs that arrived": 0}

    def setup(self) -> Setup:
        """The filter stands on the wire."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2, timeout_s=self.timeout_s),
            server=(("net.core.somaxconn", self.somaxconn),), rtt_s=self.rtt_s, path=Path(closed=self.filter),
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the client was told, and what came to the server."""
        arrived = sum(syn.arrived for syn in ran.wire.syns)
        figures: dict[str, Value] = {"connected": ran.run.funnel.connected, "SYNs that arrived": arrived}
        return figures | {f"connect: {errno}": failed(ran.run, errno) for errno in ERRNO.values()}

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """The other kinds of filter: what the client is told."""
        for kind in ("reset", "unreachable", "prohibited"):
            what = f"connect: {ERRNO[kind]}"
            measured = measure.of(self.but(filter=kind)).figures[what]
            yield FigureRow(f"{kind}: {what}", self.connections, measured)
