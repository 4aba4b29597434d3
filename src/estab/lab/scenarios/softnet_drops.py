"""A CPU's receive queue is full, and packets are dropped as they arrive. The lab says why it cannot show that.

The queues are the CPUs', whatever namespace a packet is for (`net/core/dev.c enqueue_to_backlog`), and their limit,
net.core.netdev_max_backlog, is the host's: to fill one the lab would have to flood the machine that it runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class SoftnetDrops(Scenario):
    """Nothing is run."""

    cause = "softnet_drops"
    side = "server"
    symptom = "packets are lost under load though none on the way drops any; the second column of softnet_stat rises"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            "it cannot be isolated: the receive queue of a CPU serves all namespaces, and "
            "net.core.netdev_max_backlog belongs to the initial one, which the lab never writes; path_syn_loss "
            "shows packets that are lost on the way"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
