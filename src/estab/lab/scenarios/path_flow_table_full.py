"""A stateful firewall between both ends is full: the first N connections live, every new one is lost, ping included.

Report 001's machine stopped at some 51,300 connections with every limit of both ends far away. The table keeps an entry
for each flow and drops, without a word, each packet that finds no room for one: EC2's per instance
(`conntrack_allowance_exceeded`), a router's (`net/netfilter/nft_connlimit.c`; docs/kernel.md rules 26 and 30). The SYN
is seen to leave and never to arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules.conntrack import fits_ct_count
from estab.lab.parts.figures import lost_on_the_way
from estab.lab.parts.scenario import Act, Ceiling, Figure, Played, Remedy, Row, setting, sizes, this
from estab.lab.stage.ping import pings
from estab.lab.stage.stage import CLIENT, SERVER
from estab.lab.wire.spec import WireSpec

CAUSE = "path_flow_table_full"
SIDE = "path"
SYMPTOM = "connect times out from the N-th connection on, while those that exist go on; ssh and ping fail too"
SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    flows: int = setting(500, "flows that the table between the hosts keeps")
    beyond: int = setting(60, "connections over that; a negative number stays below")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    rtt_s: float = setting(0.005, "round-trip time")
    timeout_s: float = setting(1.3, "the clients' connect timeout; above 1 s a second SYN is sent, and lost too")
    sweep: str = setting("50,100,200,300", "sizes of the table to find the ceiling of; --sweep takes bigger ones")

    def __post_init__(self) -> None:
        sizes("sweep", self.sweep)


def predict(s: Settings) -> dict[str, Figure]:
    """The ceiling is the table's size, exactly, and nothing new gets through."""
    ceiling, full = min(fits_ct_count(s.flows), s.flows + s.beyond), s.beyond > 0
    return {
        "connected (the ceiling)": ceiling,
        "lost on the way": max(0, s.beyond),
        "SYNs of those that left": 2 * max(0, s.beyond),
        "SYNs of those that arrived": 0,
        "ping to the server answered": not full,
        "ping back to the client answered": not full,
    }


def play(act: Act, s: Settings) -> Played:
    """More connections than the table has room for."""
    spec = WireSpec(rtt_s=s.rtt_s, flows=s.flows)
    with act.stage(spec, server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve()
        load = stage.load(
            lambda progress: hold(
                stage.target,
                connections=s.flows + s.beyond,
                duration_s=0.2,
                options=LoadOptions(timeout_s=s.timeout_s),
                progress=progress,
            )
        )
        load.settled()  # and held until finish() has had the server's end looked at
        lost = lost_on_the_way(stage.wire_report())
        there, back = pings((stage.client, SERVER), (stage.server, CLIENT))
        run = stage.finish(server, load)
    answered = {"ping to the server answered": there, "ping back to the client answered": back}
    return Played(run, {"connected (the ceiling)": run.funnel.connected, **lost, **answered})


def sweep(act: Act, s: Settings) -> Iterator[Ceiling]:
    """Report 001's table: the size that was set, the ceiling that is found."""
    for flows in sizes("sweep", s.sweep):
        other = replace(s, flows=flows, beyond=20)
        yield Ceiling(f"ceiling of a table of {flows}", flows, fits_ct_count(flows), act.again(this(__name__), other))


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The sweep, small and without waiting for second SYNs."""
    return (one.row() for one in sweep(act, replace(s, timeout_s=0.4)))


REMEDIES = (
    Remedy("a bigger table: instance type, the router's nf_conntrack_max", True, {"flows": 800, "beyond": -240}),
    Remedy("fewer flows at once: a pool, more hosts", True, {"beyond": -60}),
    Remedy("sysctl -w net.core.somaxconn=65535", False, {"somaxconn": 65535}),
)
CONTROL = {"beyond": -100}
FULL = {"sweep": "1000,2000,4000,8000"}
