"""SYNs are lost on the way: those connects take a second longer, and with a short timeout they fail.

A SYN without an answer is sent again after 1 s (`net/ipv4/tcp_timer.c tcp_retransmit_timer`, TCP_TIMEOUT_INIT), so a
connect's latency tells how many were lost (docs/kernel.md rules 17 to 19). The listener's counters stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import LINEAR, failed
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.wire.spec import WireSpec

CAUSE = "path_syn_loss"
SIDE = "path"
SYMPTOM = "some connects take 1, 2, 3 or 7 s, or time out; most are fast"
SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(100, "clients that connect")
    every: int = setting(5, "each so-many-th of their first SYNs is lost; 0 loses none")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    rtt_s: float = setting(0.01, "round-trip time")
    timeout_s: float = setting(3.0, "the clients' connect timeout")


def lost(s: Settings) -> frozenset[int]:
    """Which SYNs are lost."""
    return frozenset(range(s.every, s.connections + 1, s.every)) if s.every else frozenset()


def predict(s: Settings) -> dict[str, Figure]:
    """As many late as were lost, one retransmission each, and how late."""
    late = len(lost(s))
    if not late:
        return {"connected": s.connections, "after 1 retransmission": 0}
    if not syn_retries.sees_retransmission(s.timeout_s):
        return {"connected": s.connections - late, "own_timeout": late}
    band = syn_retries.bands(1, LINEAR, rtt_s=s.rtt_s, kernel=None)[1].between_s
    loaded = Interval(low=band.low, high=(band.high or band.low) + 0.15)  # the machine's load comes on top
    return {"connected": s.connections, "after 1 retransmission": late, "slowest connect (s)": loaded}


def play(act: Act, s: Settings) -> Played:
    """Connects over a wire that loses chosen SYNs."""
    spec = WireSpec(rtt_s=s.rtt_s, lose_syns=lost(s))
    with act.stage(spec, server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve()
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                duration_s=0.2,
                options=LoadOptions(timeout_s=s.timeout_s),
                progress=progress,
            ),
        )
    latency = run.latency.connect_us
    return Played(
        run,
        {
            "connected": run.funnel.connected,
            "after 1 retransmission": run.syn_retransmits.get("1", 0),
            "own_timeout": failed(run, "own_timeout"),
            "slowest connect (s)": latency.max / 1e6 if latency and latency.max else None,
        },
    )


REMEDIES = (
    Remedy("mend the link (mtr, ip -s link)", True, {"every": 0}),
    Remedy("sysctl -w net.core.somaxconn=65535", False, {"somaxconn": 65535}),
    Remedy("a connect timeout of 0.5 s, to fail fast", False, {"timeout_s": 0.5}),
)
CONTROL = {"every": 0}
