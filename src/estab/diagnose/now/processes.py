"""The listeners' owners as snapshots show them: descriptors used up now, CPU used up between two."""

from __future__ import annotations

from estab.diagnose.now.listeners import depth
from estab.diagnose.now.seen import Found, Queue, Seen, clear, unseen
from estab.diagnose.suspects import accept_thread_starved, server_open_files
from estab.records import Evidence, Process


def open_files(seen: Seen) -> Found:
    """A process at its RLIMIT_NOFILE now; confirmed where connections wait for it."""
    known = [(q, p) for q in seen.queues for p in q.now.owners or [] if p.fds is not None and p.nofile_soft is not None]
    if not known:
        return unseen(
            "No listener's owner was observed; try as root.", "/proc/PID/fd", "no owner's descriptors were read"
        )
    queue, process = min(known, key=lambda one: (_spare(one[1]), -one[0].now.depth))
    evidence = [_fds(process), depth(queue)]
    if _spare(process) > 0:
        return clear(
            f"{process.fds:,} of {process.nofile_soft:,} descriptors are in use at the fullest server.", evidence
        )
    text = (
        f"{process.name or 'A process'} (pid {process.pid}) has all {process.nofile_soft:,} of its descriptors in use"
    )
    if queue.now.depth > 0:
        text += f", and {queue.now.depth:,} connections wait for one."
        return Found("confirmed", text, evidence, lambda: server_open_files.remedies(seen.run(queue)))
    text += "; no connection waits for one at this moment."
    return Found("possible", text, evidence, lambda: server_open_files.remedies(seen.run(queue)))


def _spare(process: Process) -> int:
    return (process.nofile_soft or 0) - (process.fds or 0)


def _fds(process: Process) -> Evidence:
    who = f"{process.name or 'process'} (pid {process.pid})"
    text = f"{who} has {process.fds:,} descriptors open of {process.nofile_soft:,}"
    return Evidence(source="/proc/PID/fd", field="fds", value=process.fds, threshold=process.nofile_soft, text=text)


def starved(seen: Seen) -> Found:
    """CPU of the owners between the two, while connections waited at both. Never more than possible."""
    if seen.before is None:
        return unseen("How much CPU a server uses takes two snapshots.", "/proc/PID/stat", "one moment has no rate")
    waiting = [q for q in seen.queues if q.now.depth > 0 and q.then is not None and q.then.depth > 0]
    if not waiting:
        nothing = Evidence(source="sock_diag", field="depth", value=0, threshold=0, text="no queue held any at both")
        return clear("No connections waited at both moments.", [nothing])
    queue = waiting[0]
    cores, full = _cores(queue, seen.span_s), seen.after.host.cores
    if cores is None or not full or full < 1:
        return unseen(
            "The server's CPU was not observed.", "/proc/PID/stat", "its owners were not read", [depth(queue)]
        )
    text = f"its owners used {cores:.2f} of {full:,} cores in between"
    used = Evidence(source="/proc/PID/stat", field="cpu_s", value=cores, threshold=0.9 * full, text=text)
    evidence = [depth(queue), used]
    if cores < accept_thread_starved.BUSY * full:
        return clear("The server had CPU to spare.", evidence)
    text = f"Connections wait while the server uses {cores:.1f} of {full:,} cores: its accepting thread may be starved."
    return Found("possible", text, evidence, lambda: accept_thread_starved.remedies(seen.run(queue)))


def _cores(queue: Queue, span_s: float) -> float | None:
    then = {p.pid: p.cpu_s for p in (queue.then.owners if queue.then else None) or []}
    used = [
        p.cpu_s - before
        for p in queue.now.owners or []
        if p.cpu_s is not None and (before := then.get(p.pid)) is not None
    ]
    return max(0.0, sum(used)) / span_s if used and span_s > 0 else None
