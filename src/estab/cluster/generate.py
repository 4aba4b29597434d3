"""What a generator runs: one `estab` run on its host, by `estab.api`, that waits for the others where it has to."""

from __future__ import annotations

import contextlib
import time
from collections import Counter

import msgspec

from estab.api.execute import execute
from estab.api.hold import HoldRequest
from estab.api.recorder import Progress
from estab.cluster.inbox import Inbox
from estab.cluster.messages import Generated, Order
from estab.errors import EstabError
from estab.kernel.formats.inet_diag import plain_address
from estab.load.conductor import Barrier
from estab.load.target import resolve
from estab.observe.sock_diag import SockDiag
from estab.records import encode


def generate(payload: bytes) -> bytes:
    """Carries out an `Order` and returns `Generated`. Raises what the command raises, before anything is sent."""
    order = msgspec.json.decode(payload, type=Order)
    with Inbox(order) as inbox:
        part = _Part(order, inbox)
        assert order.request is not None
        run = execute(
            order.request,
            order.target,
            order.options,
            stop=inbox.stop,
            progress=part.progress,
            barrier=Barrier(part.ready, part.may_hold),
        )
    return msgspec.json.encode(Generated(run=msgspec.Raw(encode(run)), began_s=part.began_s, held=part.held))


class _Part:
    """One host's part in the whole."""

    def __init__(self, order: Order, inbox: Inbox) -> None:
        self.order, self.inbox = order, inbox
        self.holds = isinstance(order.request, HoldRequest)
        self.began_s: float | None = None
        self.held: dict[str, int] | None = None
        self._settled = False
        self._stage, self._said_at = "", 0.0

    def ready(self) -> float | None:
        """All workers of this host are: says so, and waits for the agreed start."""
        self.inbox.report("ready")
        command = self.inbox.wait("start")
        return None if command is None else command.at_s.get(self.order.who)

    def may_hold(self) -> bool:
        """Holding counts from when all hosts have settled; what does not hold waits for nobody."""
        if not self._settled:
            self._settled = True
            self.held = self._count_held() if self.holds else None
            self.inbox.report("settled", held=self.held)
        return not self.holds or self.inbox.has("hold")

    def progress(self, now: Progress) -> None:
        """Says where this host stands, as often as was asked for, and at once where the stage changes."""
        self.began_s = now.began_s
        at = time.monotonic()
        if now.stage != self._stage or at - self._said_at >= self.order.live_every_s:
            self._stage, self._said_at = now.stage, at
            self.inbox.report("live", stage=now.stage, point=now.point.replace(client_states=None, server_states=None))

    def _count_held(self) -> dict[str, int] | None:
        """Connections towards the target that this end has, by own address; None where that can't be read."""
        address, port, _scope = resolve(self.order.target)
        with contextlib.suppress(EstabError, OSError), SockDiag() as diag:
            return by_client(diag.established_toward(address, port))
        return None


def by_client(connections: frozenset[bytes]) -> dict[str, int]:
    """How many of these (packed as `inet_diag.Established` does) each client's address has."""
    counted = Counter(packed[:16] for packed in connections)
    return {plain_address(raw): count for raw, count in counted.items()}
