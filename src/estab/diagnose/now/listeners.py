"""Accept queues as snapshots show them: full now, overflowing between two, cut by somaxconn, emptied by nobody."""

from __future__ import annotations

from estab.diagnose.advice.backlog import SOMAXCONN, backlog_remedies
from estab.diagnose.now.seen import Found, Queue, Seen, as_judged, clear, unseen
from estab.diagnose.suspects import accept_queue_overflow, server_not_accepting
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence

_NONE = "The listeners were not observed."


def overflow(seen: Seen) -> Found:
    """Full now, or turned packets away between the two."""
    if seen.after.listeners is None:
        return unseen(_NONE, "sock_diag", "listeners were not read")
    if not seen.queues:
        return clear("Nothing listens here.", [Evidence(source="sock_diag", field="listeners", value=0, text="none")])
    queue = seen.queues[0]
    if queue.full:
        text = (
            f"The accept queue of {_where(queue)} is full now: {queue.now.depth:,} wait, {queue.now.limit + 1:,} fit."
        )
        return Found("confirmed", text, [depth(queue)], lambda: backlog_remedies(seen.run(queue)))
    if seen.before is None:
        text = f"No queue is full now (fullest: {queue.now.depth:,} of {queue.now.limit:,}); before is not known."
        return unseen(text, "sock_diag", text, [depth(queue)])
    return as_judged(accept_queue_overflow.judge(seen.run(queue)))


def clamped(seen: Seen) -> Found:
    """An overflow, now or between the two, at a limit that is somaxconn."""
    if seen.after.listeners is None or not seen.queues:
        return unseen(_NONE, "sock_diag", "listeners were not read")
    queue, over = seen.queues[0], overflow(seen)
    found = (seen.after.sysctls or {}).get(SOMAXCONN)
    somaxconn = found[0] if isinstance(found, list) and found else None
    if somaxconn is None:
        return unseen("somaxconn was not observed.", "/proc/sys", "somaxconn was not read")
    evidence = [depth(queue), Evidence(source="/proc/sys", field=SOMAXCONN, value=somaxconn, text="somaxconn now")]
    if queue.now.limit != somaxconn:
        return clear(f"The limit of {_where(queue)} is {queue.now.limit:,}, somaxconn is {somaxconn:,}.", evidence)
    if over.verdict == "confirmed":
        text = f"The limit of {_where(queue)} is exactly somaxconn ({somaxconn:,}), and its queue overflows."
        return Found("confirmed", text, evidence, lambda: backlog_remedies(seen.run(queue)))
    if over.verdict == "ruled_out":
        return clear("No accept queue overflowed.", evidence)
    return unseen("Whether a queue overflowed is not known.", "sock_diag", over.summary, evidence)


def not_accepting(seen: Seen) -> Found:
    """A queue that did not fall between two snapshots, though something waited at both."""
    if seen.after.listeners is None:
        return unseen(_NONE, "sock_diag", "listeners were not read")
    waiting = [q for q in seen.queues if q.now.depth > 0]
    if not waiting:
        evidence = [depth(q) for q in seen.queues[:1]]
        none = Evidence(source="sock_diag", field="listeners", value=len(seen.queues), text="nothing waits")
        return clear("No connection waits to be accepted now.", evidence or [none])
    queue = waiting[0]
    if queue.then is None:
        text = f"{queue.now.depth:,} wait at {_where(queue)} now; whether they are accepted shows in a second snapshot."
        return unseen(text, "sock_diag", text, [depth(queue)])
    if 0 < queue.then.depth <= queue.now.depth:
        text = (
            f"{queue.then.depth:,} waited at {_where(queue)} and {queue.now.depth:,} wait {seen.span_s:,.1f} s later."
        )
        return Found("possible", text, [depth(queue)], lambda: server_not_accepting.remedies(seen.run(queue)))
    return clear(f"The queue of {_where(queue)} was empty before, or fell.", [depth(queue)])


def depth(queue: Queue) -> Evidence:
    """How many wait at a listener now, and before."""
    then = "" if queue.then is None else f", {queue.then.depth:,} before"
    text = (
        f"{queue.now.depth:,} wait at {_where(queue)} now{then}, of {queue.now.limit:,} ({queue.now.limit + 1:,} fit)"
    )
    return Evidence(source="sock_diag", field="depth", value=queue.now.depth, threshold=queue.now.limit, text=text)


def _where(queue: Queue) -> str:
    return endpoint(queue.now.address, queue.now.port)
