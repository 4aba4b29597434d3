"""With cookies off the SYN queue bounds a burst: SYNs over it are dropped before any handshake begins.

`net/ipv4/tcp_input.c tcp_conn_request`: with tcp_syncookies=0 at most min(B+1, M-(M>>2)+1) connections are half-open, M
being tcp_max_syn_backlog; with 1, B+1, then cookies, and M is never asked; with 2, none (docs/kernel.md rules 9 to 12).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import accept_queue, syn_queue
from estab.lab.parts.figures import failed, queue_sysctls
from estab.lab.parts.scenario import KERNEL, Act, Figure, Played, Remedy, Row, setting
from estab.lab.stage.server import ByHand
from estab.lab.stage.stage import PORT
from estab.lab.wire.spec import WireSpec

CAUSE = "syn_queue_overflow"
SIDE = "server"
SYMPTOM = "connect takes 1, 3, 7 s or times out under bursts; SYN_RECV stands at a bound"
SECONDS = 6.0
SYNS = 6000
TABLE = (  # backlog, somaxconn, tcp_max_syn_backlog, tcp_syncookies: the table of docs/kernel.md
    (5, 4096, 2048, 0), (5, 4096, 2048, 1), (5, 4096, 2048, 2), (128, 128, 2048, 0), (128, 128, 2048, 1),
    (128, 128, 128, 0), (128, 4096, 64, 0), (1024, 4096, 128, 0), (1024, 4096, 128, 1), (4096, 4096, 2048, 0),
    (4096, 4096, 2048, 1),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(400, "clients that connect within one round trip")
    backlog: int = setting(1024, "what listen() is asked for")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    cookies: int = setting(0, "net.ipv4.tcp_syncookies at the server")
    max_syn_backlog: int = setting(128, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.05, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """Those that found room are answered, the others time out before their second SYN."""
    limit = accept_queue.granted(s.backlog, s.somaxconn)
    found = syn_queue.flood(s.connections, limit, s.max_syn_backlog, s.cookies, KERNEL)
    assert found is not None, "the running kernel's patch level is known"
    return {"connected": found.half_open + found.cookies, "own_timeout": found.dropped}


def play(act: Act, s: Settings) -> Played:
    """A burst on a server that accepts as fast as it can."""
    sysctls = queue_sysctls(s.somaxconn, s.cookies, s.max_syn_backlog)
    with act.stage(WireSpec(rtt_s=s.rtt_s, gather_syns=s.connections), server=sysctls) as stage:
        server = stage.serve(backlog=s.backlog)
        run = stage.run(
            server,
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                options=LoadOptions(processes=1, timeout_s=0.8),
                duration_s=0.2,
                progress=progress,
            ),
        )
    return Played(run, {"connected": run.funnel.connected, "own_timeout": failed(run, "own_timeout")})


def more(act: Act, s: Settings) -> Iterator[Row]:
    """SYN_RECV left by hand-made SYNs that nobody will ever complete."""
    for backlog, somaxconn, max_syn_backlog, cookies in TABLE:
        with act.stage(server=queue_sysctls(somaxconn, cookies, max_syn_backlog)) as stage:
            stage.serve(ByHand(stage.host, PORT, backlog))
            assert stage.wire is not None
            stage.wire.inject(SYNS)
            stage.quiet(0.02)
            half_open = stage.server_states().get("SYN-RECV", 0)
        limit = accept_queue.granted(backlog, somaxconn)
        found = syn_queue.flood(SYNS, limit, max_syn_backlog, cookies, KERNEL)
        yield Row(
            f"SYN_RECV: listen({backlog}), somaxconn {somaxconn}, M {max_syn_backlog}, cookies {cookies}",
            found.half_open if found else None,
            half_open,
        )


REMEDIES = (
    Remedy("sysctl -w net.ipv4.tcp_syncookies=1", True, {"cookies": 1}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=1024", True, {"max_syn_backlog": 1024}),
    Remedy("a bigger backlog: listen(fd, 4096)", False, {"backlog": 4096}),
)
CONTROL = {"connections": 90}
