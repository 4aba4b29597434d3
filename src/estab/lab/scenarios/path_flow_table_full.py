"""A stateful firewall between both ends is full: the first N connections live, every new one is lost, ping included.

A cloud machine stopped at some 51,300 connections with every limit of both ends far away. The table keeps an entry
for each flow and drops, without a word, each packet that finds no room for one: EC2's per instance
(`conntrack_allowance_exceeded`), a router's (`net/netfilter/nft_connlimit.c`; docs/kernel.md rules 26 and 30). The SYN
is seen to leave and never to arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules.conntrack import fits_ct_count
from estab.lab.parts.figures import lost_on_the_way
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, SweepPoint
from estab.lab.parts.settings import MOST, Value, duration, rtt, setting, sizes, somaxconn
from estab.lab.stage.hosts import CLIENT, SERVER
from estab.lab.stage.ping import pings
from estab.lab.stage.runner import Ran
from estab.lab.stage.running import Running
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class PathFlowTableFull(Scenario):
    """More connections than the table has room for."""

    cause = "path_flow_table_full"
    side = "path"
    symptom = "connect times out from the N-th connection on, while those that exist go on; ssh and ping fail too"
    seconds = 12.0
    control = {"beyond": -100}
    full = {"sweep": "1000,2000,4000,8000"}
    sweeps = True

    flows: int = setting(500, "flows that the table between the hosts keeps", 1, MOST)
    beyond: int = setting(60, "connections over that; a negative number stays below", -MOST, MOST)
    somaxconn: int = somaxconn()
    rtt_s: float = rtt(0.005)
    timeout_s: float = duration(1.3, "the clients' connect timeout; above 1 s a second SYN is sent, and lost too")
    sweep: str = setting(
        "50,100,200,300", "sizes of the table to find the ceiling of; --sweep takes bigger ones",
        words="sizes with commas between",
    )  # fmt: skip

    def __post_init__(self) -> None:
        sizes("sweep", self.sweep)

    def predict(self) -> Mapping[str, Figure]:
        """The ceiling is the table's size, exactly, and nothing new gets through."""
        ceiling, full = min(fits_ct_count(self.flows), self.flows + self.beyond), self.beyond > 0
        return {
            "connected (the ceiling)": ceiling,
            "lost on the way": max(0, self.beyond),
            "SYNs of those that left": 2 * max(0, self.beyond),
            "SYNs of those that arrived": 0,
            "ping to the server answered": not full,
            "ping back to the client answered": not full,
        }

    def setup(self) -> Setup:
        """The table stands on the wire."""
        return Setup(
            load=LoadSpec(connections=self.flows + self.beyond, duration_s=0.2, timeout_s=self.timeout_s),
            server=(("net.core.somaxconn", self.somaxconn),), rtt_s=self.rtt_s, path=Path(flows=self.flows),
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """Does anything else get through, while all that connected is held?"""
        running.load.settled()
        stage = running.stage
        there, back = pings((stage.client, SERVER), (stage.server, CLIENT))
        return {"ping to the server answered": there, "ping back to the client answered": back}

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """The ceiling, and what became of those over it."""
        return {"connected (the ceiling)": ran.run.funnel.connected, **lost_on_the_way(ran.wire)}

    def points(self, measure: Measure) -> Iterator[SweepPoint]:
        """The size that was set, the ceiling that is found."""
        for flows in sizes("sweep", self.sweep):
            run = measure.of(self.but(flows=flows, beyond=20)).run
            yield SweepPoint(f"ceiling of a table of {flows}", flows, fits_ct_count(flows), run)

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """The sweep, small and without waiting for second SYNs."""
        return (point.row for point in self.but(timeout_s=0.4).points(measure))
