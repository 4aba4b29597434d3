"""What the worker on the server's host runs: it watches the listener from before the start until all is over."""

from __future__ import annotations

import contextlib
import time

import msgspec

from estab.cluster.generate import by_client
from estab.cluster.inbox import Inbox
from estab.cluster.messages import Attended, Order, TimedSample
from estab.errors import EstabError
from estab.load.target import resolve
from estab.observe.sock_diag import SockDiag
from estab.observe.watch import Watch

SAMPLE_EVERY_S = 0.1


def attend(payload: bytes) -> bytes:
    """Watches the order's target on this host until "finish" or "stop", and returns `Attended`."""
    order = msgspec.json.decode(payload, type=Order)
    address, port, _scope = resolve(order.target)
    with Inbox(order) as inbox, contextlib.closing(Watch(address, port)) as watch:
        watch.start()
        inbox.report("ready")
        attendance = _Attendance(watch, port, inbox)
        while inbox.wait("finish", "look", within_s=SAMPLE_EVERY_S) is None and not inbox.stop.is_set:
            attendance.sample()
        if inbox.take("look"):
            attendance.look()
            while inbox.wait("finish", within_s=SAMPLE_EVERY_S) is None and not inbox.stop.is_set:
                attendance.sample()
        attendance.sample()
        seen = Attended(server=watch.finish().server, samples=attendance.samples, held=attendance.held)
    return msgspec.json.encode(seen)


class _Attendance:
    def __init__(self, watch: Watch, port: int, inbox: Inbox) -> None:
        self.watch, self.port, self.inbox = watch, port, inbox
        self.samples: list[TimedSample] = []
        self.held: dict[str, int] | None = None

    def sample(self) -> None:
        """One look at the listener's queue and the counters."""
        sockets = self.watch.server_sockets
        seen = self.watch.sample(sum(sockets.states.values()) if sockets else 0)
        self.samples.append(TimedSample(at_s=time.time(), seen=seen))

    def look(self) -> None:
        """Every connect on every host is settled: what the server has is counted before anything closes."""
        self.watch.settled()
        with contextlib.suppress(EstabError, OSError), SockDiag() as diag:
            self.held = by_client(diag.established_at(self.port))
        self.inbox.report("looked", held=self.held)
