"""How the processes of a watched program fared for CPU: whether the busiest thread got a core when it wanted one. Pure.

A connect needs none: the kernel sends the SYN within connect(), and what answers it within the softirq. So no connect
fails because its program waits for a core. What the program measures comes late by that, and its own time-outs may end
what was answered long before.
"""

from __future__ import annotations

from estab.diagnose.evidence import measured
from estab.diagnose.owners import SURE_S, WAITED
from estab.records import Evidence, ProgramThread, RunResult

# Exit codes that say of a command that it ran out of time: of timeout(1) ("Exit status" of its manual), of a process
# that SIGALRM ended, and of curl (CURLE_OPERATION_TIMEDOUT, "EXIT CODES" of curl(1)).
_OUT_OF_TIME = (124, 128 + 14)
_CURL_OUT_OF_TIME = 28


def kept_waiting(run: RunResult) -> str | None:
    """In words, that its busiest thread waited for a core for much of the time. None: not so, or it was not seen."""
    busiest = busiest_of(run)
    if busiest is None or busiest.waited_s < _much_s(busiest):
        return None
    return _waited(run, busiest)


def busiest_of(run: RunResult) -> ProgramThread | None:
    """The thread of the program that ran and waited longest. None: not seen."""
    cpu = run.program.cpu if run.program is not None else None
    return cpu.busiest if cpu is not None else None


def ran_out_of_time(run: RunResult) -> bool:
    """Whether the command's exit code says that it had no more time."""
    program = run.program
    if program is None:
        return False
    return program.exit in _OUT_OF_TIME or (program.name == "curl" and program.exit == _CURL_OUT_OF_TIME)


def evidence(run: RunResult, busiest: ProgramThread) -> Evidence:
    """How long it waited, against how long is much."""
    threshold = round(_much_s(busiest), 3)
    return measured("/proc/PID/task/TID/schedstat", "waited_s", busiest.waited_s, _waited(run, busiest), threshold)


def _much_s(busiest: ProgramThread) -> float:
    return max(SURE_S, WAITED * busiest.seen_s)


def _waited(run: RunResult, busiest: ProgramThread) -> str:
    seen = next((each for each in run.client.processes or () if each.pid == busiest.pid), None)
    who = f"the busiest thread of {seen.words}" if seen is not None else f"its busiest thread (pid {busiest.pid})"
    stopped = run.program is not None and run.program.cgroup is not None and run.program.cgroup.throttled
    others = "" if stopped else " that others had"
    waited = f"waited {busiest.waited_s:.1f} s of {busiest.seen_s:.1f} s for a core{others}"
    return f"{who} {waited}, and ran {busiest.ran_s:.1f} s"
