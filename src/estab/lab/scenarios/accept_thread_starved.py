"""One thread accepts, many others burn the CPU, and connections wait for a server that seems to be there: report 002.

No kernel limit but the scheduler's: accept() takes microseconds, and a thread that shares its cores, its interpreter
lock or its event loop with much work waits for its turn while the queue fills (`net/ipv4/inet_connection_sock.c
inet_csk_accept`). The server is a Python program here: a lock that is passed on every 5 ms, by turns.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import accept_queue
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.stage import programs
from estab.lab.stage.server import Foreign
from estab.lab.stage.stage import PORT
from estab.lab.wire.spec import WireSpec

CAUSE = "accept_thread_starved"
SIDE = "server"
SYMPTOM = "connects are slow or time out while the server's CPU is at 100% and ss shows a full Recv-Q"
SECONDS = 6.0
ALONE = True
OWN_SERVER = "its server is the failure: a program whose other threads keep it from accept()"
PROGRAM = Path(programs.__file__).parent / "starved.py"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(150, "connections to hold, 300 a second")
    burners: int = setting(8, "threads that burn the CPU beside the one that accepts")
    backlog: int = setting(16, "what listen() is asked for")
    max_syn_backlog: int = setting(2048, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.002, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """A queue that is full, and fewer accepted than came."""
    if not s.burners:
        return {"accepted": s.connections}
    return {
        "worst queue": accept_queue.fits(s.backlog),
        "accepted": Interval(low=1, high=s.connections - 1),
    }


def play(act: Act, s: Settings) -> Played:
    """Connections at a rate that an idle accept() would never notice."""
    with act.stage(WireSpec(rtt_s=s.rtt_s), server=queue_sysctls(4096, 1, s.max_syn_backlog)) as stage:
        program = f"{sys.executable} -I {PROGRAM} {stage.host} {PORT} {s.backlog} {s.burners}"
        server = stage.serve(Foreign(program, stage.host, PORT))
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target, connections=s.connections, ramp_per_s=300, duration_s=0.2,
                options=LoadOptions(timeout_s=0.9, processes=1),
                progress=progress,
            ),
        )  # fmt: skip
    listener = run.server.listener
    return Played(
        run,
        {
            "worst queue": listener.worst_depth if listener else None,
            "accepted": listener.accepted_at_end if listener else None,
        },
    )


REMEDIES = (
    Remedy("work in other processes than the one that accepts", True, {"burners": 0}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=65536", False, {"max_syn_backlog": 65536}),
)
CONTROL = {"burners": 0, "connections": 100}
