"""The ladder of limits from a client to a server: snapshots in, `Limits` out. No IO; the rungs ask `kernel.rules`.

What lives here: which rungs there are, their order, and how far `estab hold` gets. A rung's own arithmetic stands in
`diagnose/rungs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from estab.diagnose.rungs import client, host, rates, server
from estab.diagnose.rungs.host import Host
from estab.diagnose.rungs.view import BothEnds, HoldSpread, unknown
from estab.kernel.formats.endpoint import endpoint
from estab.records import Limit, Limits
from estab.words import plural

__all__ = ["BothEnds", "HoldSpread", "is_met", "ladder", "reach"]


def ladder(view: BothEnds) -> Limits:
    """Every limit on the way, the smallest capacity first, those without one last. Never raises for what is missing."""
    limits = in_order(_rungs(view))
    known = [(limit.limit, limit.capacity_connections) for limit in limits if limit.capacity_connections is not None]
    target = view.target
    return Limits(
        target=None if target is None else endpoint(*target),
        limits=_with_reach(limits, view.spread),
        rates=list(rates.rates(view)),
        binding=known[0][0] if known else None,
        next_after=known,
        taken_at_s=view.client.taken_at_s,
        server_observed=view.server is not None and bool(view.listeners),
        why_server_unobserved=_why_unseen(view),
    )


def in_order(limits: Iterable[Limit]) -> list[Limit]:
    """Smallest capacity first; unknown ones last, in their own order."""
    return sorted(limits, key=lambda limit: (limit.capacity_connections is None, limit.capacity_connections or 0))


def is_met(limits: Limits) -> bool:
    """Whether a limit leaves no room for one connection more."""
    return any(limit.capacity_connections == 0 for limit in limits.limits)


def _why_unseen(view: BothEnds) -> str | None:
    if view.server is not None and view.listeners:
        return None
    return view.why_unobserved or ("no TARGET was given" if view.target is None else "no listener was seen there")


def _rungs(view: BothEnds) -> Iterator[Limit]:
    yield from client.rungs(view)
    ends = 2 if view.one_machine else 1
    own = Host(snapshot=view.client, side="client", ends=ends, is_unix=view.is_unix)
    yield from host.machine_rungs(own)
    yield from host.namespace_rungs(own)
    yield from server.rungs(view)
    if view.server is not None and view.target is not None:
        other = Host(snapshot=view.server, side="server", ends=1)
        if not view.one_machine:
            yield from host.machine_rungs(other)
        if not view.one_namespace:
            yield from host.namespace_rungs(other)
    if view.target is not None and not view.one_namespace and not view.is_unix:
        reason = "what lies between the two (NAT, firewalls, load balancers) cannot be asked from an end"
        yield unknown("path_flows", "path", "tracked flows", "nothing that can be read here", reason)


# What `estab hold` reaches -----------------------------------------------------------------------------------------


def reach(limits: Iterable[Limit], spread: HoldSpread) -> tuple[int, str | None]:
    """How many connections `estab hold` gets when it is asked for as many as it can be, and the limit that ends it.

    None for the limit: all that it can be asked for. It spreads over `spread.processes`, so that descriptors count
    for each, and over `spread.sources`, so that ports do.
    """
    reached: list[tuple[int, str | None]] = [(spread.most, None)]
    for limit in limits:
        capacity = limit.capacity_connections
        if capacity is None:
            continue
        if limit.limit in client.PER_PROCESS:
            capacity *= spread.processes
        elif limit.limit == client.PORTS:
            capacity += (spread.sources - 1) * max(capacity, limit.value or 0)
        reached.append((capacity, limit.limit))
    return min(reached, key=lambda pair: pair[0])


def _with_reach(limits: list[Limit], spread: HoldSpread) -> list[Limit]:
    """What the spreading gives, said where it matters: at the descriptors of one process."""
    count, by = reach(limits, spread)
    words = f"estab hold spreads over up to {plural(spread.processes, 'process', 'processes')}"
    if spread.sources > 1:
        words += f" and {plural(spread.sources, 'source address', 'source addresses')}"
    words += f" and gets {count:,}" + (f", then {by}" if by else ", the most that it can be asked for")
    return [limit.replace(note=words) if limit.limit == client.OPEN_FILES else limit for limit in limits]
