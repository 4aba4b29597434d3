"""What a twin is made of: two hosts' sysctls, a path, a listener, how it accepts, the load. Plain data, hashable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from estab.lab.wire.spec import Filter

Sysctls = tuple[tuple[str, int | str], ...]
Command = Literal["hold", "bench", "churn"]
Host = Literal["client", "server"]
Closed = Filter | Literal["policy"]  # policy: a route at the client itself prohibits the target


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The load, as the command was asked for it. `sources`: how many source addresses; 0: as the kernel chooses."""

    command: Command
    connections: int
    duration_s: float
    timeout_s: float
    processes: int | None = None
    sources: int = 0
    in_flight: int = 1000
    ramp_per_s: float | None = None
    reset: bool = False
    size_bytes: int = 64
    mode: Literal["rr", "flood"] = "rr"
    depth: int = 1
    attempts: int = 0
    first_close: Literal["client", "server"] = "client"


@dataclass(frozen=True, kw_only=True)
class Path:
    """What stands between the two hosts; a path that is open is `Path()`.

    `closed`: what a filter does to SYNs. `lost`: how many connects lose their first SYN, how many of these the second,
    and so on; `lost_share`: instead, the share of all SYNs, where connects go on for long. `flows`: the size of the
    flow table; None: none. `gather`: so many SYNs reach the server at one moment.
    """

    closed: Closed = "none"
    lost: tuple[int, ...] = ()
    lost_share: float = 0.0
    flows: int | None = None
    gather: int = 0


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A twin. `rtt_s` None: both ends on one loopback, without a wire. `late`: sysctls written once the server listens.

    `listens` False: nobody listens. `accepts` False: never; `accept_gap_s`: the least time from one accept to the next;
    `stops_after_s`: from then on the server stands still; `pauses`: so it does meanwhile, from and to, in seconds.
    `burners`: threads that take the CPU from the accepting one; `defer_s`: TCP_DEFER_ACCEPT. `bound`: ports that others
    at the client own by bind(). `*_nofile`: RLIMIT_NOFILE of each process; None: as it is. `one_shell`: client and
    server were started by one command, and have one limit.
    """

    load: Replay
    client: Sysctls = ()
    server: Sysctls = ()
    late: Sysctls = ()
    rtt_s: float | None = None
    path: Path = Path()
    listens: bool = True
    backlog: int = 4096
    processes: int = 1
    accepts: bool = True
    accept_gap_s: float = 0.0
    stops_after_s: float | None = None
    pauses: tuple[tuple[float, float], ...] = ()
    burners: int = 0
    defer_s: int = 0
    bound: int = 0
    client_nofile: int | None = None
    server_nofile: int | None = None
    one_shell: bool = False

    def with_sysctl(self, host: Host, name: str, value: int | str) -> Setup:
        """With that sysctl at that host; where both ends are one host, there is only one to set."""
        client, server = (
            {**dict(there), name: value} if self.rtt_s is None or host == which else dict(there)
            for which, there in (("client", self.client), ("server", self.server))
        )
        return replace(self, client=tuple(client.items()), server=tuple(server.items()))

    def with_load(self, **changes: object) -> Setup:
        """With another load."""
        return replace(self, load=replace(self.load, **changes))  # type: ignore[arg-type]

    def with_path(self, **changes: object) -> Setup:
        """With something else on the path, which then is a wire."""
        path = replace(self.path, **changes)  # type: ignore[arg-type]
        return replace(self, path=path, rtt_s=self.rtt_s or 0.0)

    def accepting(self) -> Setup:
        """With a server that accepts at once, whatever kept it from that."""
        return replace(self, accepts=True, accept_gap_s=0.0, stops_after_s=None, pauses=(), burners=0)

    @property
    def somaxconn(self) -> int | None:
        """net.core.somaxconn at the server; None: as a new namespace has it."""
        value = dict(self.server).get("net.core.somaxconn")
        return None if value is None else int(value)
