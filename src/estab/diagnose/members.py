"""Several listeners of one port (SO_REUSEPORT): which of them nobody empties. No verdict.

Each has a queue of its own, and the kernel gives each its share of connects by a hash of addresses and ports, whether
it accepts or not (`reuseport_select_sock`, net/core/sock_reuseport.c).
"""

from __future__ import annotations

from collections.abc import Sequence

from estab.diagnose import accepts, facts, owners
from estab.diagnose.owners import Owner
from estab.records import ListenerWatch, RunResult, ServerLook, TimelinePoint


def stuck(run: RunResult) -> list[ListenerWatch]:
    """Those whose queue only grew for a second or longer up to the end, while others were emptied; empty: none."""
    several = [watch for watch in run.server.listeners if watch.inode is not None]
    still = [watch for watch in several if (unmoved_s(run, watch.inode or 0) or 0.0) >= accepts.STOPPED_S]
    return still if len(still) < len(several) else []


def unmoved_s(run: RunResult, inode: int) -> float | None:
    """For how long up to the end one of several listeners had connections waiting and its queue never grew shorter.

    0 where nothing waits there at the end; None where there were not several.
    """
    samples: Sequence[ServerLook | TimelinePoint] = run.server.looks or run.timeline
    several = [(sample.t_s, sample.queue_depths) for sample in samples if sample.queue_depths is not None]
    depths = [(t_s, of_each.get(str(inode), 0)) for t_s, of_each in several]
    if not depths:
        return None
    start = last = depths[-1]
    for earlier in reversed(depths):
        if earlier[1] <= 0 or earlier[1] > start[1]:
            break
        start = earlier
    return last[0] - start[0]


def owning(run: RunResult, watches: Sequence[ListenerWatch]) -> list[Owner]:
    """The processes whose these listeners are, and none of the others; all of their owners where all share them.

    nginx's workers have each other's listeners open as well.
    """
    theirs = {pid for watch in watches for pid in facts.owner_pids(run, watch.inode)}
    inodes = {watch.inode for watch in watches}
    others = {
        pid for watch in run.server.listeners if watch.inode not in inodes for pid in facts.owner_pids(run, watch.inode)
    }
    return [owner for owner in owners.of_run(run) if owner.pid in (theirs - others or theirs)]
