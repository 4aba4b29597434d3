"""SYN cookies in front of a full accept queue: clients connect, write twice, and are reset at once.

Source: `cookie_v4_check` (net/ipv4/syncookies.c): the final ACK of a cookie's client finds the accept queue full and is
dropped, and the server keeps no state of it. The first segment (seq = ISN+1) still carries a valid cookie; the second
does not: SyncookiesFailed, and `tcp_v4_do_rcv` (net/ipv4/tcp_ipv4.c) sends RST. The client gets ECONNRESET first, then
EPIPE at writes and end of file at reads (`tcp_reset`). A FIN before the RST, a server that closed, gives EPIPE without
ECONNRESET (docs/kernel.md rules 13 to 16). The origin is the full queue; this is why it breaks connections.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import backlog_remedies
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import NETSTAT, counter, measured, server_counter, sysctl, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.overflow import ghosts_of_queue, overflow_evidence, overflowed
from estab.kernel.rules.syn_retries import resent_after_s
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

COOKIES = "net.ipv4.tcp_syncookies"
_RESENT_AT_MOST = 6  # tcp_syn_retries as it is by default


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where resets are most of the damage, the queue overflowed, and cookies failed."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue: the full queue behind it costs all of them."""
    return facts.turned_away_clients(run)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    if (innocent := _why_not(run)) is not None:
        return "ruled_out", innocent
    reset, over, failed = facts.resets(run), overflowed(run), run.server.rose(facts.COOKIES_FAILED)
    if failed is None or over is None:
        text = (
            f"{plural(reset, 'connection was', 'connections were')} "
            "reset; what the server's cookies did was not observed"
        )
        return "possible", f"{text} ({facts.why_unseen(run)})." if facts.listener(run) is None else f"{text}."
    if not facts.mostly_reset(run):
        text = (
            f"{plural(reset, 'connection was', 'connections were')} reset so, "
            f"but more connects ({facts.connect_timeouts(run):,}) timed out."
        )
        return "possible", text
    text = (
        f"{plural(reset, 'connection was', 'connections were')} reset: each "
        "held a SYN cookie that the full accept queue could not honour."
    )
    return "confirmed", text


def _why_not(run: RunResult) -> str | None:
    order, failed = facts.reset_orders(run), run.server.rose(facts.COOKIES_FAILED)
    excluded = {
        "No connection was reset.": not facts.resets(run),
        "The server closed first: EPIPE came without an ECONNRESET before it.": order is not None and order[0] <= 0,
        "SYN cookies are off at the server.": facts.server_sysctl(run, COOKIES) == 0,
        "No cookie failed: the resets have another origin.": failed is not None and failed <= 0,
        "The accept queue did not overflow: each cookie's connection found room.": overflowed(run) is False,
    }
    return next((why for why, holds in excluded.items() if holds), None)


def _evidence(run: RunResult) -> list[Evidence]:
    reset = facts.resets(run)
    evidence = [
        measured("failures", "ECONNRESET, EPIPE", reset, f"{plural(reset, 'connection was', 'connections were')} reset")
    ]
    if not reset:
        return evidence
    order = facts.reset_orders(run)
    if order is not None:
        text = (
            f"{plural(order[0], 'broken connection')} gave ECONNRESET "
            f"first (a RST), {order[1]:,} EPIPE or end of file (a FIN)"
        )
        evidence.append(measured("error_orders", "ECONNRESET first", order[0], text))
    means = "segments whose cookie was no longer valid, each answered by RST"
    evidence.append(server_counter(run, facts.COOKIES_FAILED, means))
    evidence.append(server_counter(run, facts.COOKIES_SENT, "SYNs that got a cookie"))
    evidence += [*overflow_evidence(run), sysctl(COOKIES, facts.server_sysctl(run, COOKIES))]
    held = ghosts_of_queue(run)
    if held:
        text = f"the client holds {plural(held, 'ESTABLISHED connection')} that the server does not have (ghosts)"
        evidence.append(measured("sock_diag", "ghosts", held, text))
    return evidence


def remedies(run: RunResult) -> list[Remedy]:
    """A queue that does not overflow; failing that, no cookies; and what does nothing."""
    return [
        *(r for r in backlog_remedies(run) if r.works),
        _no_cookies(run),
        Remedy(
            command="sysctl -w net.ipv4.tcp_syncookies=2",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_syncookies", 2)],
            why="Then every connection is a cookie, and more are reset.",
        ),
        Remedy(
            command="ignore SIGPIPE, retry the write",
            works=False,
            changes=[changes.program("a client that writes again")],
            why="The server has no such connection: only a new one helps.",
        ),
        *(r for r in backlog_remedies(run) if not r.works),
    ]


def _no_cookies(run: RunResult) -> Remedy:
    """Clients wait then; those whose timeout ends before their SYN finds room need a longer one too."""
    command, changed = "sysctl -w net.ipv4.tcp_syncookies=0", [changes.sysctl(COOKIES, 0)]
    why = "Clients then wait in SYN_SENT instead of being reset: late, but whole. It hides the full queue."
    served_s, timeout_s = _served_after_s(run), facts.asked_timeout(run)
    if served_s is not None and timeout_s is not None and timeout_s <= served_s:
        command += f", and a connect timeout above {served_s:g} s at the clients"
        changed.append(changes.timeout(served_s + 1))
        why += f" Their kernel sends the SYN that finds room {served_s:g} s after the first one (rule 17)."
    else:
        command += "   # at the server, only where no SYN flood can come"
    return Remedy(command=command, works=True, changes=changed, why=why)


def _served_after_s(run: RunResult) -> float | None:
    """When the last SYN of those that were turned away finds room, where each time they are sent B+1 of them do."""
    watch = facts.listener(run)
    if watch is None:
        return None
    times = min(-(-facts.turned_away_clients(run) // facts.room(watch)), _RESENT_AT_MOST)
    return resent_after_s(times, facts.linear_timeouts(run))


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Cookies that failed while a queue overflowed: somebody was reset, who and how many only a run shows."""
    if (why := snapshots.why_no_deltas) is not None:
        return Judgement("not_observed", why, [unknown(NETSTAT, "-", why)])
    failed, over = snapshots.rose(facts.COOKIES_FAILED), snapshots.rose(facts.LISTEN_OVERFLOWS)
    evidence = [
        counter(facts.COOKIES_FAILED, failed, "segments whose cookie was not valid, each answered by RST"),
        counter(facts.LISTEN_OVERFLOWS, over, "packets that a full accept queue turned away"),
    ]
    if failed is None or over is None:
        return Judgement("not_observed", "The cookies' counters were not observed.", evidence)
    if not failed or not over:
        why = "No cookie failed." if not failed else "No accept queue overflowed: what failed was no cookie of ours."
        return Judgement("ruled_out", why, evidence)
    text = (
        f"{plural(failed, 'segment with a failed cookie was', 'segments with a failed cookie were')} "
        "reset while the accept queue overflowed."
    )
    return Judgement("possible", text, evidence, about=snapshots.run(snapshots.fullest))


CAUSE = Cause(
    id="cookie_reset",
    side="server",
    stage=ConnectionStage.ACCEPT_QUEUE,
    kind=CauseKind.ACCEPT_QUEUE,
    specificity=4,
    explains={
        "abort_on_overflow": "what was reset held a SYN cookie, which that sysctl does not touch",
        CauseKind.ACCEPT_QUEUE: "the queue overflowed, and SYN cookies made resets of it",
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the queue's bounds, the record's pauses of accept(), and SYNs that arrive together"),
)
