"""The accept queue of a UNIX socket was full: who connects without blocking gets EAGAIN, who blocks waits.

Source: `unix_recvq_full`, `unix_stream_connect` (net/unix/af_unix.c): full is `qlen > sk_max_ack_backlog`, so B+1 fit
(docs/kernel.md rule 31). connect() gives EAGAIN for nothing else (connect(2)), so that one proves it. No counter of the
kernel counts it: where nobody's connect() is seen, a queue that looks find full is all that tells, and it stays
possible, for nobody may have connected meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from estab.diagnose import facts
from estab.diagnose.advice import changes, programs
from estab.diagnose.advice.backlog import SOMAXCONN, too_many_at_once, wanted_backlog
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import measured, unknown, worst_depth
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.kernel.formats.endpoint import UNIX
from estab.kernel.rules.accept_queue import room
from estab.records import Evidence, Process, Program, Remedy, RunResult, Snapshot, UnixQueue, UnixRefused
from estab.words import places, plural, sentence

_UNCOUNTED = "the kernel counts nothing that a UNIX socket turns away, so that this can't tell whether anybody was"
_MOST_TOLD = 3


# A run of our own --------------------------------------------------------------------------------------------------


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where our own connects, which never block, got EAGAIN."""
    target = facts.unix_target(run)
    if target is None:
        return _judge_behind(run)
    refused, watch = facts.unix_refusals(run), facts.listener(run)
    evidence = [_eagain(refused, run.funnel.attempted)]
    if watch is not None:
        evidence.append(worst_depth(watch))
    if not refused:
        return Judgement("ruled_out", f"No connect to {target} got EAGAIN.", evidence)
    fits = "" if watch is None else f" ({plural(facts.room(watch), 'fits', 'fit')})"
    text = f"The accept queue of {target} was full{fits}: {plural(refused, 'connect')} got EAGAIN."
    return Judgement("confirmed", text, evidence)


def _eagain(count: int, attempted: int) -> Evidence:
    text = f"{count:,} of {plural(attempted, 'connect')} got EAGAIN: a UNIX socket's accept queue was full"
    return measured("failures", "connect EAGAIN", count, text if count else "no connect got EAGAIN")


def _judge_behind(run: RunResult) -> Judgement:
    """Of a load over TCP: whether a queue was full at which the server that answered may have asked."""
    full = _filled(run.server.unix_queues)
    suffered = run.client_failures or any(kind.errno.startswith("5") for kind in run.unwished)
    if not full or not suffered:
        text = "The load went over TCP: it connected to no UNIX socket."
        seen = (
            "" if run.server.unix_queues is None else ", and none beside its server was seen full while replies failed"
        )
        return Judgement("ruled_out", text, [unknown("config", "target", f"no UNIX socket{seen}")])
    looks = f"{full[0].full_looks:,} of {plural(full[0].looks, 'look')}"
    text = (
        f"The accept queue of {_place(full[0])} was full ({plural(room(full[0].limit), 'fits', 'fit')}) at {looks}: "
        "a server that asks there without blocking gets EAGAIN, and its log says so. Whether this one does is not seen "
        "(estab run traces it, as root)."
    )
    return Judgement("possible", text, [*_queues_evidence(full), unknown("unix_diag", "drops", _UNCOUNTED)])


# A program's -------------------------------------------------------------------------------------------------------


def judge_program(run: RunResult) -> Judgement:
    """Confirmed where the program's connects got EAGAIN, those of a server that it connected to, or of its clients."""
    program = run.program
    assert program is not None
    own, others = _own(program), _linked(run, program)
    evidence = _program_evidence(program)
    if own or others:
        return Judgement("confirmed", _program_summary(program, own, others), evidence)
    full = _filled(program.unix_queues)
    if full:
        return Judgement("possible", _seen_full(full[0], program), evidence)
    if program.unix_queues is None:
        text = "The UNIX sockets that listen here were not observed."
        return Judgement("not_observed", text, [unknown("sock_diag", "unix_queues", "not read")])
    waited = [queue for queue in program.unix_queues if queue.worst_depth]
    if not program.sampled or not waited:
        seen = "" if program.sampled else "No connect over a UNIX socket got EAGAIN, and "
        text = f"{seen}no UNIX socket's queue was seen full."
        return Judgement("ruled_out", sentence(text), evidence)
    used = places(waited[0].worst_depth, room(waited[0].limit))
    text = f"No UNIX socket's queue was full at a look (fullest: {waited[0].address}, {used}); no counter tells more."
    return Judgement("not_observed", text, evidence)


def _own(program: Program) -> int:
    return sum(failure.count for failure in program.unix_failures or () if failure.errno == "EAGAIN")


def _linked(run: RunResult, program: Program) -> list[UnixRefused]:
    """Of the others that got EAGAIN those that the program has to do with.

    A server whose listener it connected to; or whoever, where a queue of the program's own was full.
    """
    if any(queue.own and queue.full_looks for queue in program.unix_queues or ()):
        return list(program.unix_refused or ())
    servers = {process.pid for process in run.server.processes or ()}
    servers |= {owner.pid for end in (run.server.before, run.server.after) for owner in _owners(run, end)}
    return [each for each in program.unix_refused or () if each.pid in servers]


