"""The server serves each connection by a thread, and may have so many: what comes beyond it accepts and closes.

fork() and clone() give EAGAIN where the user has as many tasks as RLIMIT_NPROC (`kernel/fork.c copy_process`), or
where the cgroup has pids.max of them (`kernel/cgroup/pids.c pids_can_fork`). A cgroup is no part of a namespace, so
the lab shows the first. The kernel counts none of what it refuses for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ServerTaskLimit(Scenario):
    """More connections than the server may have threads, all of them idle."""

    cause = "server_task_limit"
    side = "server"
    symptom = "can't start new thread; fork: Resource temporarily unavailable; unable to create new native thread"
    seconds = 12.0
    control = {"tasks": 200}
    no_own_server = "its server is the failure: a program with a thread for each connection"

    connections: int = connections(60, "connections to hold")
    tasks: int = setting(24, "RLIMIT_NPROC of the server's user, whose first thread accepts", 2, 4000)
    backlog: int = backlog(256)
    rtt_s: float = rtt(0.005)
    held_s: float = duration(1.6, "how long they are held")

    def predict(self) -> Mapping[str, Figure]:
        """All are accepted, and as many stay as there are threads beside the first."""
        stay = min(self.tasks - 1, self.connections)
        return {
            "connected": self.connections,
            "held to the end": stay,
            "closed by the server": self.connections - stay,
            "ListenOverflows": 0,
        }

    def setup(self) -> Setup:
        """Idle connections, each with its thread."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(load=load, rtt_s=self.rtt_s, backlog=self.backlog, tasks=self.tasks)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients saw of it."""
        run = ran.run
        return {
            "connected": run.funnel.connected,
            "held to the end": run.funnel.completed,
            "closed by the server": failed(run, "eof"),
            "ListenOverflows": moved(run, "ListenOverflows"),
        }
