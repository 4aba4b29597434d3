"""What several scenarios play: a burst of connects on a server that just then pauses."""

from __future__ import annotations

import time
from collections.abc import Callable

from estab.api.churn import churn
from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import burst
from estab.lab.parts.figures import LINEAR, failed, moved, predicted_burst, segments
from estab.lab.parts.scenario import Act, Figure, Played
from estab.lab.stage.stage import Stage, Sysctls, until
from estab.lab.wire.spec import WireSpec


def predict_burst(
    *, connections: int, rtt_s: float, backlog: int, somaxconn: int, cookies: int, max_syn_backlog: int,
    spread: float = 0.0,
) -> dict[str, Figure]:  # fmt: skip
    """Both ends, once all handshakes are over and before a SYN is sent again.

    `spread`: over how many round trips the SYNs come; from one on the rule gives intervals.
    """
    clients = burst.Clients(
        connects=connections, within_s=spread * rtt_s, rtt_s=rtt_s, tcp_syn_linear_timeouts=LINEAR
    )  # fmt: skip
    found = predicted_burst(
        clients, None, backlog=backlog, somaxconn=somaxconn, cookies=cookies, max_syn_backlog=max_syn_backlog
    )
    return {
        "server ESTABLISHED": found.established,
        "server SYN_RECV": found.half_open,
        "client ESTABLISHED": found.connected,
        "client SYN_SENT": found.waiting,
        "ghosts": found.ghosts,
    }


def play_burst(
    act: Act,
    *,
    connections: int,
    rtt_s: float,
    backlog: int,
    sysctls: Sysctls,
    spread: float = 0.0,
    resumes: bool = True,
    served: Callable[[Stage], None] = lambda _stage: None,
) -> Played:
    """The server pauses, the burst comes, both ends are counted, and the server accepts again where it `resumes`.

    Within one round trip, or evenly over `spread` of them. A foreign server can't be told to pause: it shows what it
    does by itself. `served(stage)` is called once it listens.
    """
    with act.stage(WireSpec(rtt_s=rtt_s, gather_syns=0 if spread else connections), server=sysctls) as stage:
        server = stage.serve(backlog=backlog, kind="echo" if resumes else "stall")
        served(stage)
        pauses = resumes and act.command is None
        if pauses:
            server.tell("pause")
        load = stage.load(
            lambda progress: hold(
                stage.target, connections=connections, in_flight=connections,
                options=LoadOptions(processes=1, timeout_s=0.8),
                duration_s=0.3, ramp_per_s=connections / (spread * rtt_s) if spread else None, progress=progress,
            )
        )  # fmt: skip
        until(lambda: len(stage.wire_report().syns) >= connections, 20, "all SYNs came to the wire")
        stage.quiet()
        client, at_server = stage.client_states(), stage.server_states()
        if pauses:
            server.tell("resume")
        run = stage.finish(server, load)
    established, known = client.get("ESTAB", 0), at_server.get("ESTAB", 0)
    measured = {
        "server ESTABLISHED": known,
        "server SYN_RECV": at_server.get("SYN-RECV", 0),
        "client ESTABLISHED": established,
        "client SYN_SENT": client.get("SYN-SENT", 0),
        "ghosts": established - known,
    }
    return Played(run, measured)


def predict_requests(
    *, connections: int, size: int, rtt_s: float, pause_s: float, backlog: int, somaxconn: int, cookies: int,
    max_syn_backlog: int,
) -> burst.Prediction:  # fmt: skip
    """A burst within one round trip whose clients write a request at once, to a server that accepts after a pause."""
    clients = burst.Clients(
        connects=connections, within_s=0, rtt_s=rtt_s, segment_bytes=segments(size), tcp_syn_linear_timeouts=LINEAR
    )
    return predicted_burst(
        clients, pause_s + 4, backlog=backlog, somaxconn=somaxconn, cookies=cookies, max_syn_backlog=max_syn_backlog,
        accepts_from_s=pause_s, accepts_per_s=None,
    )  # fmt: skip


def play_requests(
    act: Act, *, connections: int, size: int, rtt_s: float, pause_s: float, backlog: int, sysctls: Sysctls
) -> Played:
    """That burst: how many were served, how many reset, and in which order the errors came."""
    with act.stage(WireSpec(rtt_s=rtt_s, gather_syns=connections), server=sysctls) as stage:
        server = stage.serve(backlog=backlog)
        server.tell("pause")
        load = stage.load(
            lambda progress: churn(
                stage.target, connections=connections, attempts=connections, size_bytes=size,
                options=LoadOptions(processes=1, timeout_s=5),
                duration_s=20, progress=progress,
            )
        )  # fmt: skip
        load.begun()
        time.sleep(pause_s)
        server.tell("resume")
        run = stage.finish(server, load)
    reset = failed(run, "ECONNRESET", "EPIPE", "eof")
    measured = {
        "served": run.funnel.first_byte,
        "reset": reset,
        "served + reset": run.funnel.first_byte + reset,
        "SyncookiesFailed": moved(run, "SyncookiesFailed"),
        "first errors": ", ".join(run.error_orders[0].order if run.error_orders else []),
    }
    return Played(run, measured)