def _owners(run: RunResult, end: Snapshot | None) -> list[Process]:
    port = facts.target_port(run)
    listeners = (end.listeners or ()) if end is not None and port is not None else ()
    return [owner for listener in listeners if listener.port == port for owner in listener.owners or ()]


def _filled(queues: Sequence[UnixQueue] | None) -> list[UnixQueue]:
    """Those that looks found full, and that were not so before the program did anything, or are its own."""
    return [each for each in queues or () if each.full_looks and (each.own or not each.full_before)]


def _program_summary(program: Program, own: int, others: Sequence[UnixRefused]) -> str:
    full = _filled(program.unix_queues)
    whose = f"of {_place(full[0])} was full ({plural(room(full[0].limit), 'fits', 'fit')})" if full else "was full"
    refused = [f"{plural(own, 'connect')} of {program.name}"] if own else []
    refused += [f"{plural(each.count, 'connect')} of {each.words}" for each in others[:_MOST_TOLD]]
    text = f"The accept queue {whose if full else f'of a UNIX socket {whose}'}: {' and '.join(refused)} got EAGAIN."
    return text if full else f"{text} No look found it full, so that which one it was can't be told."


def _place(queue: UnixQueue) -> str:
    owner = f" ({queue.owners[0].words})" if queue.owners else ""
    return f"{queue.address}{owner}"


def _seen_full(queue: UnixQueue, program: Program) -> str:
    fits = plural(room(queue.limit), "fits", "fit")
    looks = f"{queue.full_looks:,} of {plural(queue.looks, 'look')}"
    why = _UNCOUNTED
    if not program.sampled:
        who = "no connect" if not program.unix_refused else "no connect that is the program's affair"
        why = f"{who} got EAGAIN: who blocks waits"
    return f"The accept queue of {_place(queue)} was full ({fits}) at {looks}; {why}."


def _program_evidence(program: Program) -> list[Evidence]:
    evidence = []
    if program.unix_failures is not None and (_own(program) or not program.unix_refused):
        evidence.append(_eagain(_own(program), program.unix_connects or 0))
    for each in (program.unix_refused or [])[:_MOST_TOLD]:
        text = f"{plural(each.count, 'connect')} of {each.words} got EAGAIN: a UNIX socket's accept queue was full"
        evidence.append(measured("sys_exit_connect", "ret", each.count, text))
    evidence += _queues_evidence(program.unix_queues or ())
    if not evidence:
        evidence.append(measured("unix_diag", "unix_queues", 0, "nothing waited at any UNIX socket", None))
    if program.sampled:
        evidence.append(unknown("unix_diag", "drops", _UNCOUNTED))
    return evidence


def _queues_evidence(queues: Sequence[UnixQueue]) -> list[Evidence]:
    evidence = []
    for queue in queues[:_MOST_TOLD]:
        used = places(queue.worst_depth, room(queue.limit))
        text = f"{used} used at worst at {_place(queue)}, full in {queue.full_looks:,} of {plural(queue.looks, 'look')}"
        evidence.append(measured("unix_diag", "worst_depth", queue.worst_depth, text, room(queue.limit)))
    return evidence


# A host's ----------------------------------------------------------------------------------------------------------


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """A queue that is full now, or was between, is possible and no more: nothing tells whether anybody was refused."""
    if snapshots.after.unix_listeners is None:
        text = "The UNIX sockets that listen here were not observed."
        return Judgement("not_observed", text, [unknown("sock_diag", "unix_listeners", "not read")])
    queues = snapshots.unix_queues
    if not queues:
        text = "No UNIX socket listens here."
        return Judgement("ruled_out", text, [measured("unix_diag", "unix_listeners", 0, "none", None)])
    for queue in queues:
        if queue.full or _was_full(queue):
            return _full(snapshots, queue)
    used = places(queues[0].now.depth, queues[0].room)
    text = f"No UNIX socket's queue is full now (fullest: {queues[0].where}, {used}); no counter tells of before."
    return Judgement("not_observed", text, [queues[0].evidence])


def _was_full(queue: Queue) -> bool:
    return (queue.now.worst_depth or 0) >= queue.room and queue.then is not None


def _full(snapshots: Snapshots, queue: Queue) -> Judgement:
    owner = f" ({queue.now.owners[0].words})" if queue.now.owners else ""
    when = f"is full now: {queue.wait_and_fit}" if queue.full else f"was full ({plural(queue.room, 'fits', 'fit')})"
    text = f"The accept queue of {queue.where}{owner} {when}. Whoever connects gets EAGAIN, or waits where it blocks."
    evidence = [queue.evidence, unknown("unix_diag", "drops", _UNCOUNTED)]
    return Judgement("possible", text, evidence, about=snapshots.run(queue))


# Remedies ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Full:
    """The queue that remedies are for; what is not known of it is None."""

    address: str
    limit: int | None
    owners: Sequence[Process]
    size: int  # of a backlog that holds what came


