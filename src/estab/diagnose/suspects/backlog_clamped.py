"""The backlog that the program asked for was cut to somaxconn, without an error, and the short queue overflowed.

Source: `__sys_listen_socket` (net/socket.c): B = min((unsigned)backlog, somaxconn), fixed at listen(). Raising it
later does nothing until listen() is called again (docs/kernel.md rule 1). A limit that equals somaxconn is one that was
cut there, or one that was taken from there (Go): either way somaxconn is what has to be raised, and then a new
listen().
"""

from __future__ import annotations

from typing import Final

from estab.diagnose import evidence as shape
from estab.diagnose import facts
from estab.diagnose.advice.backlog import SOMAXCONN, backlog_remedies, outrun
from estab.diagnose.overflow import overflow_evidence, overflowed
from estab.kernel.rules.accept_queue import granted
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, Side, Suspect, Verdict

CAUSE: Final = "backlog_clamped"
SIDE: Final[Side] = "server"


def judge(run: RunResult) -> Suspect:
    """Confirmed where the queue overflowed at a limit that somaxconn cut, and a longer one would have held."""
    watch = facts.listener(run)
    if watch is None:
        text = f"The listener's limit was not observed ({facts.why_unseen(run)})."
        return shape.suspect(CAUSE, SIDE, ("not_observed", text), [shape.unseen(run)], list)
    verdict, summary = _weigh(run, watch)
    return shape.suspect(CAUSE, SIDE, (verdict, summary), _evidence(run, watch), lambda: remedies(run))


def failures(run: RunResult) -> int:
    """Connections that timed out, were reset or ended early."""
    return facts.unserved(run)


def clamped(run: RunResult, watch: ListenerWatch) -> bool | None:
    """Did somaxconn cut this listener's backlog? None: neither what was asked nor somaxconn is known."""
    asked, somaxconn = facts.asked(run, "backlog_asked"), facts.server_sysctl(run, SOMAXCONN)
    if asked is not None:
        wanted = granted(int(asked), 2**31 - 1) if abs(asked) < 2**31 else 2**31 - 1
        return wanted > watch.limit
    return None if somaxconn is None else watch.limit == somaxconn


def _weigh(run: RunResult, watch: ListenerWatch) -> tuple[Verdict, str]:
    cut, over = clamped(run, watch), overflowed(run)
    asked, somaxconn = facts.asked(run, "backlog_asked"), facts.server_sysctl(run, SOMAXCONN)
    if over is False:
        text = f"The limit of {watch.limit:,} was not what failed: the accept queue did not overflow."
        return "ruled_out", text
    if cut is None:
        return "not_observed", "Neither the backlog that was asked for nor somaxconn was observed."
    if not cut:
        whose = "as was asked" if asked is not None else f"below somaxconn ({somaxconn:,})"
        return "ruled_out", f"The limit is {watch.limit:,}, {whose}: nothing was cut."
    told = f"The limit is {watch.limit:,}"
    told += f", {asked:,.0f} was asked for" if asked is not None else ", which is exactly somaxconn"
    if over is None:
        return "not_observed", f"{told}; whether the queue overflowed was not observed."
    if outrun(run):
        return "possible", f"{told}, but clients outrun accept(): a longer queue would overflow a little later."
    return "confirmed", f"{told}: somaxconn cut the accept queue, and it overflowed."


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    asked, somaxconn = facts.asked(run, "backlog_asked"), facts.server_sysctl(run, SOMAXCONN)
    wanted = "what the program asked for was not observed" if asked is None else f"{asked:,.0f} was asked for"
    text = f"listen() granted {watch.limit:,} ({facts.room(watch):,} fit); {wanted}"
    evidence = [shape.count("sock_diag", "limit", watch.limit, text, asked)]
    return [*evidence, shape.sysctl(SOMAXCONN, somaxconn, " in the server's namespace"), *overflow_evidence(run)]


def remedies(run: RunResult) -> list[Remedy]:
    """somaxconn, then a new listen(): the order is the point."""
    return backlog_remedies(run)
