"""This host's own connection tracking table is full. The lab says why it cannot show that, and shows its twin instead.

The count is the namespace's, but the maximum is the initial namespace's (`net/netfilter/nf_conntrack_core.c
__nf_conntrack_alloc`, `nf_conntrack_max` of init_net; docs/kernel.md rule 26): to fill the table, the lab would have to
write the host's sysctl, which it never does. `path_flow_table_full` shows the same on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.lab.parts.scenario import KERNEL, Act, Figure, Played, Remedy

CAUSE = "conntrack_full_local"
SIDE = "client"
SYMPTOM = "connection timed out; dmesg: nf_conntrack: table full, dropping packet"
SECONDS = 0.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing to change."""


def why_not() -> str:
    """It cannot be isolated in a namespace."""
    return (
        f"it cannot be isolated: on Linux {KERNEL} net.netfilter.nf_conntrack_max counts for all namespaces and "
        "belongs to the initial one, which the lab never writes; path_flow_table_full shows a full table on the way"
    )


def predict(s: Settings) -> dict[str, Figure]:
    """Nothing, for nothing is run."""
    return {}


def play(act: Act, s: Settings) -> Played:
    """Never called: see why_not()."""
    return Played(None)


REMEDIES: tuple[Remedy, ...] = ()
CONTROL = None
