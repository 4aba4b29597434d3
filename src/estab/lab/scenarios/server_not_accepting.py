"""A server that listens and never accepts: B+1 connections wait, the client believes in more, and nothing is answered.

The accept queue fills and is never emptied (`net/ipv4/inet_connection_sock.c inet_csk_accept` takes from it). The
figures are those of `accept_queue_overflow`, for a queue that nobody empties overflows whatever its length: report 000
met this with 129 and 259 on a 4.4 kernel (docs/kernel.md rules 2 to 4 and 16). A longer backlog lets more wait, no
more.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.lab.parts.bursts import play_burst, predict_burst
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting

CAUSE = "server_not_accepting"
SIDE = "server"
SYMPTOM = "connect works, requests are never answered; ss shows Recv-Q of the listener rise and never fall"
SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(400, "clients that connect within one round trip")
    backlog: int = setting(128, "what listen() is asked for")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    cookies: int = setting(1, "net.ipv4.tcp_syncookies at the server")
    max_syn_backlog: int = setting(2048, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.01, "round-trip time")
    accepts: bool = setting(False, "whether the server calls accept() after all")


def predict(s: Settings) -> dict[str, Figure]:
    """Both ends, once all handshakes are over and before a SYN is sent again."""
    return predict_burst(
        connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog, somaxconn=s.somaxconn, cookies=s.cookies,
        max_syn_backlog=s.max_syn_backlog,
    )  # fmt: skip


def play(act: Act, s: Settings) -> Played:
    """A listener, a burst, and no accept()."""
    sysctls = queue_sysctls(s.somaxconn, s.cookies, s.max_syn_backlog)
    return play_burst(
        act, connections=s.connections, rtt_s=s.rtt_s, backlog=s.backlog, sysctls=sysctls, resumes=s.accepts
    )


REMEDIES = (
    Remedy("a bigger backlog: listen(fd, 1024)", False, {"backlog": 1024}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=65536", False, {"max_syn_backlog": 65536}),
    Remedy("a server that calls accept(), and has the room meanwhile", True, {"accepts": True, "backlog": 1024}),
)
CONTROL = {"accepts": True, "connections": 100}
