"""Was this machine fast enough for what a setup takes for granted? Else its run shows the machine, and no rule."""

from __future__ import annotations

from estab.lab.stage.setup import Setup
from estab.lab.wire.spec import WireReport
from estab.records import RunResult

_RESENT_AFTER_S = 1.0  # `include/net/tcp.h TCP_TIMEOUT_INIT`: a SYN is sent again
_WITHOUT_A_CORE_S = 0.1


def too_slow(setup: Setup, run: RunResult, report: WireReport) -> str | None:
    """Why what came of it says nothing of the kernel; None: it was in time.

    What is to come together came together and was carried before the first of it was given up or sent again; and no
    client was kept from its loop for as long as its timeout, and no server from accept(), unless that is what the setup
    is about.
    """
    load = setup.load
    together = min(setup.path.gather, load.connections)
    if report.together < together:
        return (
            f"of {together:,} SYNs that are to come together {report.together:,} did: this machine is too slow or busy"
        )
    burst = report.syns[setup.waiting :][: load.connections] if together or setup.starved_s else []
    late_s = max(report.added_s, default=0.0)
    took_s = burst[-1].at_s - burst[0].at_s + late_s + (setup.rtt_s or 0.0) if burst else 0.0
    patience_s = min(load.timeout_s or _RESENT_AFTER_S, _RESENT_AFTER_S)
    if took_s >= patience_s:
        return f"a burst took {took_s:.1f} s, and must not take {patience_s:g} s: this machine is too slow or busy"
    lag_s = max((worker.worst_lag_ms or 0.0 for worker in run.client.workers), default=0.0) / 1000
    if lag_s >= load.timeout_s > 0 and not setup.starved_s:
        return f"clients with a timeout of {load.timeout_s:g} s got no CPU for {lag_s:.1f} s: this machine is too busy"
    if run.cause == "accept_thread_starved" and not setup.burners:
        waited_s = _waited_for_a_core_s(run)
        if waited_s >= _WITHOUT_A_CORE_S:
            return f"the server waited for a core for {waited_s:.1f} s: this machine is too busy"
    return None


def _waited_for_a_core_s(run: RunResult) -> float:
    """How long a server of ours could have run and others had the cores, as schedstat counts; 0 of a foreign one."""
    if not run.server.embedded:
        return 0.0
    threads = (thread for process in run.server.processes or () for thread in process.threads or ())
    return max((thread.waited_ns for thread in threads), default=0) / 1e9
