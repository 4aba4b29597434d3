"""How near a twin came to its record. Pure."""

from __future__ import annotations

from estab.phases import PHASES
from estab.records import Diagnosis, RunResult
from estab.records.failure import CLIENT_PHASES
from estab.records.twin import TwinRow

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


def rows(recorded: RunResult, twin: RunResult, scale: float) -> list[TwinRow]:
    """Each stage of the funnel, each failure, ghosts, SYNs sent again, and counters a connect."""
    compared = [_stage(name, recorded, twin, scale) for name in _FUNNEL]
    # A foreign server does not tell what accept() said; the twin's does.
    phases = PHASES if recorded.server.embedded else CLIENT_PHASES
    there, here = _failures(recorded, phases), _failures(twin, phases)
    for name in sorted({*there, *here}, key=lambda name: -there.get(name, 0)):
        compared.append(_row(name, there.get(name, 0) * scale, here.get(name, 0)))
    compared.append(_row("connects that sent SYN again", recorded.retransmitted * scale, twin.retransmitted))
    if recorded.ghosts is not None and twin.ghosts is not None:
        compared.append(_row("ghosts", recorded.ghosts.count * scale, twin.ghosts.count))
    compared += [_row(f"{name} a connect", _per_connect(recorded, name), _per_connect(twin, name)) for name in COUNTERS]
    return [row for row in compared if row.recorded or row.twin]


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
    counts: dict[str, int] = {}
    for failure in (failure for failure in run.failures if failure.phase in phases):
        name = failure.kind.words
        counts[name] = counts.get(name, 0) + failure.count
    return counts


def _per_connect(run: RunResult, counter: str) -> float | None:
    rise = run.server.rose(f"TcpExt.{counter}")
    return rise / run.funnel.attempted if rise is not None and run.funnel.attempted else None


def judged(run: RunResult) -> Diagnosis:
    """The judge's word on a run; what nobody judged is not accused."""
    return run.diagnosis or Diagnosis(summary="")


def set_against(there: dict[str, float | None], here: dict[str, float | None]) -> list[TwinRow]:
    """Figures by name, as recorded (scaled) and as the twin showed them; those that are 0 at both left out."""
    rows = [_row(what, value, here.get(what)) for what, value in there.items()]
    return [row for row in rows if row.recorded or row.twin]
