"""The client runs out of descriptors: socket() says EMFILE, "too many open files", before any packet leaves.

Descriptor numbers must stay below the soft RLIMIT_NOFILE (`fs/file.c alloc_fd`; docs/kernel.md rule 25, getrlimit(2)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import connected_or
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, connections, setting, somaxconn
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup
from estab.load.plan import OWN_DESCRIPTORS


@dataclass(frozen=True, kw_only=True)
class ClientOpenFiles(Scenario):
    """One client process with few descriptors."""

    cause = "client_open_files"
    side = "client"
    symptom = "too many open files, in the client"
    seconds = 3.0
    control = {"connections": 50}

    connections: int = connections(200, "connections to hold")
    nofile: int = setting(128, "RLIMIT_NOFILE of the client's process", 32, MOST)
    somaxconn: int = somaxconn()

    def predict(self) -> Mapping[str, Figure]:
        """The limit, less what the process itself has open: standard streams, block, epoll, and little else."""
        room = Interval(low=self.nofile - OWN_DESCRIPTORS, high=self.nofile - 3)
        connected: Figure = self.connections if self.connections <= room.low else room
        return {"connected": connected, "connected + EMFILE": self.connections}

    def setup(self) -> Setup:
        """More connections than descriptors."""
        return Setup(
            load=LoadSpec(connections=self.connections, duration_s=0.2, processes=1),
            server=(("net.core.somaxconn", self.somaxconn),), rtt_s=0.0, client_nofile=self.nofile,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who got no socket."""
        return connected_or(ran.run, "EMFILE")
