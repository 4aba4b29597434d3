"""What a twin is made of: two hosts' sysctls, a listener, how it accepts, and the load. Plain data, hashable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Sysctls = tuple[tuple[str, int | str], ...]
Command = Literal["hold", "bench", "churn"]
Host = Literal["client", "server"]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The load, as the command was asked for it. `sources`: how many source addresses; 0: as the kernel chooses."""

    command: Command
    connections: int
    duration_s: float
    timeout_s: float
    workers: int | None = None
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
class Setup:
    """A twin. `rtt_s` None: both ends on one loopback, without a wire. `late`: sysctls written once the server listens.

    `listens` False: nobody listens. `accepts` False: never; `accept_gap_s`: the least time from one accept to the next;
    `stops_after_s`: from then on the server stands still. `*_nofile`: RLIMIT_NOFILE of each process; None: as it is.
    `one_shell`: client and server were started by one command, and have one limit.
    """

    load: Replay
    client: Sysctls = ()
    server: Sysctls = ()
    late: Sysctls = ()
    rtt_s: float | None = None
    listens: bool = True
    backlog: int = 4096
    processes: int = 1
    accepts: bool = True
    accept_gap_s: float = 0.0
    stops_after_s: float | None = None
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

    @property
    def somaxconn(self) -> int | None:
        """net.core.somaxconn at the server; None: as a new namespace has it."""
        value = dict(self.server).get("net.core.somaxconn")
        return None if value is None else int(value)
