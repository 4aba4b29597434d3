"""What was seen of a program, as a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab import __version__
from estab.api.program_track import ProgramTrack
from estab.api.traced import TracedRun
from estab.diagnose import accepts, facts
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules.connects import Connects
from estab.observe import host
from estab.observe.program_watch import ProgramWatch, Target
from estab.observe.watch import Observed
from estab.records import ClientSide, Failure, Funnel, Latency, Process, Program, RunResult

_MOST_TARGETS = 20  # that a record lists


@dataclass(frozen=True)
class Asked:
    """What is watched: `name` for people, `to` a literal address and port."""

    command: str
    name: str
    to: Target | None
    server_via: str | None
    duration_s: float | None = None
    sampled: bool = False

    def config(self, target: Target | None) -> dict[str, int | float | str | bool | list[str] | None]:
        """As it stands in the record."""
        return {
            "target": None if target is None else endpoint(*target),
            "program": self.name,
            "duration_s": self.duration_s,
            "server_via": self.server_via,
        }


def program_of(
    asked: Asked, watch: ProgramWatch, told: TracedRun | None, code: int | None, *, left: int, namespace: int | None
) -> Program:
    """The program itself, which ended with `code` and left so many processes running. `namespace`: its network's."""
    sampled = watch.targets()
    return Program(
        name=asked.name,
        exit=code,
        seen="sampled" if told is None else "traced",
        processes=len(watch.processes.pids),
        left_running=left,
        looks=watch.looks,
        targets=(sampled if told is None else told.targets(sampled))[:_MOST_TARGETS],
        peers=watch.peers.seen(),
        listens_on=list(dict.fromkeys(watch.listens_on.values())),
        connects=None if told is None else told.connects(),
        accepts=None if told is None else told.accepts(watch.listens_on),
        bind_failures=None if told is None else told.bind_failures(),
        unix_connects=None if told is None else told.unix_connects,
        unix_failures=None if told is None else told.unix_failures(),
        unix_refused=None if told is None else told.unix_refused(namespace),
        unix_queues=watch.unix.seen(),
        lost_events=None if told is None else told.lost,
        cgroup=watch.cgroups.worst(),
        cpu=watch.cpu.so_far(),
    )


@dataclass(frozen=True)
class SeenOfAll:
    """What was seen of a program whatever the target: its connects over time and, where it was traced, one by one."""

    asked: Asked
    track: ProgramTrack
    told: TracedRun | None
    program: Program
    processes: list[Process]

    def record(self, target: Target | None, ends: Observed) -> RunResult:
        """With one of its targets, not judged yet."""
        track, told = self.track, self.told
        record = RunResult(
            command=self.asked.command,
            config=self.asked.config(target),
            host=host.facts(),
            started_at_s=track.began_at_s,
            elapsed_s=track.elapsed_s,
            engine="none",
            funnel=_funnel(track.counted) if told is None else told.funnel(target),
            failures=_failures(track.counted, ends.client) if told is None else told.failures(target),
            latency=Latency() if told is None else told.latency(),
            syn_retransmits={} if told is None else told.syn_retransmits(target),
            timeline=track.timeline(target),
            client=ends.client.replace(processes=self.processes or None),
            server=ends.server,
            program=self.program,
            estab_version=__version__,
        )
        return record.replace(funnel=record.funnel.replace(accepted=_accepted(record)))


def _accepted(run: RunResult) -> int | None:
    """How many of its connections were accepted, where that is known and no bound alone; None: it is not."""
    over, least = accepts.over(run), facts.accepted(run)
    if over is not None and over.least == over.most:
        return over.least
    return run.funnel.connected if least is not None and 0 < run.funnel.connected <= least else None


def _funnel(counted: Connects | None) -> Funnel:
    if counted is None:
        return Funnel()
    return Funnel(attempted=counted.attempted, connected=counted.connected, completed=counted.connected)


def _failures(counted: Connects | None, client: ClientSide) -> list[Failure]:
    """Connects that failed, as TCP's counters tell: by RST or ICMP, by the kernel's time-out, closed unconnected."""
    if counted is None:
        return []
    # A SYN that is held back for its neighbour's address fails by an ICMP error of this host itself.
    held_back = bool(client.rose("TcpExt.TCPSpuriousRtxHostQueues"))
    counts: Mapping[str, int] = {
        "EHOSTUNREACH" if held_back else "ECONNREFUSED": counted.refused,
        "ETIMEDOUT": counted.timed_out,
        "gave_up": counted.given_up,
    }
    return [Failure(phase="connect", errno=errno, count=count) for errno, count in counts.items() if count]
