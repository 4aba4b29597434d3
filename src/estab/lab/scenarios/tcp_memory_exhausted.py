"""TCP's memory of the whole machine is used up. The lab says why it cannot show that.

The account is one for all namespaces (`net/ipv4/tcp.c tcp_memory_allocated`), and so is its limit, net.ipv4.tcp_mem: to
use it up the lab would have to fill the memory of the machine that it runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class TcpMemoryExhausted(Scenario):
    """Nothing is run."""

    cause = "tcp_memory_exhausted"
    side = "server"
    symptom = "connections hang or are reset under load; dmesg: TCP: out of memory -- consider tuning tcp_mem"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            "it cannot be isolated: the memory of all TCP sockets of the machine is one account, and "
            "net.ipv4.tcp_mem belongs to the initial namespace, which the lab never writes; server_not_accepting "
            "shows a program that does not read"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
