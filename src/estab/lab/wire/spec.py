"""What a wire is told to be, and what it says of itself afterwards. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Filter = Literal["none", "drop", "reset", "unreachable", "prohibited"]
End = Literal["client", "server"]
Forgotten = Literal["drop", "reset"]  # what becomes of a packet whose flow is forgotten: lost, or answered by RST


@dataclass(frozen=True, kw_only=True)
class WireSpec:
    """`rtt_s`: the round-trip time, half each way. `loss`: the share of all packets lost by chance, 0 to 1.

    `lose_syns`: which SYNs of the client are lost, counted from 1 over all its connections. `flows`: how many flows the
    table keeps; each packet of a flow beyond is lost, whatever it is. `filter`: what happens to SYNs from the client.
    `gather_syns`: so many SYNs are kept until the last of them is there, or none came for 200 ms, or the first one is
    soon sent again, and leave at once: a burst within one round trip however slowly the machine connects.
    `syn_spread_s`: by up to so much, evenly and by chance, a SYN comes later than other packets: clients that go round
    in step come apart. `members`: flows go by one of so many ways, chosen by half their source port (connect() takes
    every second port), and the last is dead; 0: one way.
    `most`: so many connections of the client's pass at once; the SYN of one beyond is refused by RST. None: all pass.
    `largest`: an IP packet of more bytes is lost, whichever way it goes; None: none is. `syns_per_s`:
    so many SYNs pass a second, after `syn_burst` at once; the rest is lost. None: all pass.
    `forgets_s`: a flow of which nothing came for so long is forgotten; but for a SYN, what then comes of it is lost, or
    answered by RST where `forgotten` says so. None: none is.
    `ends_s`: so long after the client's first SYN nothing passes any more, either way. None: all goes on.
    `spoils`: of this end's TCP packets the checksum is wrong when they leave. `strays`: before the first data of the
    server's on each connection the client gets a copy of it whose sequence number lies far outside of the window.
    `capture`: keep the first packets for pcapng.
    """

    rtt_s: float = 0.0
    loss: float = 0.0
    lose_syns: frozenset[int] = frozenset()
    flows: int | None = None
    filter: Filter = "none"
    gather_syns: int = 0
    syn_spread_s: float = 0.0
    members: int = 0
    most: int | None = None
    largest: int | None = None
    syns_per_s: float | None = None
    syn_burst: int = 1
    forgets_s: float | None = None
    forgotten: Forgotten = "drop"
    ends_s: float | None = None
    spoils: End | None = None
    strays: bool = False
    capture: bool = False
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class PassedSyn:
    """A SYN from the client: when it came (seconds, monotonic), its ports, and whether it reached the server's end."""

    at_s: float
    source_port: int
    target_port: int
    arrived: bool


@dataclass(kw_only=True)
class WireReport:
    """What passed. `added_s`: by how much each packet was later than asked. `syns` in the order in which they came.

    `flows`: how many are in the table. `injected`: hand-made SYNs that were sent. `together`: the most gathered SYNs
    that left at once.
    """

    packets: int = 0
    lost: int = 0
    flows: int = 0
    together: int = 0
    syns: list[PassedSyn] = field(default_factory=list)
    added_s: list[float] = field(default_factory=list)
    injected: int = 0
    captured: list[Captured] = field(default_factory=list)

    def stranded(self) -> list[PassedSyn]:
        """The SYNs of those connections none of whose SYNs reached the server."""
        arrived = {syn.source_port for syn in self.syns if syn.arrived}
        return [syn for syn in self.syns if syn.source_port not in arrived]


class WireCounts(NamedTuple):
    """What is asked of a wire again and again: little, and soon told.

    `carried`: how many times a packet came in or left. `syns`: how many came from the client. `injected`: as a report
    has it.
    """

    carried: int
    syns: int
    injected: int


@dataclass(frozen=True, kw_only=True)
class Captured:
    """One packet at one end: `end` 0 is the client's, 1 the server's; `at_ns` Unix time; `comment` where it matters."""

    at_ns: int
    end: int
    frame: bytes
    size: int
    comment: str = ""
