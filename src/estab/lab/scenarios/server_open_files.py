"""The server runs out of descriptors: accept() says EMFILE, and the connections stay in the queue until it overflows.

accept() takes the descriptor before the connection (`net/socket.c do_accept`; docs/kernel.md rule 25), so that a
server's descriptor limit looks like an accept queue overflow from outside. A longer backlog only lets more wait.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.wire.spec import WireSpec
from estab.load.plan import OWN_DESCRIPTORS

CAUSE = "server_open_files"
SIDE = "server"
SYMPTOM = "too many open files at accept(), in the server; clients time out or hang"
SECONDS = 7.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(200, "connections to hold")
    nofile: int = setting(128, "RLIMIT_NOFILE of the server's process")
    backlog: int = setting(16, "what listen() is asked for")
    rtt_s: float = setting(0.002, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """The limit, less what the process itself has open."""
    if s.connections <= s.nofile - OWN_DESCRIPTORS:
        return {"accepted": s.connections}
    return {"accepted": Interval(low=s.nofile - OWN_DESCRIPTORS, high=s.nofile - 3)}


def play(act: Act, s: Settings) -> Played:
    """One server process with few descriptors, and connections that stay."""
    with act.stage(WireSpec(rtt_s=s.rtt_s), server=queue_sysctls(4096, 1)) as stage:
        server = stage.serve(backlog=s.backlog, nofile=s.nofile)
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target, connections=s.connections, ramp_per_s=400, duration_s=0.4,
                options=LoadOptions(timeout_s=0.8, processes=1),
                progress=progress,
            ),
        )  # fmt: skip
    # Counted while all were held: when clients close, descriptors come back and more are accepted.
    listener = run.server.listener
    return Played(run, {"accepted": listener.accepted_at_end if listener else None})


REMEDIES = (
    Remedy("ulimit -n 1024, LimitNOFILE=1024   # for the server", True, {"nofile": 1024}),
    Remedy("a bigger backlog: listen(fd, 64)", False, {"backlog": 64}),
)
CONTROL = {"connections": 80, "backlog": 128}
