"""The SYN queue was full and cookies were off: SYNs were dropped before any handshake began.

Source: `tcp_conn_request` (net/ipv4/tcp_input.c) with tcp_syncookies=0: a SYN that finds more than B half-open
connections counts TCPReqQFullDrop and ListenDrops; one that finds less than a quarter of tcp_max_syn_backlog left
counts ListenDrops alone. With cookies on nothing is dropped: a cookie answers (TCPReqQFullDoCookies), and
tcp_max_syn_backlog is never asked (docs/kernel.md rules 9 to 12 and 29). No event and no drop reason shows a dropped
SYN.
"""

from __future__ import annotations

from dataclasses import replace

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import program_commands, wanted_backlog
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import NETSTAT, listener_unseen, measured, server_counter, sysctl, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.rules.counters import DropSplit, split_drops
from estab.kernel.rules.inputs import RuleInputError
from estab.kernel.rules.syn_queue import fits
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, Verdict
from estab.words import plural

COOKIES = "net.ipv4.tcp_syncookies"
MAX_SYN_BACKLOG = "net.ipv4.tcp_max_syn_backlog"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where, cookies off, this listener dropped SYNs that no full accept queue explains."""
    watch = facts.listener(run)
    if watch is None:
        text = f"The SYN queue was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    return Judgement(*_weigh(run), _evidence(run, watch))


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def split(run: RunResult) -> DropSplit:
    """ListenDrops within the run, taken apart; a counter that fell (a namespace made anew) counts as 0."""
    names = {"ListenDrops": facts.LISTEN_DROPS, "ListenOverflows": facts.LISTEN_OVERFLOWS}
    names["TCPReqQFullDrop"] = facts.REQ_QUEUE_DROP
    rose = {short: run.server.rose(name) for short, name in names.items()}
    known = {short: max(0, delta) for short, delta in rose.items() if delta is not None}
    if "ListenDrops" in known:
        # A SYN whose answer has no route is dropped too, and asked no queue.
        known["ListenDrops"] -= min(known["ListenDrops"], sent.without_route(run.server) or 0)
    return split_drops(known)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    cookies = facts.server_sysctl(run, COOKIES)
    drops = split(run)
    if cookies is not None and cookies != 0 and not drops.syn_queue:
        answered = run.server.rose(facts.REQ_QUEUE_COOKIES)
        text = "With cookies on a full SYN queue drops nothing"
        return "ruled_out", f"{text}: {plural(answered, 'SYN')} got a cookie instead." if answered else f"{text}."
    dropped = None if drops.syn_queue is None else drops.syn_queue + (drops.unexplained or 0)
    if dropped is None:
        return "not_observed", "TCPReqQFullDrop was not observed."
    if not dropped:
        return "ruled_out", "No SYN was dropped for a full SYN queue."
    return _weigh_drops(run, drops, dropped)


def _weigh_drops(run: RunResult, drops: DropSplit, dropped: int) -> tuple[Verdict, str]:
    """SYNs were dropped in this namespace, and no overflow of an accept queue explains them."""
    own = facts.listener_drops(run)
    if own is not None and own <= 0:
        return "ruled_out", "Another listener's SYN queue was full: this one dropped nothing."
    overflows = drops.accept_queue or 0
    if overflows >= dropped:
        text = (
            f"{plural(dropped, 'SYN')} found the SYN queue full, but more packets ({overflows:,}) a full accept queue."
        )
        return "possible", text
    other = overflows + max(0, run.server.rose(facts.DEFER_DROPS) or 0)
    told = f"the SYN queue was full and {plural(dropped, 'SYN was', 'SYNs were')} dropped"
    if own is None or own <= other:
        return "possible", f"In this namespace {told}; whether at this listener was not observed."
    which = f"the listener's backlog ({drops.syn_queue:,})" if drops.syn_queue else MAX_SYN_BACKLOG
    return "confirmed", f"With cookies off {told}: {which} bounds it."


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    drops = split(run)
    evidence = [
        server_counter(run, facts.REQ_QUEUE_DROP, "SYNs that found B half-open connections"),
        server_counter(run, facts.LISTEN_DROPS, "SYNs and ACKs dropped for whatever reason"),
    ]
    if drops.unexplained is not None:
        text = (
            f"{plural(drops.unexplained, 'drop is', 'drops are')} left "
            "after a full accept queue and SYN queue: tcp_max_syn_backlog's"
        )
        evidence.append(measured("kernel rule", "unexplained ListenDrops", drops.unexplained, text))
    if (own := facts.listener_drops(run)) is not None:
        evidence.append(measured("sock_diag", "drops", own, f"the listener's own drops rose by {own:,}"))
    cookies, most = facts.server_sysctl(run, COOKIES), facts.server_sysctl(run, MAX_SYN_BACKLOG)
    evidence += [sysctl(COOKIES, cookies), sysctl(MAX_SYN_BACKLOG, most)]
    room = _room(run, watch)
    half_open = (run.server.after.states or {}).get("SYN-RECV") if run.server.after else None
    if room is not None:
        text = f"the SYN queue of this listener holds {plural(room, 'half-open connection')} at most"
        evidence.append(measured("kernel rule", "SYN_RECV", half_open, text, room))
    return evidence


def _room(run: RunResult, watch: ListenerWatch) -> int | None:
    cookies, most = facts.server_sysctl(run, COOKIES), facts.server_sysctl(run, MAX_SYN_BACKLOG)
    kernel = facts.release(run.server.before)
    if cookies is None or most is None or kernel is None:
        return None
    try:
        return fits(max(0, watch.limit), most, cookies, kernel)
    except RuleInputError:
        return None


def remedies(run: RunResult) -> list[Remedy]:
    """Cookies, or a longer queue of the kind that was full."""
    watch, drops = facts.listener(run), split(run)
    size = wanted_backlog(run, watch)
    own = _filled_by_own(run, watch)
    by_m = not drops.syn_queue and bool(drops.unexplained)
    raised = Remedy(
        command=f"sysctl -w {MAX_SYN_BACKLOG}={2 * size}",
        works=by_m,
        changes=[changes.sysctl(MAX_SYN_BACKLOG, 2 * size)],
        why=_why_m(by_m),
    )
    program = [
        Remedy(command=command, works=not by_m, changes=[changes.queue(size)], why=_why_b(by_m))
        for command, _ in (program_commands(run, watch, size) if watch is not None else [])
    ]
    return [
        Remedy(
            command=f"sysctl -w {COOKIES}=1   # at the server",
            works=True,
            changes=[changes.sysctl(COOKIES, 1)],
            why="A SYN that finds the queue full is answered by a cookie and nothing is dropped. Counts at once.",
        ),
        *([raised, *program] if by_m else [*program, raised]),
        does_nothing(
            "raise_somaxconn_only",
            "sysctl -w net.core.somaxconn=65535, the server left running",
            changes=[changes.late_sysctl("net.core.somaxconn", 65535)],
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_synack_retries=1",
            works=not own,
            changes=[changes.sysctl("net.ipv4.tcp_synack_retries", 1)],
            why=_why_retries(own),
        ),
    ]


def _filled_by_own(run: RunResult, watch: ListenerWatch | None) -> bool:
    """Were the clients of this run enough to fill the SYN queue, without a flood of others?"""
    room = _room(run, watch) if watch is not None else None
    return room is not None and run.funnel.attempted > room


def _why_retries(own: bool) -> str:
    if own:
        return "It is for a flood of SYNs that nobody answers for; the clients of this run do answer."
    return "A half-open entry whose client never answers then leaves after 3 s instead of 63: for a SYN flood."


def _why_m(by_m: bool) -> str:
    if by_m:
        return "With cookies off three quarters of it and one half-open connections fit; it is what was full."
    return "The listener's backlog was full first (TCPReqQFullDrop): this one was never reached."


def _why_b(by_m: bool) -> str:
    if by_m:
        return "tcp_max_syn_backlog was full first: TCPReqQFullDrop stood still."
    return "The listener's limit bounds its half-open connections as well: B+1 fit. Raise somaxconn with it."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """SYNs dropped for a full SYN queue in between: the same test as of a run."""
    if (why := snapshots.why_no_deltas) is not None:
        return Judgement("not_observed", why, [unknown(NETSTAT, "-", why)])
    if snapshots.fullest is None:
        return Judgement(
            "not_observed", "No listener was observed.", [unknown("sock_diag", "-", "listeners were not read")]
        )
    run = snapshots.run(snapshots.fullest)
    return replace(judge_run(run), about=run)


CAUSE = Cause(
    id="syn_queue_overflow",
    side="server",
    stage=ConnectionStage.HANDSHAKE,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the queue's bounds and sysctls, and SYNs that arrive together"),
)
