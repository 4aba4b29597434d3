"""More clients connect to a UNIX socket than its queue holds, while nobody accepts: EAGAIN, at once and uncounted.

connect() itself finds the queue full (`net/unix/af_unix.c unix_stream_connect`, `unix_recvq_full`; docs/kernel.md rule
31): B+1 are let in, and who does not block gets EAGAIN. Nothing is sent again, and no counter tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue, unix_queue
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, connections, duration, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class UnixAcceptQueueOverflow(Scenario):
    """A server that stands still when its clients come, and then accepts."""

    cause = "unix_accept_queue_overflow"
    side = "server"
    symptom = "connect() to unix:/run/app.sock failed (11: Resource temporarily unavailable)"
    seconds = 6.0
    control = {"connections": 8}
    no_own_server = "a foreign server listens on a port, and this is about a UNIX socket"

    connections: int = connections(60, "clients that connect at once")
    backlog: int = setting(8, "the backlog that the server asks for", 0, MOST)
    somaxconn: int = setting(128, "net.core.somaxconn, which cuts it", 1, MOST)
    held_s: float = duration(1.0, "how long what connected is held")
    pause_s: float = duration(0.5, "how long the server stands still from the start")

    def predict(self) -> Mapping[str, Figure]:
        """What the queue has room for gets in, and waits; all others are refused."""
        fits = unix_queue.fits(accept_queue.granted(self.backlog, self.somaxconn))
        connected = min(self.connections, fits)
        return {"connected": connected, "EAGAIN": self.connections - connected, "waiting at worst": connected}

    def setup(self) -> Setup:
        """One host, a UNIX socket, and a server that is stopped while the clients come."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(
            load=load,
            server=(("net.core.somaxconn", self.somaxconn),),
            unix=True,
            backlog=self.backlog,
            pauses=((0.0, self.pause_s),),
        )

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients got, and how long the queue became."""
        watch = ran.run.server.listener
        return {
            "connected": ran.run.funnel.connected,
            "EAGAIN": failed(ran.run, "EAGAIN"),
            "waiting at worst": None if watch is None else watch.worst_depth,
        }
