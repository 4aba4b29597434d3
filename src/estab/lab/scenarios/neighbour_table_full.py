"""The machine's table of neighbours is full. The lab says why it cannot show that.

The table is one for all namespaces (`net/ipv4/arp.c arp_tbl`), and so are its limits, net.ipv4.neigh.default.gc_thresh:
to fill it the lab would have to cut the machine that it runs on off from its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class NeighbourTableFull(Scenario):
    """Nothing is run."""

    cause = "neighbour_table_full"
    side = "client"
    symptom = "connection timed out to hosts that are new, others go on; dmesg: arp_cache: neighbor table overflow!"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            "it cannot be isolated: the table of neighbours is one for the whole machine, and gc_thresh3 belongs "
            "to the initial namespace, which the lab never writes; neighbour_unresolved shows a neighbour that "
            "does not answer"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
