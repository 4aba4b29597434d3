"""The backlog that the program asked for was cut to somaxconn, without an error, and the short queue overflowed.

Source: `__sys_listen_socket` (net/socket.c): B = min((unsigned)backlog, somaxconn), fixed at listen(). Raising it
later does nothing until listen() is called again (docs/kernel.md rule 1). A limit that equals somaxconn is one that was
cut there, or one that was taken from there (Go): either way somaxconn is what has to be raised, and then a new
listen().
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice.backlog import SOMAXCONN, backlog_remedies
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured, sysctl, unknown
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Snapshots
from estab.diagnose.overflow import overflow_evidence, overflowed, overflowed_at
from estab.diagnose.overload import outrun
from estab.kernel.rules.accept_queue import granted
from estab.records import Evidence, ListenerWatch, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the queue overflowed at a limit that somaxconn cut, and a longer one would have held."""
    watch = facts.listener(run)
    if watch is None:
        text = f"The listener's limit was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    verdict, summary = _weigh(run, watch)
    return Judgement(verdict, summary, _evidence(run, watch))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue."""
    return facts.turned_away_clients(run)


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
    told += f", though the server asked for {asked:,.0f}" if asked is not None else ", which is exactly somaxconn"
    if over is None:
        return "not_observed", f"{told}; whether the queue overflowed was not observed."
    if outrun(run) is not None:
        return "possible", f"{told}, but clients outrun accept(): a longer queue would overflow a little later."
    return "confirmed", f"{told}: somaxconn cut the accept queue, and it overflowed."


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    asked, somaxconn = facts.asked(run, "backlog_asked"), facts.server_sysctl(run, SOMAXCONN)
    wanted = "what the program asked for was not observed" if asked is None else f"{asked:,.0f} was asked for"
    text = f"listen() granted {watch.limit:,} ({plural(facts.room(watch), 'fits', 'fit')}); {wanted}"
    evidence = [measured("sock_diag", "limit", watch.limit, text, asked)]
    return [*evidence, sysctl(SOMAXCONN, somaxconn, " in the server's namespace"), *overflow_evidence(run)]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """An overflow, now or between the two, at a limit that is somaxconn."""
    queue, somaxconn = snapshots.fullest, snapshots.sysctl(SOMAXCONN)
    if queue is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    if somaxconn is None:
        return Judgement(
            "not_observed", "somaxconn was not observed.", [unknown("/proc/sys", "-", "somaxconn was not read")]
        )
    evidence = [queue.evidence, measured("/proc/sys", SOMAXCONN, somaxconn, "somaxconn now", None)]
    if queue.now.limit != somaxconn:
        text = f"The limit of {queue.where} is {queue.now.limit:,}, somaxconn is {somaxconn:,}."
        return Judgement("ruled_out", text, evidence)
    over = overflowed_at(snapshots, queue)
    if over is None:
        return Judgement("not_observed", "Whether a queue overflowed is not known.", evidence)
    if not over:
        return Judgement("ruled_out", "No accept queue overflowed.", evidence)
    text = f"The limit of {queue.where} is exactly somaxconn ({somaxconn:,}), and its queue overflows."
    return Judgement("confirmed", text, evidence, about=snapshots.run(queue))


CAUSE = Cause(
    id="backlog_clamped",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    specificity=1,
    explains={CauseKind.ACCEPT_QUEUE: "somaxconn cut the queue that overflowed"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=backlog_remedies,
    twin=Rebuilt("somaxconn below the backlog that was asked for"),
)
