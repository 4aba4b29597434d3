"""Did this listener's accept queue turn packets away? Asked by every suspect that is a kind of that.

What lives here: the one test that they share, so that none of them can confirm where the others would not.

Source: `tcp_conn_request` and `tcp_v4_syn_recv_sock` (net/ipv4): each packet that meets a full accept queue adds to
ListenOverflows, to ListenDrops and to the listener's own sk_drops (docs/kernel.md rules 3 to 5).
"""

from __future__ import annotations

from estab.diagnose import accepts, facts
from estab.diagnose.evidence import during, listener_unseen, measured, worst_depth
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.kernel.rules.accept_queue import overflow_in_drops
from estab.records import Evidence, ListenerWatch, RunResult


def turned_away(run: RunResult, watch: ListenerWatch) -> bool | None:
    """Whether the accept queue of `watch` turned packets away within the run. None: what was observed does not tell."""
    overflows = run.server.rose(facts.LISTEN_OVERFLOWS)
    drops = facts.listener_drops(run)
    # Every overflow adds to both. So either at 0 rules it out: the other's rise has another origin.
    if (overflows is not None and overflows <= 0) or (drops is not None and drops <= 0):
        return False
    full = facts.was_full(watch)
    deferred = run.server.rose(facts.DEFER_DROPS)
    own = None if drops is None else overflow_in_drops(max(0, drops), None if deferred is None else max(0, deferred))
    if overflows is None:
        return True if full and own else None
    return True if full or own else None


def overflowed(run: RunResult) -> bool | None:
    """`turned_away` of the watched listener. None also where none was observed."""
    watch = facts.listener(run)
    return None if watch is None else turned_away(run, watch)


def overflowed_at(snapshots: Snapshots, queue: Queue) -> bool | None:
    """Whether `queue` is full now, or turned packets away between the two. None: not known."""
    if queue.full:
        return True
    return None if snapshots.before is None else overflowed(snapshots.run(queue))


def ghosts_of_queue(run: RunResult) -> int:
    """Connections that the client holds and the server does not have, 0 where they were not counted.

    Only `hold` keeps what it opened, so only there can both ends be counted against each other.
    """
    if run.ghosts is not None:
        return max(0, run.ghosts.count)
    watch = facts.listener(run)
    accepted = accepts.since_before(run.server)
    if run.command != "hold" or watch is None or watch.queued_at_end is None or accepted is None:
        return 0
    held = watch.queued_at_end + accepted
    return max(0, run.funnel.connected - facts.unserved(run) + facts.connect_timeouts(run) - held)


def overflow_evidence(run: RunResult) -> list[Evidence]:
    """The counter and the depth that tell of an overflow, for the suspects that build on one."""
    watch = facts.listener(run)
    if watch is None:
        return [listener_unseen(run)]
    delta = run.server.rose(facts.LISTEN_OVERFLOWS)
    seen = "was not observed" if delta is None else f"rose by {delta:,} {during(run)} (packets, not clients)"
    return [
        measured("/proc/net/netstat", facts.LISTEN_OVERFLOWS, delta, f"ListenOverflows {seen}"),
        worst_depth(watch),
    ]
