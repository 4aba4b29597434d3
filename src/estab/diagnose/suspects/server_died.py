"""The server's process ended while it had connections: all of them end at one moment.

The kernel closes what a process leaves open (`do_exit`, kernel/exit.c): by FIN, or by RST where data is unread. What
comes later is refused, until something listens there again.
"""

from __future__ import annotations

from estab.diagnose import closings, facts, owners
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured
from estab.records import Evidence, Remedy, RunResult, Snapshot
from estab.words import plural

_AT_ONCE_S = 1.0  # a process that ends closes all it has within that, unless it has very many
_FEWEST = 3  # fewer end where a pool of workers renews one


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where what listened before is gone, and connections ended at one moment."""
    ended, refused = closings.ended_early(run), _refused(run)
    evidence = _evidence(run, ended, refused)
    if not ended and not refused:
        return Judgement("ruled_out", "No connection ended early, and none was refused.", evidence)
    gone = _gone(run)
    if gone is None:
        text = "Whether the server's process still runs was not observed"
        return Judgement("not_observed", f"{text} ({facts.why_unseen(run)}).", [*evidence, listener_unseen(run)])
    if not gone:
        return Judgement("ruled_out", "What listened before the run listens after it.", evidence)
    evidence.append(measured("sock_diag", "listeners", None, gone, None))
    if ended < min(_FEWEST, max(1, run.funnel.connected)):
        return Judgement("possible", f"{gone}; {plural(ended, 'connection')} ended with it.", evidence)
    span = closings.ended_between_s(run)
    if span is None or span[1] - span[0] > _AT_ONCE_S:
        return Judgement("possible", f"{gone}, but its connections did not end at one moment.", evidence)
    later = f", and {plural(refused, 'connect was', 'connects were')} refused" if refused else ""
    text = f"The server ended: {plural(ended, 'connection')} ended at one moment, after {span[0]:.1f} s{later}. {gone}."
    return Judgement("confirmed", text, evidence)


def _refused(run: RunResult) -> int:
    return facts.failed(run, ("connect",), ("ECONNREFUSED",))


def _gone(run: RunResult) -> str | None:
    """What of the server is gone, in a sentence without its stop; empty: nothing is. None: not seen."""
    before, after, watch = run.server.before, run.server.after, facts.listener(run)
    if watch is None or before is None or after is None or before.listeners is None or after.listeners is None:
        return None
    then, now = _inodes(before, watch.port), _inodes(after, watch.port)
    ended = owners.gone(run)
    who = ", ".join(owner.words for owner in ended[:3])
    if then and not now:
        return f"Nothing listens there any more{f', where {who} did' if who else ''}"
    if then and not then & now:
        return f"Another socket listens there now{f' than that of {who}' if who else ''}"
    return f"{who}, which listened, is gone" if who else ""


def _inodes(snapshot: Snapshot, port: int) -> set[int | None]:
    return {listener.inode for listener in snapshot.listeners or () if listener.port == port}


def _evidence(run: RunResult, ended: int, refused: int) -> list[Evidence]:
    text = f"{plural(ended, 'connection')} ended early"
    evidence = [measured("failures", "read eof, ECONNRESET, EPIPE", ended, text)]
    span = closings.ended_between_s(run)
    if span is not None:
        text = f"the first of them {span[0]:.2f} s after the start, the last {span[1] - span[0]:.2f} s later"
        evidence.append(measured("failures", "first_s, last_s", round(span[1] - span[0], 3), text, _AT_ONCE_S))
    if refused:
        text = f"{plural(refused, 'connect was', 'connects were')} refused"
        evidence.append(measured("failures", "connect ECONNREFUSED", refused, text))
    return evidence


def failures(run: RunResult) -> int:
    """What ended, and what was refused after it."""
    return closings.ended_early(run) + _refused(run)


def remedies(_run: RunResult) -> list[Remedy]:
    """Where it shows what ended it; nothing else mends that."""
    return [
        Remedy(
            command="journalctl -u UNIT -n 50; coredumpctl list; journalctl -k | grep -iE 'oom|segfault'",
            works=True,
            changes=[changes.LOOK],
            why="Shows who ended it: its own error, a signal, the OOM killer, or a restart (of a unit, a container).",
        ),
        Remedy(
            command="memory.max of its cgroup, MemoryMax=   # where the OOM killer ended it",
            works=True,
            changes=[changes.elsewhere("memory")],
            why="cat memory.events of its cgroup: oom_kill counts how often.",
        ),
        Remedy(
            command="Restart=on-failure   # [Service] of its unit; and clients that connect again",
            works=True,
            changes=[changes.program("who starts it again, and clients that connect again", "server")],
            why="What was open is lost all the same; what comes later is served.",
        ),
        bigger_backlog("The queue ends with its listener."),
        Remedy(
            command="a longer timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="The kernel closes at once what a dead process leaves; nothing is late.",
        ),
    ]


_ENDED = "its process ended, and what it had with it"
CAUSE = Cause(
    id="server_died",
    side="server",
    stage=ConnectionStage.LISTENER,
    specificity=1,
    explains={
        "nobody_listening": "its process ended, so nothing listens any more",
        "server_connection_limit": _ENDED,
        "server_idle_close": _ENDED,
        "closed_with_data_unread": _ENDED,
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("That a listener is gone may be wanted; whom it cost shows at the clients"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that ends after as long as the record's did"),
)
