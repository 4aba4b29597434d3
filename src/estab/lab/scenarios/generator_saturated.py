"""The load generator itself is the limit: it gets no CPU, and its timeouts end connections that were answered long ago.

No kernel rule but our own clock: a client that gets its CPU only now and then (a container's quota, a stolen core, a
neighbour: `kernel/sched/fair.c throttle_cfs_rq`) comes back to its loop later than its timeout. Its kernel has every
connection as ESTABLISHED by then, and the server has accepted each. No limit of the server or of the path was met.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.stage.stage import until
from estab.lab.wire.spec import WireSpec

CAUSE = "generator_saturated"
SIDE = "client"
SYMPTOM = "the load tool reports timeouts that neither the server nor the network knows of"
SECONDS = 8.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(560, "connections to hold, all begun at once")
    starved_s: float = setting(1.6, "how long the client's processes get no CPU once their SYNs have left")
    timeout_s: float = setting(0.9, "the clients' connect timeout")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """Every connection is there, at both ends; and a client that comes too late ends some or all of them."""
    late = s.starved_s > s.timeout_s
    return {
        "ESTABLISHED while it had no CPU": s.connections,
        "accepted by the server": s.connections,
        "ListenOverflows": 0,
        # How many depends on the loop: those whose events it takes before it looks at the clock are saved.
        "own timeouts": Interval(low=1, high=s.connections) if late else 0,
    }


def play(act: Act, s: Settings) -> Played:
    """The SYNs wait on the wire until the client is stopped: what comes of them is the kernels' doing alone."""
    with act.stage(WireSpec(rtt_s=s.rtt_s), server={"net.core.somaxconn": s.somaxconn}) as stage:
        assert stage.wire is not None
        server = stage.serve(backlog=s.somaxconn)
        stage.wire.hold(True)
        load = stage.load(
            lambda progress: hold(
                stage.target, connections=s.connections, in_flight=s.connections,
                options=LoadOptions(processes=1, timeout_s=s.timeout_s),
                duration_s=0.2, progress=progress,
            )
        )  # fmt: skip
        until(lambda: len(stage.wire_report().syns) >= s.connections, 20, "all SYNs came to the wire")
        with load.starved():
            stage.wire.hold(False)
            stage.quiet()
            there = stage.client_states().get("ESTAB", 0)
            time.sleep(s.starved_s)
        run = stage.finish(server, load)
    measured = {"ESTABLISHED while it had no CPU": there, "accepted by the server": run.funnel.accepted}
    measured |= {"ListenOverflows": moved(run, "ListenOverflows"), "own timeouts": failed(run, "own_timeout")}
    return Played(run, measured)


REMEDIES = (
    Remedy("give it the CPU: a higher quota, cores or a machine of its own", True, {"starved_s": 0.0}),
    Remedy("--timeout 5: longer than it may have to wait for its CPU", True, {"timeout_s": 5.0}),
    Remedy("sysctl -w net.core.somaxconn=65535 at the server", False, {"somaxconn": 65535}),
)
CONTROL = {"starved_s": 0.0, "connections": 100}
