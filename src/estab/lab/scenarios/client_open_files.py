"""The client runs out of descriptors: socket() says EMFILE, "too many open files", before any packet leaves.

Descriptor numbers must stay below the soft RLIMIT_NOFILE (`fs/file.c alloc_fd`; docs/kernel.md rule 25, getrlimit(2)).
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.load.plan import OWN_DESCRIPTORS

CAUSE = "client_open_files"
SIDE = "client"
SYMPTOM = "too many open files, in the client"
SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(200, "connections to hold")
    nofile: int = setting(128, "RLIMIT_NOFILE of the client's process")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")


def predict(s: Settings) -> dict[str, Figure]:
    """The limit, less what the process itself has open: standard streams, block, epoll, and little else."""
    room = Interval(low=s.nofile - OWN_DESCRIPTORS, high=s.nofile - 3)
    if s.connections <= room.low:
        return {"connected": s.connections, "connected + EMFILE": s.connections}
    return {"connected": room, "connected + EMFILE": s.connections}


def play(act: Act, s: Settings) -> Played:
    """One client process with few descriptors."""
    with act.stage(server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                duration_s=0.2,
                options=LoadOptions(processes=1),
                progress=progress,
            ),
            nofile=s.nofile,
        )
    connected = run.funnel.connected
    return Played(run, {"connected": connected, "connected + EMFILE": connected + failed(run, "EMFILE")})


REMEDIES = (
    Remedy("ulimit -n 1024   # for the client", True, {"nofile": 1024}),
    Remedy("sysctl -w net.core.somaxconn=65535", False, {"somaxconn": 65535}),
)
CONTROL = {"connections": 50}
