"""This host's own connection tracking table is full. The lab says why it cannot show that, and shows its twin instead.

The count is the namespace's, but the maximum is the initial namespace's (`net/netfilter/nf_conntrack_core.c
__nf_conntrack_alloc`, `nf_conntrack_max` of init_net; docs/kernel.md rule 26): to fill the table, the lab would have to
write the host's sysctl, which it never does. `path_flow_table_full` shows the same on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.running_kernel import KERNEL
from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class ConntrackFullLocal(Scenario):
    """Nothing is run."""

    cause = "conntrack_full_local"
    side = "client"
    symptom = "connection timed out; dmesg: nf_conntrack: table full, dropping packet"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            f"it cannot be isolated: on Linux {KERNEL} net.netfilter.nf_conntrack_max counts for all namespaces and "
            "belongs to the initial one, which the lab never writes; path_flow_table_full shows a full table on the way"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
