"""More connections come within one round trip than the accept queue holds; the client believes to have them all.

B+1 wait in the queue (`include/net/sock.h sk_acceptq_is_full`). With SYN cookies all the others are answered too, and
their final ACK is dropped: ESTABLISHED at the client, nothing at the server: ghosts (`net/ipv4/tcp_minisocks.c
tcp_check_req`, `net/ipv4/tcp_input.c tcp_conn_request`; docs/kernel.md rules 2 to 4 and 16). Without cookies the SYN
queue holds B+1 as well, and the others wait in SYN_SENT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.lab.parts.bursts import play_burst, predict_burst
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, compared, setting

CAUSE = "accept_queue_overflow"
SIDE = "server"
SYMPTOM = "connect works, then nothing is answered; or connect takes 1, 3, 7 s, or times out"
SECONDS = 6.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(400, "clients that connect within one round trip")
    backlog: int = setting(128, "what listen() is asked for")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    cookies: int = setting(1, "net.ipv4.tcp_syncookies at the server")
    max_syn_backlog: int = setting(2048, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.01, "round-trip time")
    spread: float = setting(0.0, "over how many round trips the SYNs come, evenly; 0 all at once")


def predict(s: Settings) -> dict[str, Figure]:
    """Both ends, once all handshakes are over and before a SYN is sent again."""
    return predict_burst(
        connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog, somaxconn=s.somaxconn, cookies=s.cookies,
        max_syn_backlog=s.max_syn_backlog, spread=s.spread,
    )  # fmt: skip


def play(act: Act, s: Settings) -> Played:
    """A server that does not accept during the burst, and then does."""
    sysctls = queue_sysctls(s.somaxconn, s.cookies, s.max_syn_backlog)
    return play_burst(
        act, connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog, sysctls=sysctls, spread=s.spread
    )


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The same without cookies; and over three round trips, where later SYNs find the queue full already (rule 3)."""
    without = replace(s, cookies=0 if s.cookies else 1)
    yield from compared(act, __name__, f"tcp_syncookies={without.cookies}", without)
    yield from compared(act, __name__, "over 3 round trips", replace(s, spread=3.0))


REMEDIES = (
    Remedy("listen(fd, 1024)", True, {"backlog": 1024}),
    Remedy("listen(fd, 1024) below a somaxconn of 128", False, {"backlog": 1024, "somaxconn": 128}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=65536", False, {"max_syn_backlog": 65536}),
)
CONTROL = {"connections": 100}
