"""The client has no descriptor left: socket() fails before any packet is sent.

Source: `__sys_socket` (net/socket.c) takes a descriptor by `get_unused_fd_flags`: EMFILE over RLIMIT_NOFILE
(fs/file.c `alloc_fd`), ENFILE over fs.file-max (fs/file_table.c `alloc_empty_file`). Both are the client's own word,
so their absence rules it out.
"""

from __future__ import annotations

from estab.diagnose import descriptors, facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.descriptors import file_max_does_nothing, file_max_remedies, wanted_descriptors
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.records import Evidence, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed by the first socket that could not be had; ruled out where every one could."""
    count = failures(run)
    evidence = [_errno_evidence(count), *_fds_evidence(run)]
    if not count:
        return Judgement("ruled_out", "The client never ran out of descriptors.", evidence)
    summary = f"The client ran out of descriptors: {plural(count, 'connection')} could not even be begun."
    return Judgement("confirmed", summary, evidence)


def judge_program(run: RunResult) -> Judgement:
    """As `judge_run` where errnos were seen; else whether a process that connects had no free descriptor."""
    full = descriptors.fullest_client(run)
    if failures(run) or (run.program is not None and not run.program.sampled):
        return judge_run(run)
    evidence = _fds_evidence(run)
    if full is None:
        text = "The descriptors of the program's processes were not read."
        return Judgement("not_observed", text, [unknown("/proc/PID/fd", "fds", text)])
    if not full.at_limit:
        return Judgement("ruled_out", "No process of the program that connects was without a descriptor.", evidence)
    text = f"{full.who} had all of its {full.limit:,} descriptors in use: socket() finds none."
    return Judgement("confirmed", text, evidence)


def failures(run: RunResult) -> int:
    """Connections for which there was no descriptor."""
    return facts.failed(run, ("connect",), facts.NO_DESCRIPTOR)


def _errno_evidence(count: int) -> Evidence:
    text = f"socket() failed {plural(count, 'time')} because no descriptor was left (EMFILE, ENFILE)"
    return measured("failures", "connect EMFILE, ENFILE", count, text)


def _fds_evidence(run: RunResult) -> list[Evidence]:
    full = descriptors.fullest_client(run)
    if full is None:
        return []
    text = f"the fullest client worker (pid {full.pid}) had {plural(full.fds, 'descriptor')} open of {full.limit:,}"
    return [measured("/proc/PID/fd", "worst_fds", full.fds, text, full.limit)]


def remedies(run: RunResult) -> list[Remedy]:
    """More descriptors for the client, and what does not touch them."""
    if facts.failed(run, ("connect",), ("ENFILE",)) > facts.failed(run, ("connect",), ("EMFILE",)):
        return file_max_remedies("client")
    size = wanted_descriptors(run)
    hard = run.client.before.nofile_hard if run.client.before else None
    above = hard is not None and hard < size
    why = f"The hard limit here is {hard:,}: only root may raise it." if above else "The client's own limit was met."
    return [
        Remedy(
            command=f"ulimit -n {size}   # in the shell that starts the client",
            works=True,
            changes=[changes.nofile(size, "client")],
            why=why,
        ),
        Remedy(
            command=f"LimitNOFILE={size}   # [Service] of its unit; Docker: --ulimit nofile={size}:{size}",
            works=True,
            changes=[changes.nofile(size, "client")],
            why="For a client that runs as a service or in a container.",
        ),
        Remedy(
            command="more client processes",
            works=True,
            changes=[changes.WORKERS],
            why="RLIMIT_NOFILE is per process: each brings its own.",
        ),
        file_max_does_nothing(),
        Remedy(
            command="any sysctl on the server, a bigger backlog",
            works=False,
            changes=[changes.queue()],
            why="socket() failed at the client: no packet reached the server.",
        ),
    ]


CAUSE = Cause(
    id="client_open_files",
    side="client",
    stage=ConnectionStage.SOCKET,
    over_unix=True,
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Whether a client lacks descriptors shows in its own errors"),
    failures=failures,
    judge_program=judge_program,
    remedies=remedies,
    twin=Rebuilt("RLIMIT_NOFILE of the client's processes"),
)
