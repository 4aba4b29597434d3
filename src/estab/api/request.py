"""What is asked of a load: the options that every load has, and the request that each kind of load extends.

A request and its options are checked when they are made: one that exists can be carried out. From them come the load
that the worker processes get and the `config` that stands in the record.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Self, get_args

import msgspec

from estab.errors import UsageError
from estab.load.plan import MOST_CONNECTIONS, MOST_DURATION_S, MOST_PROCESSES, MOST_RATE, ClientLoad, check_range
from estab.load.serving import Service
from estab.load.target import MOST_PORT, AddressFamily
from estab.records import Record

Arrivals = Literal["poisson", "constant"]
ConfigValue = int | float | str | bool | None | list[str]


class LoadOptions(Record, frozen=True, kw_only=True):
    """What every load has: how it waits, where it comes from, and how its server is seen.

    `timeout_s` bounds each wait: a connect, and each silence while an answer is due; 0 leaves connects to the kernel.
    `sources` are local addresses to connect from in turn; none: the kernel chooses, and on IPv4 loopback there are more
    where one port range is too small. `processes` is how many client processes there are; None: one a core, and more
    where descriptors are too few for one. `service` is what the embedded server does, where there is no target.
    `server_via` is a command that prints snapshots of the server's host, as "ssh HOST estab observe --port {port}", so
    that its end is judged too.
    `address_family` takes the target's first address of that family ("ipv4", "ipv6") in place of its first ("any").
    `probe`: where no cause is sure, a few connects of its own are made that would tell, 99
    at most; one of them, and a ping, before the load: to `port_beside`, another port of the target's host (None: the
    next one).

    Raises UsageError for what cannot be.
    """

    timeout_s: float = 3.0
    sources: tuple[str, ...] = ()
    processes: int | None = None
    service: Service = Service("echo")
    server_via: str | None = None
    address_family: AddressFamily = "any"
    probe: bool = False
    port_beside: int | None = None

    def __post_init__(self) -> None:
        check_range("timeout_s", self.timeout_s, 0, MOST_DURATION_S)
        if self.processes is not None:
            check_range("processes", self.processes, 1, MOST_PROCESSES)
        if self.address_family not in get_args(AddressFamily):
            raise UsageError(f"`address_family` is {self.address_family!r}; it can be any, ipv4 or ipv6")
        if self.port_beside is not None:
            check_range("port_beside", self.port_beside, 1, MOST_PORT)
            if not self.probe:
                raise UsageError("`port_beside` is the port of a probe: give `probe` too, or leave it out")


DEFAULT_OPTIONS = LoadOptions()


class LoadRequest(Record, frozen=True, kw_only=True):
    """A load of one kind. Raises UsageError for numbers that cannot be, and for what does not go together.

    `connections` is how many are open at once (churn: slots), `duration_s` how long it goes on, in seconds.
    """

    command: ClassVar[str]
    is_probe: ClassVar[bool] = False  # the load is the first of its probes, and all others are made too

    connections: int
    duration_s: float

    def __post_init__(self) -> None:
        check_range("connections", self.connections, 1, MOST_CONNECTIONS)
        check_range("duration_s", self.duration_s, 0.001, MOST_DURATION_S)

    @property
    def hold_s(self) -> float | None:
        """How long the connections are held once every connect is settled; None: the load ends by itself."""
        return None

    @abstractmethod
    def client_load(self, options: LoadOptions, target: str | None) -> ClientLoad:
        """What the client workers are to do with `target`; None: a server of our own."""

    def visitors(self, options: LoadOptions, *, embedded: bool) -> ClientLoad | None:
        """A second load that comes and goes beside the first, for as long as that lasts."""
        del options, embedded
        return None

    def resolved(self, target: str | None) -> Self:
        """With what was left open decided by the target; None: a server of our own."""
        del target
        return self

    def service(self, service: Service) -> Service:
        """The embedded server as this load needs it."""
        return service

    def config(self) -> dict[str, ConfigValue]:
        """What was asked, as the record's `config` says it. What does not apply is None."""
        fields: dict[str, ConfigValue] = msgspec.structs.asdict(self)
        return fields


def check_arrivals(rate_per_s: float | None, arrivals: str) -> None:
    """Raises UsageError for a rate and arrivals of an open loop that cannot be."""
    if rate_per_s is not None:
        check_range("rate_per_s", rate_per_s, 0.001, MOST_RATE)
    if arrivals not in ("poisson", "constant"):
        raise UsageError(f"`arrivals` is {arrivals!r}; it can be poisson or constant")
