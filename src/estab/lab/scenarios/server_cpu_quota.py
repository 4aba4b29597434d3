"""The server's cgroup has used its CPU quota up. The lab says why it cannot show that, and shows the like instead.

A quota stops all tasks of a cgroup until its next period (`kernel/sched/fair.c throttle_cfs_rq`). A cgroup is no part
of a namespace: one that the lab made would be the host's, where it changes nothing. `accept_thread_starved` shows a
server whose CPU goes elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.scenario import Figure, Scenario


@dataclass(frozen=True, kw_only=True)
class ServerCpuQuota(Scenario):
    """Nothing is run."""

    cause = "server_cpu_quota"
    side = "server"
    symptom = "latency of 100 ms and more, timeouts under load, though the host's CPUs are idle; nr_throttled rises"
    seconds = 0.0

    @classmethod
    def why_not(cls) -> str:
        """It cannot be isolated in a namespace."""
        return (
            "it cannot be isolated: a CPU quota is of a cgroup, which is the host's and not a namespace's, and the lab "
            "makes none; accept_thread_starved shows a server whose CPU goes elsewhere"
        )

    def predict(self) -> Mapping[str, Figure]:
        """Nothing, for nothing is run."""
        return {}
