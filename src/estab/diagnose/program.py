"""The verdict on a program that was watched from outside: its connects and both ends, never its reads and writes.

A cause that a connection meets up to its handshake is judged as in a run of our own, from what counters, queues and
sockets showed. One that shows in errnos, latencies or bytes alone is judged as on a host without a run, which mostly
says that it was not observed: the headline counts these.
"""

from __future__ import annotations

from collections.abc import Iterator

from estab.diagnose import program_cpu
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun
from estab.diagnose.decide import decide, not_observed, open_questions
from estab.diagnose.evidence import unknown
from estab.diagnose.fell_back import fell_back
from estab.diagnose.on_snapshots import ProgramSnapshots
from estab.diagnose.suspects import CAUSES
from estab.diagnose.telling import hint
from estab.records import Diagnosis, Program, ProgramCgroup, RunResult, Suspect
from estab.words import plural, sentence

_AS_IN_A_RUN = frozenset(
    {
        ConnectionStage.PATH,
        ConnectionStage.LISTENER,
        ConnectionStage.ACCEPT,
        ConnectionStage.HANDSHAKE,
        ConnectionStage.ACCEPT_QUEUE,
    }
)
_OF_ITS_OWN_CONNECTS = frozenset({CauseKind.LOST_SYN})
_STOPPED = 0.05  # of the time, by its cgroup: worth a sentence
_NOTHING_MET = "no limit was met."


def judge_program(run: RunResult, program: Program) -> Diagnosis:
    """The verdict on a run of `program`. Pure; never raises."""
    seen = ProgramSnapshots(run)
    judged = decide(
        [(cause, _judgement(cause, run, seen)) for cause in CAUSES],
        run,
        failures=lambda cause: cause.failures(run),
        without_cause=lambda suspects: _no_cause(run, program, suspects),
    )
    if (instead := fell_back(run, program)) is not None:
        judged = _without_accusation(judged, instead)
    said = [*_ended_badly(program, judged.cause), *_beside(run, program, judged)]
    return judged.replace(summary=" ".join([judged.summary, *said]))


def _without_accusation(judged: Diagnosis, instead: str) -> Diagnosis:
    """The program got what it wanted: what its other connects met stays a note."""
    suspects = [
        suspect.replace(verdict="possible") if suspect.verdict == "confirmed" else suspect
        for suspect in judged.suspects
    ]
    met = f" What they met: {judged.cause}." if judged.cause is not None else ""
    return Diagnosis(summary=instead + met, suspects=suspects)


def _judgement(cause: Cause, run: RunResult, seen: ProgramSnapshots) -> Judgement:
    if cause.judge_program is not None:
        return cause.judge_program(run)
    if isinstance(cause.judge_snapshots, NeedsRun) and cause.kind not in _OF_ITS_OWN_CONNECTS:
        why = cause.judge_snapshots.why
        return Judgement("not_observed", f"{why}: not seen of a program.", [unknown("a load of estab", "-", why)])
    if cause.stage in _AS_IN_A_RUN:
        return cause.judge_run(run)
    return cause.judge_snapshots(seen)


def _ended_badly(program: Program, cause: str | None) -> Iterator[str]:
    """That it failed by its own account, where nothing that was seen says why."""
    if cause is None and program.exit:
        yield f"It ended with exit code {program.exit}."


def _beside(run: RunResult, program: Program, judged: Diagnosis) -> list[str]:
    """What a reader of the verdict has to know beside it."""
    told = [*_elsewhere(run, program), *(f"Not seen: {why}." for why in program.unseen)]
    if program.lost_events:
        lost = plural(program.lost_events, "trace event was", "trace events were")
        told.append(f"{lost} lost: there were more connects than are counted.")
    if program.cgroup is not None:
        told += _held_back(program.cgroup, run.elapsed_s, judged.cause)
    if run.funnel.attempted and (waited := program_cpu.kept_waiting(run)) is not None:
        told.append(f"{sentence(waited)}: what it measured came late by that.")
    if unseen := not_observed(judged.suspects):
        told.append(f"{unseen} of {len(judged.suspects)} causes can't be seen of a program that is {program.seen}.")
    return told


