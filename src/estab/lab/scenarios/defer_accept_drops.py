"""TCP_DEFER_ACCEPT and clients that do not speak first: connected at the client, unknown to the server's program.

`net/ipv4/tcp_minisocks.c tcp_check_req` drops the final ACK without data (TCPDeferAcceptDrop) for as many SYN-ACK
retransmissions as the seconds make; the server stays in SYN_RECV (docs/kernel.md rules 5 and 8). The drops add to `d`
of `ss -m`, which so looks like an overflow.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from estab.api.hold import hold
from estab.kernel.rules import synack_retries
from estab.lab.parts.figures import moved
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.stage.server import ByHand
from estab.lab.stage.stage import PORT
from estab.lab.wire.spec import WireSpec

CAUSE = "defer_accept_drops"
SIDE = "server"
OWN_SERVER = "its server is a socket on which the lab itself sets TCP_DEFER_ACCEPT"
SYMPTOM = "connect works, the server's greeting never comes; ss -m of the listener counts drops"
SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(50, "clients that connect and say nothing")
    defer: int = setting(30, "TCP_DEFER_ACCEPT of the listener in seconds; 0 does not set it")
    backlog: int = setting(128, "what listen() is asked for")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """Deferred: each bare ACK is dropped, and the client alone believes in the connection."""
    held = s.connections if synack_retries.defer_accept_timeouts(s.defer) else 0
    accepted = s.connections - held
    return {
        "client ESTABLISHED": s.connections,
        "TCPDeferAcceptDrop": held,
        "ghosts": held,
        "accepted meanwhile": accepted,
    }


def play(act: Act, s: Settings) -> Played:
    """Silent clients, and a server that accepts at once what the kernel gives it."""
    options = ((socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, s.defer),) if s.defer else ()
    with act.stage(WireSpec(rtt_s=s.rtt_s)) as stage:
        server = stage.serve(ByHand(stage.host, PORT, s.backlog, options, accepts=True))
        run = stage.run(
            server,
            lambda progress: hold(stage.target, connections=s.connections, duration_s=0.3, progress=progress),
        )
    return Played(
        run,
        {
            "client ESTABLISHED": run.funnel.connected,
            "TCPDeferAcceptDrop": moved(run, "TCPDeferAcceptDrop"),
            "ghosts": run.ghosts.count if run.ghosts else None,
            # Not at the end: a FIN is as good as data, and then all are accepted.
            "accepted meanwhile": run.server.listener.accepted_at_end if run.server.listener else None,
        },
    )


REMEDIES = (
    Remedy("do not set TCP_DEFER_ACCEPT (nginx: listen without deferred)", True, {"defer": 0}),
    Remedy("a bigger backlog: listen(fd, 1024)", False, {"backlog": 1024}),
)
CONTROL = {"defer": 0}
