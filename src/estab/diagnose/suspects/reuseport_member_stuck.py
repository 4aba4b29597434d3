"""Several listeners share the port (SO_REUSEPORT), and one of them accepts nothing: its share of connects hangs.

Source: `reuseport_select_sock` (net/core/sock_reuseport.c) chooses the listener of a SYN by a hash, and asks nobody
whether it accepts. When a listener is closed its share goes to the others, and with tcp_migrate_req so does what waits
in its queue (`reuseport_migrate_sock`, `inet_csk_listen_stop` in net/ipv4/inet_connection_sock.c); else it is reset.
"""

from __future__ import annotations

from collections import defaultdict

from estab.diagnose import accepts, facts, members, owners
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured, unknown
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Queue, Snapshots
from estab.diagnose.owners import Owner
from estab.kernel.rules.accept_queue import is_full
from estab.records import Evidence, ListenerWatch, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the queue of some only grew for a second or longer, while the others were emptied."""
    if facts.listener(run) is None:
        text = f"The listeners were not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    several = run.server.listeners
    if len(several) < 2:
        text = "One listener has all connections of the port."
        return Judgement(
            "ruled_out", text, [measured("sock_diag", "listeners", max(1, len(several)), "one listens", 1)]
        )
    stuck = members.stuck(run)
    evidence = [_depth(run, watch) for watch in several]
    if not stuck:
        text = f"None of the {len(several)} listeners of the port was left standing while the others were emptied."
        return Judgement("ruled_out", text, evidence)
    waiting = sum(watch.last_depth for watch in stuck)
    span_s = max(members.unmoved_s(run, watch.inode or 0) or 0.0 for watch in stuck)
    said = f"{plural(waiting, 'connection')} waited there for {span_s:.1f} s, while the others were emptied"
    owning = members.owning(run, stuck)
    return Judgement("confirmed", _summary(len(stuck), len(several), owning, said), [*evidence, *_states(owning)])


def _depth(run: RunResult, watch: ListenerWatch) -> Evidence:
    """How many wait at one of them at the end."""
    still_s = members.unmoved_s(run, watch.inode or 0) or 0.0
    still = f", and for {still_s:.1f} s none was accepted" if still_s else ""
    text = f"{plural(watch.last_depth, 'waits', 'wait')} at the listener with inode {watch.inode} in the end{still}"
    return measured("sock_diag", "depth", watch.last_depth, text, 0)


def _summary(stuck: int, several: int, owning: list[Owner], said: str) -> str:
    accept = "accepts" if stuck == 1 else "accept"
    pids = ", ".join(str(owner.pid) for owner in owning)
    whose = f" (pid {pids})" if pids else ""
    why = next((f". {state}" for owner in owning if (state := _state(owner)) is not None), "")
    return f"{stuck:,} of {several:,} listeners of the port {accept} nothing{whose}: {said}{why}."


def _state(owner: Owner) -> str | None:
    """What keeps a process from accepting, as far as its threads' states tell it; None: they don't."""
    if owner.stopped:
        return f"{owner.who} is stopped (state T)"
    if (owner.states or {}).get("D"):
        return f"{owner.who} has a thread in uninterruptible sleep (state D)"
    return None


def _states(owning: list[Owner]) -> list[Evidence]:
    told = []
    for owner in owning:
        if owner.states:
            states = ", ".join(f"{count} {state}" for state, count in sorted(owner.states.items()))
            text = f"threads of {owner.who} by state: {states}"
            told.append(measured("/proc/PID/task/TID/stat", "state", states, text, None))
    return told


def failures(run: RunResult) -> int:
    """As for any queue that nobody empties."""
    return facts.turned_away_clients(run)


def remedies(run: RunResult) -> list[Remedy]:
    """The one listener leaves the group, or there is none; and what leaves it its share."""
    owning = members.owning(run, members.stuck(run))
    pid = str(owning[0].pid) if owning else "PID"
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"ss -ltnpe 'sport = :{port}'; cat /proc/{pid}/status /proc/{pid}/stack; gdb -p {pid}",
            works=True,
            changes=[changes.LOOK],
            why="Whose listener has the Recv-Q that stays, its state, and where it stands.",
        ),
        Remedy(
            command=f"sysctl -w net.ipv4.tcp_migrate_req=1; kill {pid}   # and start that process anew",
            works=True,
            changes=[changes.END_MEMBER],
            why=(
                "The kernel gives each listener of the port its share of connects, whether it accepts or not. Once one "
                "is closed, its share goes to the others; with the sysctl so does what waits, instead of being reset."
            ),
        ),
        Remedy(
            command=(
                "one listener for all processes: nginx without reuseport, HAProxy shards 1, "
                "Envoy enable_reuse_port: false, or a listening socket that is inherited"
            ),
            works=True,
            changes=[changes.program("who shares the listener", "server")],
            why="Then whoever is free accepts what comes, and one that hangs costs only what it holds.",
        ),
        bigger_backlog("More connections would wait for the one that does not accept; its share stays the same."),
        Remedy(
            command="more workers or processes on the port",
            works=False,
            changes=[changes.program("how many processes share the port", "server")],
            why="Its share gets smaller, and hangs all the same.",
        ),
    ]


# Snapshots ---------------------------------------------------------------------------------------------------------


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """A queue that stays while those beside it are empty, and its owner does not run or it is full at both looks."""
    if snapshots.after.listeners is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    groups = [group for group in _groups(snapshots) if len(group) > 1]
    if not groups:
        none = measured("sock_diag", "listeners", len(snapshots.queues), "each port has one listener", None)
        return Judgement("ruled_out", "No port has several listeners.", [none])
    for group in groups:
        stuck = [queue for queue in group if _stands(snapshots, queue)]
        others = [queue for queue in group if queue not in stuck]
        if stuck and others and all(_was_and_is_empty(queue) for queue in others):
            return _confirmed(snapshots, stuck, group)
    if snapshots.before is None:
        text = "Whether one of several listeners is left standing shows in a second snapshot."
        return Judgement("not_observed", text, [group[0].evidence for group in groups])
    evidence = [queue.evidence for group in groups for queue in group][:4]
    return Judgement("ruled_out", "No listener is left standing while those beside it are emptied.", evidence)


def _groups(snapshots: Snapshots) -> list[list[Queue]]:
    """The listeners of each address and port."""
    groups: dict[tuple[int, str, int], list[Queue]] = defaultdict(list)
    for queue in snapshots.queues:
        groups[queue.now.family, queue.now.address, queue.now.port].append(queue)
    return list(groups.values())


def _owning(snapshots: Snapshots, queue: Queue) -> list[Owner]:
    return owners.of_listener(queue.then, queue.now, snapshots.span_s)


def _stands(snapshots: Snapshots, queue: Queue) -> bool:
    """Whether nobody accepts there: who owns it is stopped or did not run, or it was and is full."""
    owning = _owning(snapshots, queue)
    if queue.now.depth > 0 and owning and all(owner.stopped for owner in owning):
        return True
    if queue.then is None or not 0 < queue.then.depth <= queue.now.depth or snapshots.span_s < accepts.STOPPED_S:
        return False
    full = queue.full and is_full(max(0, queue.then.depth), max(0, queue.then.limit))
    return full or bool(owning and all(owner.slept for owner in owning))


def _was_and_is_empty(queue: Queue) -> bool:
    return queue.now.depth == 0 and (queue.then is None or queue.then.depth == 0)


def _confirmed(snapshots: Snapshots, stuck: list[Queue], group: list[Queue]) -> Judgement:
    waiting = sum(queue.now.depth for queue in stuck)
    since = f" as {snapshots.span_s:,.1f} s before" if snapshots.before is not None else ""
    said = f"{plural(waiting, 'connection waits', 'connections wait')} there now{since}, and none at the others"
    owning = [owner for queue in stuck for owner in _owning(snapshots, queue)]
    summary = _summary(len(stuck), len(group), owning, said)
    evidence = [*(queue.evidence for queue in group), *_states(owning)]
    return Judgement("confirmed", summary, evidence, about=snapshots.run(stuck[0]))


_ITS_SHARE = "the listeners beside it are emptied: it alone is left standing"
CAUSE = Cause(
    id="reuseport_member_stuck",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=1,
    explains={
        "server_not_accepting": _ITS_SHARE,
        "accept_thread_starved": _ITS_SHARE,
        "server_accepts_too_slowly": _ITS_SHARE,
        "syn_queue_overflow": "a queue that nobody empties overflows whatever its length",
        CauseKind.ACCEPT_QUEUE: "a queue that nobody empties overflows whatever its length",
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("as many listeners, of which as many belong to stopped processes"),
)
