"""What several scenarios run: a burst of connects on a server that just then stands still, and both ends after it."""

from __future__ import annotations

from collections.abc import Mapping

from estab.kernel.rules import burst
from estab.lab.parts.figures import LINEAR, predicted_burst
from estab.lab.parts.scenario import Figure
from estab.lab.parts.settings import Value
from estab.lab.stage.running import Running
from estab.lab.stage.setup import LoadSpec, Path, Setup, Sysctls


def predict_burst(
    *, connections: int, rtt_s: float, backlog: int, somaxconn: int, cookies: int, max_syn_backlog: int = 2048,
    spread: float = 0.0,
) -> dict[str, Figure]:  # fmt: skip
    """Both ends, once all handshakes are over and before a SYN is sent again.

    `spread`: over how many round trips the SYNs come; from one on the rule gives intervals.
    """
    clients = burst.Clients(
        connects=connections, within_s=spread * rtt_s, rtt_s=rtt_s, tcp_syn_linear_timeouts=LINEAR
    )  # fmt: skip
    ends = predicted_burst(
        clients, None, backlog=backlog, somaxconn=somaxconn, cookies=cookies, max_syn_backlog=max_syn_backlog
    )
    return {
        "server ESTABLISHED": ends.established,
        "server SYN_RECV": ends.half_open,
        "client ESTABLISHED": ends.connected,
        "client SYN_SENT": ends.waiting,
        "ghosts": ends.ghosts,
    }


def burst_setup(
    *, connections: int, rtt_s: float, backlog: int, server: Sysctls, spread: float = 0.0, accepts: bool = True,
    late: Sysctls = (),
) -> Setup:  # fmt: skip
    """Within one round trip, or evenly over `spread` of them, on a server that does not accept meanwhile."""
    load = LoadSpec(
        connections=connections, in_flight=connections, processes=1, duration_s=0.3, timeout_s=0.8,
        ramp_per_s=connections / (spread * rtt_s) if spread else None,
    )  # fmt: skip
    return Setup(
        load=load, server=server, late=late, rtt_s=rtt_s, path=Path(gather=0 if spread else connections),
        backlog=backlog, accepts=accepts, stands_still=accepts,
    )  # fmt: skip


def both_ends(running: Running) -> Mapping[str, Value]:
    """What both ends have once the burst has arrived."""
    running.arrived()
    client, server = running.stage.client_states(), running.stage.server_states()
    established, known = client.get("ESTAB", 0), server.get("ESTAB", 0)
    return {
        "server ESTABLISHED": known,
        "server SYN_RECV": server.get("SYN-RECV", 0),
        "client ESTABLISHED": established,
        "client SYN_SENT": client.get("SYN-SENT", 0),
        "ghosts": established - known,
    }
