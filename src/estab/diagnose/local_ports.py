"""How full the range of local ports is towards the target, and of what: shared by the suspects that lack a port.

Source: `__inet_hash_connect` (net/ipv4/inet_hashtables.c): every port of the range is tried, then EADDRNOTAVAIL.
A port is free for each other (source address, destination address, destination port).
"""

from __future__ import annotations

from collections.abc import Callable

from estab.diagnose import facts
from estab.diagnose.cause import Judgement
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, PortUse, RunResult, Snapshot, TimelinePoint
from estab.words import plural

# Sampled ten a second, the worst use can be a little under the use that failed.
FULL = 0.9
_RANGE = "net.ipv4.ip_local_port_range"
UNSEEN = "Local ports were not counted: a snapshot towards a target shows them."


def failed_for_ports(run: RunResult) -> int:
    """Connects that found no local port."""
    return facts.failed(run, ("connect",), facts.NO_PORT)


def capacity(use: PortUse) -> int | None:
    """Ports that one source address may use towards the target: the range, less what bind() owns."""
    return None if use.capacity is None else max(0, use.capacity - (use.bound or 0))


def fill(use: PortUse, missed: int = 0) -> float | None:
    """How much of its range, less the ports that are `missed`, the fullest source address uses: 0 and up.

    None: not known.
    """
    room = capacity(use)
    used = use.worst_source_used if use.worst_source_used is not None else use.used / max(1, use.sources)
    return None if room is None else used / max(1, room - missed)


def time_wait_share(run: RunResult) -> float | None:
    """Of the ports in use when connects failed, the share in TIME_WAIT: 0 to 1. None: not observed.

    The timeline decides where it can, each interval weighted by its failures: `hold` leaves TIME_WAIT behind when it
    closes, long after its failures, and the worst use alone would be blamed on that.
    """
    use = run.client.port_use
    waiting = ports = failed = 0
    for now in run.timeline:
        fails, failed = now.failed - failed, now.failed
        if fails > 0 and now.time_wait is not None:
            held = _time_wait_at(now, use)
            waiting += fails * held
            ports += fails * (held + max(0, now.open))
    if ports > 0:
        return waiting / ports
    return None if use is None or use.used <= 0 else min(1.0, max(0.0, use.time_wait / use.used))


def _time_wait_at(now: TimelinePoint, use: PortUse | None) -> int:
    """TIME_WAIT towards the target at that moment: at most what the live connections leave of the range.

    The timeline's figure is the whole namespace's, towards whatever target.
    """
    known = [now.time_wait or 0]
    if use is not None:
        known.append(use.time_wait)
        room = capacity(use)
        known += [] if room is None else [room * max(1, use.sources) - now.open]
    return max(0, min(known))


def fits_without_time_wait(run: RunResult) -> bool:
    """Would what was asked for at once fit, were it not for TIME_WAIT? False where that is not known."""
    use, asked = run.client.port_use, facts.asked_connections(run)
    room = capacity(use) if use else None
    if use is None or asked is None or room is None:
        return False
    return asked <= room * max(1, use.sources)


def full_now(snapshots: Snapshots, mine: Callable[[PortUse], bool], of: str) -> Judgement:
    """Whether the range is full now, where `mine` says that what fills it is this suspect's, in words `of`."""
    use = snapshots.after.port_use
    filled = fill(use, _missed(snapshots.after)) if use is not None else None
    if use is None and snapshots.after.targets is not None:
        none = measured("sock_diag", "targets", 0, "no connection leaves this host", None)
        return Judgement("ruled_out", "No local port is in use towards anywhere.", [none])
    if use is None or filled is None:
        return Judgement("not_observed", UNSEEN, [unknown("sock_diag", "-", "port_use was not read")])
    return _full(use, filled, use_evidence(snapshots.run(None)), mine, of=of, when="now")


def judge_program(
    run: RunResult, judge_run: Callable[[RunResult], Judgement], mine: Callable[[PortUse], bool], of: str
) -> Judgement:
    """Of a program whose errnos nobody saw: whether the range was seen full, where `mine` says of what, in words `of`.

    Where connects were seen to find no port, that is `judge_run`'s to judge.
    """
    use = run.client.port_use
    filled = fill(use) if use is not None else None
    if failed_for_ports(run) or (run.program is not None and not run.program.sampled):
        return judge_run(run)
    if use is None or filled is None:
        return Judgement("not_observed", UNSEEN, [unknown("sock_diag", "-", "port_use was not read")])
    return _full(use, filled, use_evidence(run), mine, of=of, when="at worst")


def _full(
    use: PortUse, filled: float, evidence: list[Evidence], mine: Callable[[PortUse], bool], *, of: str, when: str
) -> Judgement:
    towards = endpoint(use.address, use.port)
    if filled < FULL:
        is_are = ("is", "are") if when == "now" else ("was", "were")
        ports = plural(use.used, f"local port {is_are[0]}", f"local ports {is_are[1]}")
        return Judgement("ruled_out", f"{ports} in use towards {towards}: {filled:.0%}.", evidence)
    if not mine(use):
        return Judgement("ruled_out", f"The range is nearly full, but not of {of}.", evidence)
    text = f"Of the local ports towards {towards} {min(filled, 1):.0%} are in use {when}, most by {of}."
    return Judgement("confirmed" if filled >= 1 else "possible", text, evidence)


def _missed(snapshot: Snapshot) -> int:
    """Ports that connect() leaves out though they are free: one of an odd range (docs/kernel.md rule 20)."""
    match (snapshot.sysctls or {}).get(_RANGE):
        case [low, high] if high > low:
            return (high - low + 1) % 2
    return 0


def use_evidence(run: RunResult) -> list[Evidence]:
    """Ports in use towards the target, of how many, and how many of them in TIME_WAIT."""
    use = run.client.port_use
    if use is None:
        return [unknown("sock_diag", "port_use", "the use of local ports was not observed")]
    room = capacity(use)
    each = "" if use.sources <= 1 else f" (from {plural(use.sources, 'source address', 'source addresses')})"
    of = "" if room is None else f"; one source address has {room:,}"
    text = (
        f"at worst {plural(use.used, 'local port was', 'local ports were')} "
        f"in use towards {endpoint(use.address, use.port)}{each}{of}"
    )
    evidence = [measured("sock_diag", "used", use.used, text, room)]
    text = f"{use.time_wait:,} of them were in TIME_WAIT"
    share = time_wait_share(run)
    if failed_for_ports(run) and share is not None:
        text += f" at worst; when connects failed, {share:.0%} of the ports in use"
    evidence.append(measured("sock_diag", "time_wait", use.time_wait, text))
    if use.bound:
        text = f"bind() owns {use.bound:,} of the range, a listener's own port included"
        evidence.append(measured("sock_diag", "bound", use.bound, text))
    return evidence


def errno_evidence(count: int) -> Evidence:
    """How many connects found no port."""
    text = f"connect() found no local port {plural(count, 'time')} (EADDRNOTAVAIL)"
    return measured("failures", "connect EADDRNOTAVAIL", count, text)
