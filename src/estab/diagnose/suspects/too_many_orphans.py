"""The machine has more orphans than tcp_max_orphans: what a program closes is reset in place of being closed in order.

Source: `tcp_close` (net/ipv4/tcp.c) asks `tcp_check_oom` of each socket that its program leaves. An orphan is one that
no process holds and whose peer has not said all: FIN-WAIT-1, CLOSING, LAST-ACK. With too many the kernel sends RST in
place of the data that is left and the FIN, counts TCPAbortOnMemory in the socket's namespace, and logs "too many
orphaned sockets". The limit and the number are the machine's.
"""

from __future__ import annotations

from estab.diagnose import closings, tcp_memory
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NotRebuilt
from estab.diagnose.evidence import listener_unseen, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.tcp_memory import TcpMemory
from estab.records import Remedy, RunResult, Verdict
from estab.words import plural

_ELSEWHERE = "orphans, which are counted for the whole machine"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the server's namespace aborted most of what was reset, and orphans were over their limit."""
    reset, seen = closings.resets(run), tcp_memory.at_server(run)
    text = f"{plural(reset, 'connection was', 'connections were')} reset once made"
    evidence = [measured("failures", "ECONNRESET, EPIPE", reset, text)]
    if not reset:
        return Judgement("ruled_out", "No connection was reset.", evidence)
    if seen is None or seen.aborted is None:
        text = "Whether the server's kernel aborts what is closed is counted at its host."
        return Judgement("not_observed", text, [*evidence, listener_unseen(run)])
    return Judgement(*_weigh(reset, seen), [*evidence, *seen.evidence])


def failures(run: RunResult) -> int:
    """Connections that were reset, as far as the server's namespace aborted so many."""
    seen = tcp_memory.at_server(run)
    return min(closings.resets(run), (seen.aborted or 0) if seen is not None else 0)


def _weigh(reset: int, seen: TcpMemory) -> tuple[Verdict, str]:
    aborted = seen.aborted or 0
    if not aborted:
        return "ruled_out", "The server's kernel aborted nothing that was closed."
    told = f"The server's kernel aborted {plural(aborted, 'socket')} that its program closed"
    if seen.orphans_explain is None:
        return "possible", f"{told}, for too many orphans or for want of memory: their limits are not shown there."
    if not seen.orphans_explain:
        return _of_something_else(told, seen)
    many = f"{plural(seen.orphans or 0, 'orphan')}, {seen.most_orphans or 0:,} allowed"
    if seen.out_of_memory:
        return "possible", f"{told}: too many orphans ({many}), or want of memory, which was over its limit as well."
    if aborted * 2 <= reset:
        return "possible", f"{told}, for too many orphans ({many}), and {plural(reset, 'connection')} were reset."
    return "confirmed", f"The machine has too many orphans ({many}): {told[0].lower()}{told[1:]}."


def _of_something_else(told: str, seen: TcpMemory) -> tuple[Verdict, str]:
    if seen.out_of_memory is False:
        return "possible", f"{told}, and each time that was looked both orphans and memory were below their limits."
    return "ruled_out", f"{told}, and orphans were below their limit."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Over the limit as it stands, or sockets that were aborted in between while it was neared."""
    seen = tcp_memory.of_snapshots(snapshots)
    evidence = seen.evidence
    if seen.too_many_orphans:
        text = f"The machine has {plural(seen.orphans or 0, 'orphan')}, {seen.most_orphans or 0:,} are allowed."
        return Judgement("confirmed", f"{text} What is closed is reset.", evidence)
    if seen.aborted:
        told = f"The kernel aborted {plural(seen.aborted, 'socket')} of this namespace that were closed"
        if seen.orphans_explain is False and seen.out_of_memory is not False:
            return Judgement("ruled_out", f"{told}; there are few orphans.", evidence)
        verdict: Verdict = "confirmed" if seen.orphans_explain else "possible"
        return Judgement(verdict, f"{told}{_why(seen)}.", evidence)
    if seen.aborted is None and seen.too_many_orphans is None:
        text = snapshots.why_no_deltas or "Orphans were not observed."
        return Judgement("not_observed", text, [*evidence, unknown("/proc/net/netstat", tcp_memory.ABORTED, text)])
    return Judgement("ruled_out", "No socket was aborted for too many orphans.", evidence)


def _why(seen: TcpMemory) -> str:
    if seen.orphans_explain:
        return f": {plural(seen.orphans or 0, 'orphan')}, {seen.most_orphans or 0:,} allowed, and some count four times"
    return ", for too many orphans or for want of memory"


def remedies(run: RunResult) -> list[Remedy]:
    """A higher limit, or fewer orphans."""
    seen = tcp_memory.at_server(run)
    now = seen.most_orphans if seen is not None and seen.most_orphans else 65_536
    return [
        Remedy(
            command=f"{tcp_memory.LIMITS}; dmesg | grep -i orphan   # in the initial network namespace",
            works=True,
            changes=[changes.LOOK],
            why="The limit, how many there are, and whether the kernel says so.",
        ),
        Remedy(
            command=f"sysctl -w net.ipv4.tcp_max_orphans={4 * now}   # in the initial network namespace",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Counts at once. An orphan may take up to 64 kB that can't be swapped.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_orphan_retries=2",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="What nobody acknowledges is given up after fewer tries than 8: clients that went away cost less.",
        ),
        Remedy(
            command="let clients take their answer and close first; wait for their FIN before close()",
            works=True,
            changes=[changes.program("who closes first", "server")],
            why="A socket that is closed with data under way is an orphan until all is acknowledged.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_fin_timeout=10",
            works=False,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="FIN-WAIT-2 within 60 s is kept as a small socket that does not count as an orphan.",
        ),
        bigger_backlog("Each connection was accepted: its close was aborted."),
        Remedy(
            command="ulimit -n 65536, LimitNOFILE=65536",
            works=False,
            changes=[changes.nofile(65536, "server")],
            why="An orphan has no descriptor.",
        ),
    ]


CAUSE = Cause(
    id="too_many_orphans",
    side="server",
    stage=ConnectionStage.ANSWER,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("orphans are counted for the whole machine (tcp_max_orphans of the initial namespace)"),
)
