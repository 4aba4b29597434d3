"""`Probes`: what a few connects of their own told of a path, each None where it was not tried."""

from __future__ import annotations

from estab.records.base import Record

REFUSED = "ECONNREFUSED"


class SizeProbe(Record, frozen=True, kw_only=True):
    """A request after the run in segments of `small_mss` bytes, and one in full ones, each on a connection of its own.

    `acknowledged`: all `size_bytes` of it were, in time; `answered`: its reply came to its end. `full_*` is None where
    the small one had not passed. It is made where requests or answers were lost that are bigger than a small segment.
    Where the full one was lost and sizes are asked for, the border is searched: IP packets of `passes_bytes` pass, and
    those of `loses_bytes` are lost; `lost` says which of both ways: `requests` or `answers`. `connects`: so many
    connections it took in all.
    """

    size_bytes: int
    small_mss: int
    small_acknowledged: bool
    small_answered: bool
    full_acknowledged: bool | None = None
    full_answered: bool | None = None
    full_bytes: int | None = None
    passes_bytes: int | None = None
    loses_bytes: int | None = None
    lost: str | None = None
    connects: int | None = None

    @property
    def full_passed(self) -> bool | None:
        """Whether full segments passed as far as small ones did. None: they were not tried."""
        if self.full_acknowledged is None:
            return None
        return self.full_acknowledged and bool(self.full_answered or not self.small_answered)


class ConnectTry(Record, frozen=True, kw_only=True):
    """One connect, closed at once. `errno`: what it gave, `own_timeout` where nothing came in time; None: it connected.

    `ms`: after so many milliseconds. `resent`: so often its SYN was sent again; None: not observed.
    """

    errno: str | None = None
    ms: float
    resent: int | None = None

    @property
    def answered(self) -> bool:
        """Whether somebody answered for the target: it connected, or was refused."""
        return self.errno in (None, REFUSED)

    @property
    def silent(self) -> bool:
        """Whether nothing came back at all."""
        return self.errno in ("own_timeout", "ETIMEDOUT")


class OtherPort(Record, frozen=True, kw_only=True):
    """Connects to another port of the target's host, and at the same time some to the `target` itself.

    `before`: one before the load. `tries`: those after it or, where `open` connections of it were held, meanwhile.
    `beside`: more of them, one by one, where the target's SYNs were lost now and then and this port answers.
    """

    port: int
    before: ConnectTry | None = None
    tries: list[ConnectTry] = []
    target: list[ConnectTry] = []
    beside: list[ConnectTry] = []
    open: int = 0


class PortTries(Record, frozen=True, kw_only=True):
    """Connects to the target from one local port, in the order in which they were made."""

    port: int
    tries: list[ConnectTry]


class SourcePorts(Record, frozen=True, kw_only=True):
    """Connects to the target from as many local ports, in the order of their first try.

    Where some got no answer, a number of them was tried again, and as many of the others. Each had `within_s` seconds,
    in which a SYN is sent twice.
    """

    within_s: float
    ports: list[PortTries]


class Ping(Record, frozen=True, kw_only=True):
    """An ICMP echo to the target's address. `ms`: its answer came after so many milliseconds; None: none came in time.

    `asked_before`: one was sent before the load too, and `before_ms` is its answer.
    """

    ms: float | None = None
    asked_before: bool = False
    before_ms: float | None = None


class NotTried(Record, frozen=True, kw_only=True):
    """A probe that was not made, and why."""

    probe: str
    why: str


class Probes(Record, frozen=True, kw_only=True):
    """What a few connects of their own told: `connects` of them, in `seconds`. A probe that was not made is None."""

    connects: int = 0
    seconds: float = 0.0
    other_port: OtherPort | None = None
    source_ports: SourcePorts | None = None
    ping: Ping | None = None
    not_tried: list[NotTried] = []

    @property
    def failed(self) -> int:
        """Connects to the target, each from another local port, that did not get through."""
        ports = self.source_ports.ports if self.source_ports is not None else []
        return sum(outcome.errno is not None for port in ports for outcome in port.tries)
