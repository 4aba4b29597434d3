"""What the rungs are asked about: both ends as snapshots, and how `estab hold` spreads. Reading only, no rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from estab.kernel.formats.endpoint import is_unix
from estab.records import Limit, Listener, PortUse, Side, Snapshot

RANGE = "net.ipv4.ip_local_port_range"
RESERVED = "net.ipv4.ip_local_reserved_ports"


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldSpread:
    """How `estab hold` carries as many connections as it can: over processes, and over source addresses.

    `own_descriptors`: what one of its processes holds besides connections. `processes` and `sources`: how many of each
    it takes when it is asked for `most` connections, the most that it can be asked for.
    """

    own_descriptors: int
    processes: int
    sources: int
    most: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BothEnds:
    """Both ends. `target` is a literal address and port (a UNIX socket and 0), None for the client in general.

    `server` is the snapshot of the server's side, the client's own where both are in one network namespace, None where
    it was not observed (`why_unobserved` says why). `listeners` are those that serve the target, or, without one, those
    to be shown.
    """

    client: Snapshot
    spread: HoldSpread
    target: tuple[str, int] | None = None
    server: Snapshot | None = None
    listeners: Sequence[Listener] = ()
    why_unobserved: str | None = None

    @property
    def one_namespace(self) -> bool:
        """Both ends are in one network namespace, so that they share its tables."""
        return self.server is self.client

    @property
    def one_machine(self) -> bool:
        """Both ends are on one machine, so that each connection costs it twice: by namespace, or by host name."""
        if self.server is None or self.target is None:
            return False
        name = self.client.host.hostname
        return self.one_namespace or (name is not None and name == self.server.host.hostname)

    @property
    def is_unix(self) -> bool:
        """The target is a UNIX socket: it takes no port, no packet and no memory of TCP's."""
        return self.target is not None and is_unix(self.target[0])

    @property
    def loopback(self) -> bool:
        """The target is a loopback address."""
        return self.target is not None and is_loopback(self.target[0])


def is_loopback(address: str) -> bool:
    """Whether the literal address is a loopback one. False for what is no address."""
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def natural(value: int | None) -> int | None:
    """`value`, or None where it is below 0, as only a damaged snapshot has it."""
    return value if value is not None and value >= 0 else None


def numbers(snapshot: Snapshot, name: str) -> list[int] | None:
    """A sysctl that is integers. None: not read, or not integers."""
    value = (snapshot.sysctls or {}).get(name)
    return value if isinstance(value, list) and value else None


def number(snapshot: Snapshot, name: str) -> int | None:
    """A sysctl that is one integer, 0 or more. None: not read, or another thing."""
    values = numbers(snapshot, name)
    return natural(values[0]) if values and len(values) == 1 else None


def text(snapshot: Snapshot, name: str) -> str | None:
    """A sysctl as text, one number or several put back into text. None: not read."""
    value = (snapshot.sysctls or {}).get(name)
    return ",".join(map(str, value)) if isinstance(value, list) else value


def sockstat(snapshot: Snapshot, name: str) -> int | None:
    """A figure of /proc/net/sockstat as `TCP.orphan`. None: not read."""
    return natural((snapshot.sockstat or {}).get(name))


def why(snapshot: Snapshot, *fields: str, otherwise: str) -> str:
    """What the snapshot says of why a field is missing, or `otherwise`."""
    return next((gap.why for gap in snapshot.unobserved if gap.field in fields), otherwise)


def port_use(view: BothEnds) -> PortUse | None:
    """The client's use of ports towards this very target. None: not observed."""
    use = view.client.port_use
    return use if use is not None and view.target is not None else None


def unknown(limit: str, side: Side, unit: str, source: str, why_unknown: str) -> Limit:
    """A rung of which nothing but its being there is known."""
    return Limit(limit=limit, side=side, unit=unit, source=source, why_unknown=why_unknown)
