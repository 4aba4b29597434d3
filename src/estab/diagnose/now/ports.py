"""Local ports towards one target as a snapshot shows them: a range is full now, or it is not."""

from __future__ import annotations

from collections.abc import Callable

from estab.diagnose.advice import ports
from estab.diagnose.now.seen import Found, Seen, clear, unseen
from estab.diagnose.suspects import bound_ports_poisoned, ephemeral_port_exhaustion, time_wait_port_exhaustion
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, PortUse, Remedy, RunResult

_UNSEEN = "Local ports were not counted: a snapshot towards a target shows them."


def _use(seen: Seen) -> tuple[PortUse, float] | None:
    use = seen.after.port_use
    fill = ports.fill(use) if use is not None else None
    return None if use is None or fill is None else (use, fill)


def live(seen: Seen) -> Found:
    """Full now, of live connections mostly."""
    return _judge(
        seen, lambda use: use.time_wait * 2 < use.used, "live connections", ephemeral_port_exhaustion.remedies
    )


def time_wait(seen: Seen) -> Found:
    """Full now, of TIME_WAIT mostly."""
    return _judge(seen, lambda use: use.time_wait * 2 >= use.used, "TIME_WAIT", time_wait_port_exhaustion.remedies)


def bound(seen: Seen) -> Found:
    """Most of the range owned by bind() now; confirmed where the rest is full too."""
    found = _use(seen)
    if found is None or found[0].bound is None:
        return unseen(_UNSEEN, "sock_diag", "ports owned by bind() were not read")
    use, fill = found
    evidence = ports.use_evidence(seen.run(None))
    if not bound_ports_poisoned.poisoned(use, None):
        return clear(f"bind() owns {use.bound:,} of {use.capacity or 0:,} ports.", evidence)
    text = f"bind() owns {use.bound:,} of the {use.capacity or 0:,} ports of the range"
    if fill >= 1 or ports.capacity(use) == 0:
        return Found("confirmed", f"{text}, and the rest is full.", evidence, lambda: _poison_remedies(seen))
    return Found("possible", f"{text}; the rest has room still.", evidence, lambda: _poison_remedies(seen))


def _poison_remedies(seen: Seen) -> list[Remedy]:
    return bound_ports_poisoned.remedies(seen.run(None))


def _judge(
    seen: Seen, mine: Callable[[PortUse], bool], what: str, remedies: Callable[[RunResult], list[Remedy]]
) -> Found:
    found = _use(seen)
    if found is None:
        return unseen(_UNSEEN, "sock_diag", "port_use was not read")
    use, fill = found
    evidence: list[Evidence] = ports.use_evidence(seen.run(None))
    towards = endpoint(use.address, use.port)
    if fill < ports.FULL:
        return clear(f"{use.used:,} local ports are in use towards {towards}: {fill:.0%}.", evidence)
    if not mine(use):
        return clear(f"The range is nearly full, but not of {what}.", evidence)
    text = f"Of the local ports towards {towards} {min(fill, 1):.0%} are in use now, most by {what}."
    return Found("confirmed" if fill >= 1 else "possible", text, evidence, lambda: remedies(seen.run(None)))
