"""What the kernel's counters say together that none says alone.

Rules 28 and 29 of docs/kernel.md. All are deltas within one run and one network namespace; they count packets, not
clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.inputs import at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class DropSplit:
    """ListenDrops taken apart, in packets. None where a counter that it needs was not read.

    `accept_queue`: the accept queue was full. `syn_queue`: the SYN queue was full by the backlog, cookies off.
    `unexplained`: the rest: tcp_max_syn_backlog (rule 10), or no memory or route for the answer.
    """

    accept_queue: int | None
    syn_queue: int | None
    unexplained: int | None


def split_drops(deltas: Mapping[str, int]) -> DropSplit:
    """Which limit dropped the SYNs and ACKs: ListenDrops - ListenOverflows - TCPReqQFullDrop is what neither explains.

    `deltas`: TcpExt counters by name; one that is missing was not read. A negative rest (counters that were not read
    at one moment) gives 0. Raises RuleInputError for a negative delta.
    Source: `net/ipv4/tcp_input.c tcp_conn_request`, `tcp_listendrop` (docs/kernel.md rule 29).
    """
    overflows, full = _read(deltas, "ListenOverflows"), _read(deltas, "TCPReqQFullDrop")
    drops = _read(deltas, "ListenDrops")
    rest = None if overflows is None or full is None or drops is None else max(0, drops - overflows - full)
    return DropSplit(accept_queue=overflows, syn_queue=full, unexplained=rest)


def _read(deltas: Mapping[str, int], name: str) -> int | None:
    value = deltas.get(name)
    if value is not None:
        at_least(f"the delta of {name}", value, 0)
    return value
