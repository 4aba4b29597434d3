"""Several processes listen on one port, each by a socket of its own, and one of them is stopped: its share hangs.

The kernel chooses the listener of each connect by a hash of addresses and ports (`net/core/sock_reuseport.c
reuseport_select_sock`), whether it accepts or not. A longer backlog lets more wait at that one, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ReuseportMemberStuck(Scenario):
    """Connections to a port with several listeners, of which one is never emptied."""

    cause = "reuseport_member_stuck"
    side = "server"
    symptom = "a fixed share of requests hangs, all others are fast; ss shows one of several listeners with a Recv-Q"
    seconds = 12.0
    control = {"stuck": 0}

    connections: int = connections(200, "connections to hold")
    processes: int = setting(4, "processes that listen on the port (SO_REUSEPORT)", 2, 16)
    stuck: int = setting(1, "of these so many are stopped; one goes on at least", 0, 15)
    backlog: int = backlog(4096)
    held_s: float = duration(1.8, "how long the connections are held; below a second it may be a pause")
    rtt_s: float = rtt(0.005)

    @property
    def _stopped(self) -> int:
        return min(self.stuck, self.processes - 1)

    def predict(self) -> Mapping[str, Figure]:
        """Each listener gets its share, within six standard deviations of a hash that spreads evenly."""
        share = self._stopped / self.processes
        mean, deviation = self.connections * share, (self.connections * share * (1 - share)) ** 0.5
        least, most = max(0, round(mean - 6 * deviation)), min(self.connections, round(mean + 6 * deviation))
        return {
            "connected": self.connections,
            "listeners": self.processes,
            "waiting at the stopped ones": Interval(low=least, high=most),
            "ListenOverflows": 0,
        }

    def setup(self) -> Setup:
        """As many listeners, some of which are stopped from the start."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(
            load=load, server=(("net.core.somaxconn", self.backlog),), rtt_s=self.rtt_s, backlog=self.backlog,
            processes=self.processes, stuck=self._stopped,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What each listener had, as it was seen."""
        run = ran.run
        watch = run.server.listener
        return {
            "connected": run.funnel.connected,
            "listeners": len(run.server.listeners),
            "waiting at the stopped ones": watch.queued_at_end if watch is not None else None,
            "ListenOverflows": moved(run, "ListenOverflows"),
        }