def _elsewhere(run: RunResult, program: Program) -> Iterator[str]:
    """What became of its connects to other targets than the one that is judged."""
    of_all = program.connects
    if of_all is None or of_all.targets < 2 or of_all.attempted <= run.funnel.attempted:
        return
    here = sum(failure.count for failure in run.failures if failure.phase == "connect")
    others, failed = of_all.attempted - run.funnel.attempted, max(0, of_all.failed - here)
    to = plural(of_all.targets - 1, "other target")
    yield f"{plural(others, 'connect')} to {to} beside, of which {failed:,} failed."


def _held_back(cgroup: ProgramCgroup, elapsed_s: float, named: str | None) -> Iterator[str]:
    """What the program's cgroup did to it, where the cause that is `named` does not say so itself.

    It is no cause of failed connects, and of late ones it is.
    """
    stopped_s = (cgroup.throttled_us or 0) / 1e6
    if cgroup.cores is not None and stopped_s > _STOPPED * elapsed_s and named != "server_cpu_quota":
        quota = f"{cgroup.cores:g} core{'' if cgroup.cores == 1 else 's'}"
        periods = f"{cgroup.throttled or 0:,} of {plural(cgroup.periods or 0, 'period')}"
        yield f"The CPU quota of its cgroup, {quota}, stopped it in {periods}, for {stopped_s:.1f} s."
    if cgroup.pids_refused and named != "server_task_limit":
        times = plural(cgroup.pids_refused, "time")
        most = "no more" if cgroup.pids_max is None else f"{cgroup.pids_max:,}"
        yield f"A process or thread was refused {times}: its cgroup allows {most} (pids.max)."
    if cgroup.oom_kills:
        killed = plural(cgroup.oom_kills, "process was", "processes were")
        yield f"{killed} killed for want of memory: its cgroup allows {cgroup.memory_max_bytes or 0:,} bytes."


def _no_cause(run: RunResult, program: Program, suspects: list[Suspect]) -> str:
    failures = run.client_failures
    if questions := open_questions(suspects):
        told = f"{plural(failures, 'connect')} failed" if failures else "No connect failed, but not all was well"
        return " ".join(filter(None, [f"{told}; no cause is confirmed. {questions}", hint(run, suspects)]))
    if failures:
        kinds = ", ".join(f"{each.count:,} {each.kind.words}" for each in run.failures)
        return f"{plural(failures, 'connect')} failed ({kinds}); none of the known causes explains it."
    if not run.funnel.attempted:
        return f"{program.name} {_without_connects(program)}"
    if run.funnel.connected < run.funnel.attempted:
        left = run.funnel.attempted - run.funnel.connected
        return f"{plural(left, 'connect')} of {run.funnel.attempted:,} had no outcome yet: no limit was met."
    return f"No connect failed: {run.funnel.connected:,} of {run.funnel.attempted:,} connected, no limit was met."


def _without_connects(program: Program) -> str:
    """What it did instead, and what of it nobody saw."""
    accepted = sum(each.accepted for each in program.accepts or ())
    if program.targets:
        return f"kept the connections that it had: {_NOTHING_MET}"
    if program.listens_on or accepted:
        told = "" if program.accepts is None else f" accepted {plural(accepted, 'connection')},"
        return f"listened,{told} and connected nowhere: {_NOTHING_MET}"
    what = "used no TCP connection that was seen"
    if not program.sampled:
        return f"{what}: {_NOTHING_MET}"
    met = "whether a limit was met is not known." if program.failed_unseen else _NOTHING_MET
    return (
        f"{what}: {met} A connect that fails before it has a route or a port (ENETUNREACH, EACCES) shows only "
        "where each is traced, as root."
    )
