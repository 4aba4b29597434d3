"""What scenarios and twins are made of: two hosts' sysctls, a path, a listener, how it accepts, the load.

Plain data, hashable: a remedy is a change of it, and the same one is run once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from estab.lab.wire.spec import End, Filter, Forgotten

Sysctls = tuple[tuple[str, int | str], ...]
Command = Literal["hold", "bench", "churn"]
Host = Literal["client", "server"]
# policy: a route at the client itself prohibits the target; own_*: a rule of the client's own firewall
Closed = Filter | Literal["policy", "own_reject", "own_drop"]
Gap = Literal["none", "neighbour", "way_back", "other_way"]
# over: what comes beyond so many connections at once; unread: each, once it has read so many bytes; no_backend: each,
# for its own connect to the backend is refused (no figure); idle: each that was silent for so many seconds; dies: all,
# for its process ends so many seconds after its first accept
Closes = Literal["over", "unread", "no_backend", "idle", "dies"]


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """The load, as the command is asked for it. `sources`: how many source addresses; 0: as the kernel chooses.

    `rate_per_s`: of churn's connects; None: as fast as it goes. `gaps_s`: for how long the connections of a hold rest
    between requests; none: they are only held, for `duration_s`.
    """

    command: Command = "hold"
    connections: int
    duration_s: float
    timeout_s: float = 3.0
    processes: int | None = None
    sources: int = 0
    in_flight: int = 1000
    ramp_per_s: float | None = None
    rate_per_s: float | None = None
    reset: bool = False
    size_bytes: int = 64
    mode: Literal["rr", "flood"] = "rr"
    depth: int = 1
    attempts: int = 0
    first_close: Literal["client", "server"] = "client"
    gaps_s: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Path:
    """What stands between the two hosts; a path that is open is `Path()`.

    `closed`: what a filter does to SYNs. `gap`: what is missing instead: the server's answer for its link address
    (`neighbour`); or its route to the clients, who then have an address of another network (`way_back`); or that route
    leads by a second link between the hosts, and the server's rp_filter is strict (`other_way`). `lost`: how many
    connects lose their first SYN, how many of these the second, and so on; `lost_share`: instead, the share of all
    SYNs, where connects go on for long. `loss`: the share of all packets that is lost by chance. `flows`: the size of
    the flow table; None: none. `gather`: so many SYNs reach the server at one moment. `syn_spread_s`: by up to so much,
    by chance, a SYN comes later. `members`: by so many ways the flows go, chosen by their source ports, and the last of
    them is dead; 0: one way. `nat_ports`: to how many ports the client's host masquerades; None: no NAT; `nat_forgets`:
    what is closed it knows for 1 s, and not for 120. `most`: so many connections pass at once, and one beyond is
    refused by RST; None: all do. `largest`: longer IP packets, in bytes, are lost without a word; None: none is.
    `syns_per_s`: so many SYNs pass a second, after `syn_burst` at once; None: all do. `forgets_s`: a flow that rests
    for longer is forgotten, and what then comes of it is lost, or answered by RST (`forgotten`); None: none is.
    `ends_s`: so long after the first SYN nothing passes any more; None: all goes on. `dead_first`: the clients connect
    to a name that has two addresses of the server's, and nobody listens on the first.
    `spoils`: what this end sends arrives with a wrong checksum; None: nothing does. `strays`: each connection's client
    is sent one segment from outside of the window, which the client's own host drops where it has a rule against that
    (`drops_invalid`).
    """

    closed: Closed = "none"
    gap: Gap = "none"
    lost: tuple[int, ...] = ()
    lost_share: float = 0.0
    loss: float = 0.0
    flows: int | None = None
    gather: int = 0
    syn_spread_s: float = 0.0
    members: int = 0
    nat_ports: int | None = None
    nat_forgets: bool = False
    most: int | None = None
    largest: int | None = None
    syns_per_s: float | None = None
    syn_burst: int = 1
    forgets_s: float | None = None
    forgotten: Forgotten = "drop"
    ends_s: float | None = None
    dead_first: bool = False
    spoils: End | None = None
    strays: bool = False
    drops_invalid: bool = False


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Two hosts at work. `rtt_s` None: both ends on one loopback, without a wire; `unix`: at a UNIX socket of one host.

    `late`: sysctls written once the server listens. `listens` False: nobody listens. `accepts` False: never;
    `accept_delay_s`: the least time from one accept to the next; `stands_still`: the server does, until what the load
    sends has arrived; `stops_after_s`: from then on it does; `pauses`: meanwhile, from and to, in seconds. `waiting`:
    connections of others that are in the accept queue before the load starts, of a server that stands still.
    `processes`: so many, each with a listener of its own on the port (SO_REUSEPORT), of which `stuck` are stopped.
    `burners`: the server is a program with so many threads that take the CPU from the accepting one; `defer_s`: it
    is one with TCP_DEFER_ACCEPT; `leaks`: it is one that never closes what its clients closed (0: it does);
    `closes`: it is one that closes connections of its own accord, which of them and at which figure; None: it is
    not. `tasks`: it is one with a thread for each connection, of which it may have so many with its first one.
    `taken`: another program of the server's host connects from all ports that it may; where the server's is among
    them, nobody listens. `bound`: ports that others at the client own by bind(), or would if they did not leave them to
    connect() (`bound_no_port`). `starved_s`: for so long the client's processes get no CPU once their SYNs have
    left. `*_nofile`: RLIMIT_NOFILE of each process; None: as it is. `one_shell`: client and server were started by
    one command, and have one limit. `mtu`: of both ends' links, in bytes; None: as they are.
    """

    load: LoadSpec
    client: Sysctls = ()
    server: Sysctls = ()
    late: Sysctls = ()
    rtt_s: float | None = None
    unix: bool = False
    path: Path = Path()
    listens: bool = True
    backlog: int = 4096
    processes: int = 1
    stuck: int = 0
    accepts: bool = True
    accept_delay_s: float = 0.0
    stands_still: bool = False
    stops_after_s: float | None = None
    pauses: tuple[tuple[float, float], ...] = ()
    waiting: int = 0
    burners: int | None = None
    defer_s: int | None = None
    leaks: int | None = None
    closes: tuple[Closes, float] | None = None
    tasks: int | None = None
    taken: bool = False
    bound: int = 0
    bound_no_port: bool = False
    starved_s: float = 0.0
    client_nofile: int | None = None
    server_nofile: int | None = None
    one_shell: bool = False
    mtu: int | None = None

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
        return replace(
            self, accepts=True, accept_delay_s=0.0, stands_still=False, stops_after_s=None, pauses=(), stuck=0,
            burners=None if self.burners is None else 0,
        )  # fmt: skip

    @property
    def somaxconn(self) -> int | None:
        """net.core.somaxconn at the server; None: as a new namespace has it."""
        value = dict(self.server).get("net.core.somaxconn")
        return None if value is None else int(value)
