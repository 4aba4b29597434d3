"""TCP's memory and its orphans, the machine's figures against their limits, and what they cost a namespace. No verdict.

Source: `tcp_check_oom` (net/ipv4/tcp.c). A socket that its program closes, or that it closed and whose timer ends, is
reset where the machine has more orphans than tcp_max_orphans, or where it has data to send and TCP's memory is over the
last of tcp_mem: TCPAbortOnMemory counts both, in the socket's own namespace. An orphan whose peer is silent counts
twice, or four times (`tcp_out_of_resources`, net/ipv4/tcp_timer.c). `sockstat_seq_show` (net/ipv4/proc.c) shows the
machine's `orphan` and `mem` in every namespace; their limits stand in the initial one alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import closings, facts
from estab.diagnose.evidence import NETSTAT, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.rules import memory
from estab.records import ClientSide, Evidence, RunResult, ServerSide, Snapshot
from estab.words import plural

ABORTED = "TcpExt.TCPAbortOnMemory"
# Data that came for a socket with data unread, and found no memory (`tcp_data_queue`, net/ipv4/tcp_input.c).
NOT_TAKEN = "TcpExt.TCPRcvQDrop"
LIMITS = "sysctl net.ipv4.tcp_mem net.ipv4.tcp_max_orphans; cat /proc/net/sockstat"
_TCP_MEM, _MAX_ORPHANS = "net.ipv4.tcp_mem", "net.ipv4.tcp_max_orphans"


@dataclass(frozen=True)
class TcpMemory:
    """One end: at most so many `pages` and `orphans` of the machine, and what its namespace counted meanwhile.

    `aborted`: sockets reset for want of memory or for too many orphans; `not_taken`: segments for which there was no
    memory. None: not observed, and of a limit that it is not shown there.
    """

    end: str
    pages: int | None
    tcp_mem: tuple[int, int, int] | None
    orphans: int | None
    most_orphans: int | None
    aborted: int | None
    not_taken: int | None

    @property
    def out_of_memory(self) -> bool | None:
        """Whether TCP's memory was seen over its limit. None: one of the two is not known."""
        state = memory.tcp_mem_pressure(self.pages, self.tcp_mem)
        return None if state is None else state == "over_limit"

    @property
    def too_many_orphans(self) -> bool | None:
        """Whether orphans were seen over their limit. None: one of the two is not known."""
        return memory.too_many_orphans(self.orphans, self.most_orphans)

    @property
    def orphans_explain(self) -> bool | None:
        """Whether they are why sockets were aborted: memory was not, and some of them count four times."""
        if self.too_many_orphans is None or self.too_many_orphans:
            return self.too_many_orphans
        return self.out_of_memory is False and bool(memory.too_many_orphans(4 * (self.orphans or 0), self.most_orphans))

    @property
    def evidence(self) -> list[Evidence]:
        """The machine's figures against their limits, and what this end counted."""
        counted = [(ABORTED, self.aborted, "sockets reset for want of memory, or for too many orphans")]
        if self.not_taken:
            counted.append((NOT_TAKEN, self.not_taken, "segments that found no memory"))
        most = self.tcp_mem[2] if self.tcp_mem is not None else None
        return [
            *(_counted(self.end, *each) for each in counted),
            _machines("TCP.mem", "page", self.pages, most, f"{_TCP_MEM}'s last"),
            _machines("TCP.orphan", "orphan", self.orphans, self.most_orphans, _MAX_ORPHANS),
        ]


def at_server(run: RunResult) -> TcpMemory | None:
    """The server's end. None: not observed.

    Where both ends are in one namespace, what the clients closed in order is taken for theirs: an orphan of a client is
    aborted as well, and costs no client anything.
    """
    if not run.server.observed:
        return None
    closed = max(0, run.funnel.connected - closings.ended_early(run))
    aborted = facts.server_rose(run, ABORTED, closed)
    return _between("server", run.server.before, run.server.after, aborted, run.server.rose(NOT_TAKEN))


def of_run(run: RunResult) -> list[TcpMemory]:
    """Each end that was observed, the server's first."""
    client = _of_side("client", run.client)
    server = at_server(run)
    return [client] if server is None else [server, client]


def of_snapshots(snapshots: Snapshots) -> TcpMemory:
    """The host as it stands; what it counted, in between."""
    return _between("host", None, snapshots.after, snapshots.rose(ABORTED), snapshots.rose(NOT_TAKEN))


def _of_side(end: str, side: ClientSide | ServerSide) -> TcpMemory:
    return _between(end, side.before, side.after, side.rose(ABORTED), side.rose(NOT_TAKEN))


def _between(
    end: str, before: Snapshot | None, after: Snapshot | None, aborted: int | None, not_taken: int | None
) -> TcpMemory:
    taken = [each for each in (before, after) if each is not None]
    figures = [each for moment in taken for each in (moment.sockstat, moment.worst_sockstat) if each is not None]

    def most(name: str) -> int | None:
        return max((max(0, each[name]) for each in figures if name in each), default=None)

    bounds = _limit(taken, _TCP_MEM)
    limit = _limit(taken, _MAX_ORPHANS)
    return TcpMemory(
        end=end,
        pages=most("TCP.mem"),
        tcp_mem=(bounds[0], bounds[1], bounds[2]) if bounds is not None and len(bounds) == 3 else None,
        orphans=most("TCP.orphan"),
        most_orphans=max(0, limit[0]) if limit else None,
        aborted=None if aborted is None else max(0, aborted),
        not_taken=None if not_taken is None else max(0, not_taken),
    )


def _limit(taken: list[Snapshot], name: str) -> list[int] | None:
    """A sysctl as it stood last. None: not shown."""
    values = [(moment.sysctls or {}).get(name) for moment in taken]
    return next((value for value in reversed(values) if isinstance(value, list)), None)


def _counted(end: str, name: str, delta: int | None, means: str) -> Evidence:
    short = name.partition(".")[2]
    stands = "was not observed" if delta is None else f"rose by {delta:,}"
    return measured(NETSTAT, name, delta, f"{short} {stands} at the {end}: {means}")


def _machines(field: str, unit: str, seen: int | None, most: int | None, limit: str) -> Evidence:
    if seen is None:
        return unknown("/proc/net/sockstat", field, f"{field} was not observed")
    if most is None:
        text = f"the machine had {plural(seen, unit)} at most; {limit} is shown in its initial network namespace alone"
        return measured("/proc/net/sockstat", field, seen, text, None)
    text = f"the machine had {plural(seen, unit)} at most, {limit} is {most:,}"
    return measured("/proc/net/sockstat", field, seen, text, most)
