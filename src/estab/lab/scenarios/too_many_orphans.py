"""The machine has more orphans than tcp_max_orphans. The lab says why it cannot show that.

Orphans of all namespaces are one number (`net/ipv4/tcp.c tcp_orphan_count_sum`) against one limit,
net.ipv4.tcp_max_orphans, which is the host's: the lab never writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class TooManyOrphans(Scenario):
    """Nothing is run."""

    cause = "too_many_orphans"
    side = "server"
    symptom = "connection reset by peer in place of the end of an answer; dmesg: TCP: too many orphaned sockets"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            "it cannot be isolated: orphans are counted for the whole machine, and net.ipv4.tcp_max_orphans "
            "belongs to the initial namespace, which the lab never writes; closed_with_data_unread shows another "
            "close by RST"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