def _of(run: RunResult) -> _Full:
    queues = run.program.unix_queues if run.program is not None else run.server.unix_queues
    if run.program is not None or (queues is not None and facts.unix_target(run) is None):
        full = _filled(queues) or list(queues or ())
        if not full:
            return _Full("unix:/path", None, (), wanted_backlog(run, None))
        return _Full(full[0].address, full[0].limit, full[0].owners or (), _longer(full[0].limit))
    watch = facts.listener(run)
    if watch is None:
        return _Full(facts.unix_target(run) or "unix:/path", None, (), wanted_backlog(run, None))
    return _Full(watch.address, watch.limit, run.server.processes or (), wanted_backlog(run, watch))


def _longer(limit: int) -> int:
    return min(65536, 1 << (max(4 * limit, 512) - 1).bit_length())


def remedies(run: RunResult) -> list[Remedy]:
    """A longer queue, which somaxconn and the program both bound, and who empties it; then what does nothing."""
    full = _of(run)
    return [*_longer_queue(run, full), _more_workers(run, full), *_does_nothing(full)]


def _longer_queue(run: RunResult, full: _Full) -> list[Remedy]:
    somaxconn = facts.server_sysctl(run, SOMAXCONN)
    longer = [changes.queue(full.size)]
    told = []
    if somaxconn is None or full.size > somaxconn:
        stands = "was not observed" if somaxconn is None else f"is {somaxconn:,}"
        why = f"somaxconn {stands}, and cuts the backlog of UNIX sockets too: raise it, then listen() anew."
        told.append(Remedy(command=f"sysctl -w {SOMAXCONN}={full.size}", works=True, changes=longer, why=why))
    granted = "" if full.limit is None else f"{full.limit:,} was granted: "
    for command, asks in _settings(run, full):
        why = f"{granted}{plural(room(full.limit or 0), 'fits', 'fit')}. {asks}" if full.limit is not None else asks
        told.append(Remedy(command=command, works=True, changes=longer, why=why.strip()))
    return told


def _settings(run: RunResult, full: _Full) -> list[tuple[str, str]]:
    if run.server.embedded:
        return [(f"--backlog {full.size}", "")]
    known = [
        (program.backlog.at(full.size, full.address), f"{program.name} asks for {program.backlog.default} by default.")
        for program in programs.of(full.owners)
        if program.backlog is not None
    ]
    if known:
        return known
    why = (
        f"gunicorn, uvicorn: --backlog {full.size}; PHP-FPM: listen.backlog = {full.size}; "
        f"uWSGI: --listen {full.size}; Redis: tcp-backlog {full.size}, for its unixsocket too; "
        f"Node: server.listen({{path, backlog: {full.size}}}); Python: sock.listen({full.size})."
    )
    return [(f"listen(fd, {full.size})", why)]


def _more_workers(run: RunResult, full: _Full) -> Remedy:
    watch = facts.listener(run) if facts.unix_target(run) is not None else None
    together = too_many_at_once(run, watch)
    if together is not None:
        why = f"{plural(together, 'connect comes', 'connects come')} at once: they fill it before any accept()."
        return Remedy(
            command=f"more workers or threads that call accept(); together with a backlog of {full.size}",
            works=True,
            changes=[changes.ACCEPT, changes.queue(full.size)],
            why=why,
        )
    known = [program.connections for program in programs.of(full.owners) if program.connections is not None]
    asked = f"; {known[0].named()[0]}" if known else ""
    return Remedy(
        command=f"more workers or threads that call accept(){asked}",
        works=True,
        changes=[changes.ACCEPT],
        why="The queue holds only what comes while all of them are busy; where that lasts, a longer one fills too.",
    )


def _does_nothing(full: _Full) -> list[Remedy]:
    late = f"sysctl -w {SOMAXCONN}=65535, the server left running"
    tcp = "sysctl -w net.ipv4.tcp_max_syn_backlog=65536"
    ports = 'sysctl -w net.ipv4.ip_local_port_range="1024 65535"'
    path = full.address.removeprefix(UNIX)
    return [
        does_nothing("raise_somaxconn_only", late, changes=[changes.late_sysctl(SOMAXCONN, 65535)]),
        does_nothing(
            "tcp_settings_for_unix_sockets", tcp, changes=[changes.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)]
        ),
        does_nothing(
            "tcp_settings_for_unix_sockets",
            ports,
            changes=[changes.sysctl("net.ipv4.ip_local_port_range", "1024 65535")],
        ),
        does_nothing(
            "chmod_for_a_full_unix_queue",
            f"chmod 666 {path}",
            changes=[changes.elsewhere("who may open the socket's file")],
        ),
    ]


def failures(run: RunResult) -> int:
    """Connects that got EAGAIN: the load's, or the program's and those of the servers that it asked."""
    if run.program is None:
        return facts.unix_refusals(run)
    return _own(run.program) + sum(each.count for each in _linked(run, run.program))


CAUSE = Cause(
    id="unix_accept_queue_overflow",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    over_unix=True,
    judge_run=judge_run,
    judge_program=judge_program,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a UNIX socket of the same backlog, and accepts at the record's rate"),
)
