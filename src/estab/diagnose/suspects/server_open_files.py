"""The server has no descriptor left, so accept() fails and the connection stays queued.

Source: `__sys_accept4_file` (net/socket.c) takes the descriptor before the connection: EMFILE (or ENFILE) leaves it
in the accept queue, which then overflows like any other. Hence judged before accept_queue_overflow.
RLIMIT_NOFILE bounds the highest number, so a process without gaps has exactly that many open (getrlimit(2)).
"""

from __future__ import annotations

from estab.diagnose import descriptors, facts, sent, unclosed
from estab.diagnose.advice import changes
from estab.diagnose.advice.descriptors import (
    file_max_does_nothing,
    file_max_remedies,
    lasting_limit,
    wanted_descriptors,
)
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.descriptors import FullestProcess
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.records import Evidence, Process, Remedy, RunResult, Verdict
from estab.records.failure import OF_CONNECTED
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed by accept() failing with EMFILE or ENFILE, or by a process at its limit while connections waited."""
    refused = facts.failed(run, ("accept",), facts.NO_DESCRIPTOR)
    full = descriptors.fullest_server(run)
    evidence = [*_accept_evidence(run, refused), *_fds_evidence(run, full), *_waiting_evidence(run)]
    if refused:
        text = "The server ran out of descriptors: accept() failed, and connections stayed in its queue."
        return Judgement("confirmed", text, evidence)
    if full is None:
        return _unseen(run, evidence)
    if (piled_up := unclosed.for_want_of_cpu(run)) is not None:
        return Judgement("possible", f"{full.who} ran out of descriptors, but {piled_up}.", evidence)
    verdict, summary = _weigh(run, full)
    return Judgement(verdict, summary, evidence)


def _weigh(run: RunResult, full: FullestProcess) -> tuple[Verdict, str]:
    """The verdict where the descriptors were read and no accept() of ours told it already."""
    closed = facts.failed(run, OF_CONNECTED, ("eof",))
    if full.at_its_last and not full.at_limit and closed:
        # A program that needs two for a connection, or keeps one to close what it can't keep: accept, close.
        text = f"({full.name}, pid {full.pid}) had {full.fds:,} of {full.limit:,} descriptors in use"
        return "confirmed", f"The server {text}, needs more than one for a connection, and closed {closed:,} early."
    if not full.at_limit:
        return "ruled_out", f"{full.fds:,} of {plural(full.limit, 'descriptor was', 'descriptors were')} in use."
    all_used = f"({full.name}, pid {full.pid}) had all {full.limit:,} of its descriptors in use"
    if _waited(run, full):
        return "confirmed", f"The server {all_used} while connections waited to be accepted."
    if closed:
        # libuv (Node) and libev keep a spare descriptor for this: accept, close, and the queue stays empty.
        return "confirmed", f"The server {all_used} and closed {plural(closed, 'connection')} early."
    if run.client_failures:
        return "possible", f"The server {all_used}, but no connection was seen waiting for one."
    return "ruled_out", f"The server used its last descriptor ({full.limit:,}), and no connection waited for another."


def failures(run: RunResult) -> int:
    """Connections that timed out, were reset or ended early."""
    return facts.unserved(run)


def _waited(run: RunResult, full: FullestProcess) -> bool:
    """Did connections wait while the process was at its limit? Samples that hold both figures decide, where any do."""
    paired = [p for p in run.timeline if p.server_fds is not None and p.queue_depth is not None]
    if any((p.server_fds or 0) >= full.limit and p.queue_depth for p in paired):
        return True
    watch = facts.listener(run)
    if watch is None:
        return False
    stuck = max(watch.last_depth, watch.queued_at_end or 0) > 0 or facts.was_full(watch)
    return stuck or (not paired and watch.worst_depth > 0)


def _unseen(run: RunResult, evidence: list[Evidence]) -> Judgement:
    """The owners' descriptors were not read. A queue that is full or stuck, or clients that suffer, leave it open."""
    watch = facts.listener(run)
    if watch is None and (elsewhere := sent.turned_back(run)) is not None:
        return Judgement("ruled_out", elsewhere, evidence)
    if watch is None and facts.each_was_accepted(run):
        return Judgement("ruled_out", "Every connection was answered, so each was accepted.", evidence)
    why = facts.why_unseen(run) if watch is None else "the owner's /proc/PID/fd could not be read; try as root"
    stuck = watch is not None and (facts.was_full(watch) or (watch.worst_depth > 0 and watch.rose_only))
    if facts.timeouts(run) and (watch is None or stuck):
        text = f"A server out of descriptors would look like this, but its descriptors were not observed ({why})."
        return Judgement("possible", text, evidence)
    return Judgement("not_observed", f"The server's descriptors were not observed ({why}).", evidence)


def _accept_evidence(run: RunResult, refused: int) -> list[Evidence]:
    if not run.server.embedded:
        return []
    text = f"accept() failed {plural(refused, 'time')} because no descriptor was left (EMFILE, ENFILE)"
    return [measured("failures", "accept", refused, text)]


