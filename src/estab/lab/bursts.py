"""What several scenarios play: a burst of connects within one round trip on a server that just then pauses."""

from __future__ import annotations

from collections.abc import Callable

from estab.api.hold import hold
from estab.kernel.rules import burst
from estab.lab.figures import LINEAR, predicted_burst
from estab.lab.scenario import Act, Figure, Played
from estab.lab.stage import Stage, Sysctls, until
from estab.lab.wire.spec import WireSpec


def predict_burst(
    *, connections: int, rtt_s: float, backlog: int, somaxconn: int, cookies: int, max_syn_backlog: int
) -> dict[str, Figure]:
    """Both ends, once all handshakes are over and before a SYN is sent again."""
    clients = burst.Clients(connects=connections, within_s=0, rtt_s=rtt_s, tcp_syn_linear_timeouts=LINEAR)
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
    resumes: bool = True,
    served: Callable[[Stage], None] = lambda _stage: None,
) -> Played:
    """The server pauses, the burst comes, both ends are counted, and the server accepts again where it `resumes`.

    A foreign server can't be told to pause: it shows what it does by itself. `served(stage)` is called once it listens.
    """
    with act.stage(WireSpec(rtt_s=rtt_s, gather_syns=connections), server=sysctls) as stage:
        server = stage.serve(backlog=backlog, kind="echo" if resumes else "stall")
        served(stage)
        pauses = resumes and act.command is None
        if pauses:
            server.tell("pause")
        load = stage.load(
            lambda progress: hold(
                stage.target, connections=connections, in_flight=connections, workers=1, duration_s=0.3,
                timeout_s=0.8, progress=progress,
            )
        )  # fmt: skip
        until(lambda: len(stage.wire_report().syns) >= connections, 5, "all SYNs came to the wire")
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
