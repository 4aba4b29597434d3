"""TCP's memory of the whole machine is used up: sockets can neither send nor take data, and some are reset.

Source: `__sk_mem_raise_allocated` (net/core/sock.c): over the last of tcp_mem nobody is given another page. What comes
for a socket with data unread is dropped (TCPRcvQDrop, `tcp_data_queue`, net/ipv4/tcp_input.c) and sent again later;
who sends waits as for a full buffer; a socket that is closed with data unsent is reset (TCPAbortOnMemory,
`tcp_check_oom`, net/ipv4/tcp.c), and the kernel logs "out of memory -- consider tuning tcp_mem". All network namespaces
of the machine have one account, and the counters are each namespace's own: they tell whom it met.
"""

from __future__ import annotations

from estab.diagnose import closings, tcp_memory
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NotRebuilt
from estab.diagnose.evidence import unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.tcp_memory import TcpMemory
from estab.records import Remedy, RunResult, Side, Verdict
from estab.words import plural

_ELSEWHERE = "the memory of all TCP sockets, which is one account for the whole machine"
_PAGES = 1_048_576  # 4 GiB in pages of 4 KiB, to be proposed where nothing is known


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where it was seen over its limit, and an end's own counters show that it met what failed."""
    suffered, seen = closings.reset_or_unanswered(run), tcp_memory.of_run(run)
    evidence = [closings.reset_or_unanswered_evidence(run)]
    if not suffered:
        return Judgement("ruled_out", "No connection was reset or left waiting once it was made.", evidence)
    evidence += [fact for each in seen for fact in each.evidence]
    over = [each for each in seen if each.out_of_memory]
    if not over:
        return Judgement(*_not_seen(seen), evidence)
    worst = max(over, key=_met)
    side: Side = "server" if worst.end == "server" else "client"
    return Judgement(*_weigh(suffered, failures(run), worst), evidence, side)


def failures(run: RunResult) -> int:
    """Resets as far as the server's namespace aborted so many, and waits as far as an end dropped data for them."""
    server = tcp_memory.at_server(run)
    aborted = (server.aborted or 0) if server is not None else 0
    dropped = max((each.not_taken or 0 for each in tcp_memory.of_run(run)), default=0)
    return min(closings.resets(run), aborted) + min(closings.unanswered(run), dropped)


def _met(seen: TcpMemory) -> int:
    return (seen.aborted or 0) + (seen.not_taken or 0)


def _weigh(suffered: int, accounted: int, worst: TcpMemory) -> tuple[Verdict, str]:
    told = f"TCP's memory was used up at the {worst.end}'s machine ({_of_limit(worst)})"
    if not accounted:
        return "possible", f"{told}; no counter of its namespace shows that it met these connections."
    if worst.too_many_orphans and not worst.not_taken:
        return "possible", f"{told}, and there were too many orphans as well: either has sockets reset."
    if accounted * 2 <= suffered:
        return "possible", f"{told}, which accounts for {accounted:,} of {suffered:,} at most."
    what = {"reset": plural(worst.aborted or 0, "socket"), "without room": plural(worst.not_taken or 0, "segment")}
    counts = {"reset": worst.aborted, "without room": worst.not_taken}
    met = " and ".join(f"{many} {how}" for how, many in what.items() if counts[how])
    return "confirmed", f"{told}: {met} in its namespace."


def _of_limit(seen: TcpMemory) -> str:
    return f"{seen.pages or 0:,} pages, {seen.tcp_mem[2] if seen.tcp_mem else 0:,} allowed"


def _not_seen(seen: list[TcpMemory]) -> tuple[Verdict, str]:
    """What can be said where it was nowhere seen over its limit."""
    aborting = next((each for each in seen if each.end == "server" and each.aborted), None)
    if aborting is not None and not aborting.orphans_explain:
        told = f"The server's kernel aborted {plural(aborting.aborted or 0, 'socket')} that its program closed"
        if None in (aborting.out_of_memory, aborting.orphans_explain):
            return "possible", f"{told}, for want of memory or for too many orphans: their limits are not shown there."
        return "possible", f"{told}, and each time that was looked both memory and orphans were below their limits."
    known = [each for each in seen if each.out_of_memory is not None]
    if not known:
        return "not_observed", "TCP's memory or its limit was not observed: a container does not show tcp_mem."
    return "ruled_out", f"TCP's memory had room ({_of_limit(known[0])})."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Used up as it stands; or sockets of this namespace that were aborted in between, and not for orphans."""
    seen = tcp_memory.of_snapshots(snapshots)
    evidence = seen.evidence
    if seen.out_of_memory:
        text = f"TCP's memory is used up, for all of the machine: {_of_limit(seen)}."
        return Judgement("confirmed", text, evidence)
    if seen.aborted and not seen.orphans_explain:
        told = f"The kernel aborted {plural(seen.aborted, 'socket')} of this namespace that were closed"
        return Judgement("possible", f"{told}, for want of memory or for too many orphans.", evidence)
    if seen.out_of_memory is None:
        text = "TCP's memory or its limit was not observed: a container does not show tcp_mem."
        return Judgement("not_observed", text, [*evidence, unknown("/proc/sys", "net.ipv4.tcp_mem", text)])
    return Judgement("ruled_out", f"TCP's memory has room: {_of_limit(seen)}.", evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Whose it is, more of it, or less in each socket."""
    known = [each.tcp_mem for each in tcp_memory.of_run(run) if each.tcp_mem is not None]
    low, pressure, most = known[0] if known else (_PAGES // 2, _PAGES * 2 // 3, _PAGES)
    return [
        Remedy(
            command=f"ss -tmnp | grep -B1 skmem; {tcp_memory.LIMITS}; dmesg | grep 'tcp_mem'",
            works=True,
            changes=[changes.LOOK],
            why="Whose sockets hold it (Recv-Q: data that a program does not read), how much, and what is allowed.",
        ),
        Remedy(
            command="read what has arrived, and close what is left over: the program with the longest Recv-Q or Send-Q",
            works=True,
            changes=[changes.program("that it reads what arrives", "server")],
            why="Memory is used up by data that waits in buffers; an idle connection takes none of it.",
        ),
        Remedy(
            command=f'sysctl -w net.ipv4.tcp_mem="{2 * low} {2 * pressure} {2 * most}"   # in the initial namespace',
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Counts at once, in pages; the machine must have as much to spare.",
        ),
        Remedy(
            command='sysctl -w net.ipv4.tcp_rmem="4096 65536 1048576" net.ipv4.tcp_wmem="4096 16384 1048576"',
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="The third figure bounds what one socket may take: 6 MB to receive and 4 MB to send by default.",
        ),
        Remedy(
            command="sysctl -w net.core.rmem_max=..., bigger SO_RCVBUF or SO_SNDBUF",
            works=False,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Each socket may then take more of what is missing: it comes sooner.",
        ),
        bigger_backlog("Each connection was accepted: what is missing is room for its data."),
    ]


CAUSE = Cause(
    id="tcp_memory_exhausted",
    side="server",
    stage=ConnectionStage.ANSWER,
    specificity=1,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("TCP's memory is one account for the whole machine (tcp_mem of the initial namespace)"),
)