def _fds_evidence(run: RunResult, full: FullestProcess | None) -> list[Evidence]:
    if full is None:
        text = "the server's descriptors were not observed"
        return [unknown("/proc/PID/fd", "fds", text)]
    return descriptors.evidence(full)


def _waiting_evidence(run: RunResult) -> list[Evidence]:
    watch = facts.listener(run)
    if watch is None:
        return []
    waiting = watch.worst_depth if watch.queued_at_end is None else max(watch.queued_at_end, watch.worst_depth)
    text = f"at worst {plural(waiting, 'connection')} waited to be accepted"
    return [measured("sock_diag", "worst_depth", waiting, text)]


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """What works, then what does nothing."""
    enfile, emfile = (facts.failed(run, ("accept",), (name,)) for name in ("ENFILE", "EMFILE"))
    if enfile > emfile:
        return file_max_remedies("server")
    size = wanted_descriptors(run)
    full = descriptors.fullest_server(run)
    pid = full.pid if full else "PID"
    own = f"ulimit -n {size}; estab ...   # in the shell that starts estab"
    running = f"prlimit --pid {pid} --nofile={size}:{size}"
    more = [changes.nofile(size, "server")]
    works = [
        Remedy(command=own, works=True, changes=more, why="The embedded server inherits the shell's limit.")
        if run.server.embedded
        else Remedy(
            command=running, works=True, changes=more, why="Counts at once: the limit is asked at every accept()."
        ),
        Remedy(
            command=lasting_limit(size, full.service if full else None),
            works=True,
            changes=more,
            why=f"Lasts. nginx: worker_rlimit_nofile {size}; Docker: --ulimit nofile={size}:{size}.",
        ),
    ]
    look = Remedy(
        command=f"ls /proc/{pid}/fd | wc -l; grep 'open files' /proc/{pid}/limits   # at the server",
        works=True,
        changes=[changes.LOOK],
        why="Shows what could not be seen from here: as many as the soft limit means that none is left.",
    )
    return [*([look] if full is None else []), *works, *_does_nothing()]


def _does_nothing() -> list[Remedy]:
    return [
        does_nothing(
            "bigger_backlog_without_descriptors",
            "a bigger backlog, sysctl -w net.core.somaxconn=65535",
            changes=[changes.queue()],
        ),
        Remedy(
            command="/etc/security/limits.conf",
            works=False,
            changes=[changes.elsewhere("a login, which no service and no running process has")],
            why="It counts for logins only (pam_limits): not for services, containers, or what already runs.",
        ),
        file_max_does_nothing(),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """A process at its RLIMIT_NOFILE now; confirmed where connections wait for it."""
    read = [
        (queue, owner)
        for queue in snapshots.queues
        for owner in queue.now.owners or []
        if owner.fds is not None and owner.nofile_soft is not None
    ]
    if not read:
        text = "No listener's owner was observed; try as root."
        return Judgement("not_observed", text, [unknown("/proc/PID/fd", "-", "no owner's descriptors were read")])
    queue, owner = min(read, key=lambda pair: (_spare(pair[1]), -pair[0].now.depth))
    text = f"{owner.words} has {plural(owner.fds or 0, 'descriptor')} open of {owner.nofile_soft:,}"
    evidence = [measured("/proc/PID/fd", "fds", owner.fds, text, owner.nofile_soft), queue.evidence]
    if _spare(owner) > 0:
        text = (
            f"{owner.fds:,} of {plural(owner.nofile_soft or 0, 'descriptor is', 'descriptors are')} "
            "in use at the fullest server."
        )
        return Judgement("ruled_out", text, evidence)
    text = f"{owner.words} has all {owner.nofile_soft:,} of its descriptors in use"
    if (piled_up := unclosed.for_want_of_cpu(snapshots.run(queue))) is not None:
        return Judgement("possible", f"{text}, but {piled_up}.", evidence, about=snapshots.run(queue))
    if queue.now.depth > 0:
        text += f", and {plural(queue.now.depth, 'connection waits', 'connections wait')} for one."
        return Judgement("confirmed", text, evidence, about=snapshots.run(queue))
    return Judgement(
        "possible", f"{text}; no connection waits for one at this moment.", evidence, about=snapshots.run(queue)
    )


def _spare(owner: Process) -> int:
    return (owner.nofile_soft or 0) - (owner.fds or 0)


_STAYS_QUEUED = "accept() takes the descriptor before the connection, so EMFILE leaves it queued until it overflows"
CAUSE = Cause(
    id="server_open_files",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=2,
    explains={
        "server_not_accepting": "accept() fails because no descriptor is left, so the queue only rises",
        "accept_thread_starved": "accept() fails again and again because no descriptor is left",
        "server_accepts_too_slowly": "accept() fails because no descriptor is left",
        "reuseport_member_stuck": "accept() fails because no descriptor is left, so that queue only rises",
        "syn_queue_overflow": _STAYS_QUEUED,
        "closed_with_data_unread": "what it has no descriptor for it closes, whatever was sent by then",
        CauseKind.ACCEPT_QUEUE: _STAYS_QUEUED,
    },
    over_unix=True,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("RLIMIT_NOFILE of the server's processes"),
)
