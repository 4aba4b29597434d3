"""listen() was asked for 8,192 and got 128: somaxconn cuts without an error, and only a new listen() mends it.

B = min((unsigned)backlog, somaxconn), fixed at listen() (`net/socket.c __sys_listen_socket`; docs/kernel.md rule 1).
Raising somaxconn later changes only what listens later; listen() again on the same socket applies it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.kernel.rules import accept_queue
from estab.lab.parts.bursts import Burst
from estab.lab.parts.scenario import FigureRow, Measure
from estab.lab.parts.settings import INT, backlog, setting, somaxconn
from estab.lab.stage.hosts import PORT
from estab.lab.stage.server import ByHand
from estab.lab.stage.setup import Setup
from estab.observe.sock_diag import SockDiag


@dataclass(frozen=True, kw_only=True)
class BacklogClamped(Burst):
    """A burst on the queue that was cut."""

    cause = "backlog_clamped"
    side = "server"
    symptom = "the backlog is 8192 in the program, and ss -ltn shows 128 in Send-Q"
    seconds = 6.0
    control = {"connections": 100}

    backlog: int = backlog(8192)
    somaxconn: int = somaxconn(128, "net.core.somaxconn when listen() is called")
    later: int = setting(0, "net.core.somaxconn after listen(); 0 leaves it", 0, INT)

    def setup(self) -> Setup:
        """What is raised later changes nothing."""
        return replace(super().setup(), late=(("net.core.somaxconn", self.later),) if self.later else ())

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """The limit as sock_diag shows it: after listen(), after the sysctl, after listen() on the same socket."""
        raised = max(self.backlog, self.somaxconn)
        with measure.runner.stage(server={"net.core.somaxconn": self.somaxconn}) as stage:
            server = stage.serve(ByHand(stage.host, PORT, self.backlog))

            def limit() -> int:
                with stage.server.entered(), SockDiag() as diag:
                    return diag.listeners(PORT)[0].limit

            cut, whole = (accept_queue.granted(self.backlog, most) for most in (self.somaxconn, raised))
            yield FigureRow(f"listen({self.backlog}) grants", cut, limit())
            stage.server.configure({"net.core.somaxconn": raised})
            yield FigureRow(f"after somaxconn={raised}", cut, limit())
            server.tell(("listen", self.backlog))
            yield FigureRow("after listen() again", whole, limit())
