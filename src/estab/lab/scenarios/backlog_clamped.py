"""listen() was asked for 8,192 and got 128: somaxconn cuts without an error, and only a new listen() mends it.

B = min((unsigned)backlog, somaxconn), fixed at listen() (`net/socket.c __sys_listen_socket`; docs/kernel.md rule 1).
Raising somaxconn later changes only what listens later; listen() again on the same socket applies it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.kernel.rules import accept_queue
from estab.lab.parts.bursts import play_burst, predict_burst
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, setting
from estab.lab.stage.server import ByHand
from estab.lab.stage.stage import PORT
from estab.observe.sock_diag import SockDiag

CAUSE = "backlog_clamped"
SIDE = "server"
SYMPTOM = "the backlog is 8192 in the program, and ss -ltn shows 128 in Send-Q"
SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(400, "clients that connect within one round trip")
    backlog: int = setting(8192, "what listen() is asked for")
    somaxconn: int = setting(128, "net.core.somaxconn when listen() is called")
    later: int = setting(0, "net.core.somaxconn after listen(); 0 leaves it")
    cookies: int = setting(1, "net.ipv4.tcp_syncookies at the server")
    rtt_s: float = setting(0.01, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """Both ends after the burst, at the limit that listen() granted."""
    return predict_burst(
        connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog, somaxconn=s.somaxconn, cookies=s.cookies,
        max_syn_backlog=2048,
    )  # fmt: skip


def play(act: Act, s: Settings) -> Played:
    """A burst on the queue that was cut."""
    return play_burst(
        act, connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog,
        sysctls=queue_sysctls(s.somaxconn, s.cookies),
        served=lambda stage: stage.server.configure({"net.core.somaxconn": s.later} if s.later else {}),
    )  # fmt: skip


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The limit as sock_diag shows it: after listen(), after the sysctl, after listen() on the same socket."""
    raised = max(s.backlog, s.somaxconn)
    with act.stage(server={"net.core.somaxconn": s.somaxconn}) as stage:
        server = stage.serve(ByHand(stage.host, PORT, s.backlog))

        def limit() -> int:
            with stage.server.entered(), SockDiag() as diag:
                return diag.listeners(PORT)[0].limit

        yield Row(f"listen({s.backlog}) grants", accept_queue.granted(s.backlog, s.somaxconn), limit())
        stage.server.configure({"net.core.somaxconn": raised})
        yield Row(f"after somaxconn={raised}", accept_queue.granted(s.backlog, s.somaxconn), limit())
        server.tell(("listen", s.backlog))
        yield Row("after listen() again", accept_queue.granted(s.backlog, raised), limit())


REMEDIES = (
    Remedy("sysctl -w net.core.somaxconn=8192, the server left running", False, {"later": 8192}),
    Remedy("sysctl -w net.core.somaxconn=8192, then listen() anew", True, {"somaxconn": 8192}),
    Remedy("a bigger backlog in the program: 65535", False, {"backlog": 65535}),
)
CONTROL = {"connections": 100}
