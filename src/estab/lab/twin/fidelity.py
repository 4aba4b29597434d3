"""How near a twin came to its record, and whether a remedy mended it. Pure."""

from __future__ import annotations

from estab.records import PHASES, Diagnosis, Remedy, RunResult
from estab.records.failure import CLIENT_PHASES
from estab.records.twin import Came, TwinRow

COUNTERS = (
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDoCookies",
    "TCPReqQFullDrop",
    "SyncookiesSent",
    "SyncookiesRecv",
    "SyncookiesFailed",
    "TCPDeferAcceptDrop",
)
_FUNNEL = ("attempted", "connected", "accepted", "first_byte", "completed")


def nearness(recorded: RunResult, twin: RunResult, scale: float) -> list[TwinRow]:
    """Each stage of the funnel, each failure, ghosts, SYNs sent again, and counters a connect."""
    rows = [_stage(name, recorded, twin, scale) for name in _FUNNEL]
    # A foreign server does not tell what accept() said; the twin's does.
    phases = PHASES if recorded.server.embedded else CLIENT_PHASES
    there, here = _failures(recorded, phases), _failures(twin, phases)
    for name in sorted({*there, *here}, key=lambda one: -there.get(one, 0)):
        rows.append(_row(name, there.get(name, 0) * scale, here.get(name, 0)))
    rows.append(_row("connects that sent SYN again", recorded.retransmitted * scale, twin.retransmitted))
    if recorded.ghosts is not None and twin.ghosts is not None:
        rows.append(_row("ghosts", recorded.ghosts.count * scale, twin.ghosts.count))
    rows += [_row(f"{name} a connect", _per_connect(recorded, name), _per_connect(twin, name)) for name in COUNTERS]
    return [row for row in rows if row.recorded or row.twin]


def _row(what: str, recorded: float | None, twin: float | None) -> TwinRow:
    percent = None if not recorded or twin is None else 100 * (twin - recorded) / recorded
    return TwinRow(what=what, recorded=recorded, twin=twin, percent=percent)


def _stage(name: str, recorded: RunResult, twin: RunResult, scale: float) -> TwinRow:
    """One of the funnel. What a foreign server accepted was counted once all was settled: then the twin's is too."""
    there, here = getattr(recorded.funnel, name), getattr(twin.funnel, name)
    if name == "accepted" and not recorded.server.embedded and twin.server.listener is not None:
        here = twin.server.listener.accepted_at_end
    if name == "accepted" and not twin.server.embedded and recorded.server.listener is not None:
        there = recorded.server.listener.accepted_at_end
    return _row(name, _times(there, scale), here)


def _times(count: int | None, scale: float) -> float | None:
    return None if count is None else count * scale


def _failures(run: RunResult, phases: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in (one for one in run.failures if one.phase in phases):
        name = one.kind.words
        found[name] = found.get(name, 0) + one.count
    return found


def _per_connect(run: RunResult, counter: str) -> float | None:
    rise = run.server.rose(f"TcpExt.{counter}")
    return rise / run.funnel.attempted if rise is not None and run.funnel.attempted else None


def wrong(run: RunResult) -> int:
    """What a client would complain of: failures, and ghosts."""
    return run.client_failures + (run.ghosts.count if run.ghosts else 0)


def judged(run: RunResult) -> Diagnosis:
    """The judge's word on a run; what nobody judged is not accused."""
    return run.diagnosis or Diagnosis(summary="")


def remedies(diagnosis: Diagnosis) -> list[Remedy]:
    """The remedies of the cause that the judge names."""
    return list(diagnosis.accused.remedies) if diagnosis.accused is not None else []


def set_against(there: dict[str, float | None], here: dict[str, float | None]) -> list[TwinRow]:
    """Figures by name, as recorded (scaled) and as the twin showed them; those that are 0 at both left out."""
    rows = [_row(what, value, here.get(what)) for what, value in there.items()]
    return [row for row in rows if row.recorded or row.twin]


def came(before: RunResult, after: RunResult) -> Came:
    """What a remedy did: "works" only where nothing is wrong and nobody is accused any more."""
    if not wrong(after) and after.cause is None and _served(after):
        return "works"
    better = bool(wrong(before)) and wrong(after) <= wrong(before) / 2
    better = better or after.funnel.connected >= 1.5 * before.funnel.connected
    return "helps" if better and (after.funnel.accepted or 0) > (before.funnel.accepted or 0) else "does_nothing"


def all_served(run: RunResult) -> bool:
    """Was everyone accepted who was connected, as far as that was seen?"""
    return run.funnel.accepted is None or run.funnel.accepted >= run.funnel.connected


def _served(run: RunResult) -> bool:
    return run.funnel.connected == run.funnel.attempted or run.command != "hold"


def outcome(run: RunResult) -> str:
    """What came of a run, in a few words."""
    parts = [f"{run.funnel.connected:,} of {run.funnel.attempted:,} connected"]
    if run.funnel.accepted is not None:
        parts.append(f"{run.funnel.accepted:,} accepted")
    queued = run.server.listener.queued_at_end if run.server.listener else None
    if queued:
        parts.append(f"{queued:,} in the accept queue")
    parts += [f"{one.count:,} {one.kind.words}" for one in run.failures[:3]]
    if run.ghosts is not None and run.ghosts.count:
        parts.append(f"{run.ghosts.count:,} ghosts")
    if run.retransmitted:
        parts.append(f"{run.retransmitted:,} sent SYN again")
    return ", ".join(parts)
