"""Connections that were never accepted break at once: ECONNRESET, then "broken pipe". The mystery of report 000.

A connection that waits in a full accept queue gives no error on write. With SYN cookies it does: when the SYN queue is
full the SYN is answered by a cookie and the server keeps no state. The final ACK finds the accept queue full and is
dropped. The first data segment still carries the valid cookie (seq = ISN+1); **the second one's seq differs, the cookie
check fails, and the listener answers RST** (`net/ipv4/syncookies.c cookie_v4_check`, `net/ipv4/tcp_ipv4.c
tcp_v4_do_rcv`; docs/kernel.md rules 13 to 16). One write over the MSS is two segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.kernel.rules.interval import Interval
from estab.lab.parts.bursts import play_requests, predict_requests
from estab.lab.parts.figures import none_failed, queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, Row, compared, setting

CAUSE = "cookie_reset"
SIDE = "server"
SYMPTOM = "connect works, then write: connection reset by peer, broken pipe; read: EOF"
SECONDS = 7.0
NOTE = (
    "A connection in the accept queue can be written to. These were never in it: the server answered their SYN by a "
    "cookie and forgot it, and the second segment betrayed that."
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    connections: int = setting(400, "clients that connect at once and write one request each")
    size: int = setting(2000, "bytes of the request; over 1,448 it is two segments")
    backlog: int = setting(128, "what listen() is asked for")
    somaxconn: int = setting(4096, "net.core.somaxconn at the server")
    cookies: int = setting(1, "net.ipv4.tcp_syncookies at the server")
    max_syn_backlog: int = setting(2048, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.01, "round-trip time")
    pause_s: float = setting(0.3, "how long the server does not accept after the burst")


def predict(s: Settings) -> dict[str, Figure]:
    """Served and reset, by following each packet."""
    found = predict_requests(
        connections=s.connections, size=s.size, rtt_s=s.rtt_s, pause_s=s.pause_s, backlog=s.backlog,
        somaxconn=s.somaxconn, cookies=s.cookies, max_syn_backlog=s.max_syn_backlog,
    )  # fmt: skip
    reset = found.errors["ECONNRESET"]
    figures: dict[str, Figure] = {"served": found.accepted, "reset": reset, "SyncookiesFailed": reset}
    if reset.low:
        figures |= {"served + reset": s.connections, "first errors": "ECONNRESET, EPIPE, eof"}
        figures["SyncookiesFailed"] = Interval(low=reset.low, high=None)
    return figures


def play(act: Act, s: Settings) -> Played:
    """A server that pauses, and a burst of clients that write at once."""
    sysctls = queue_sysctls(s.somaxconn, s.cookies, s.max_syn_backlog)
    played = play_requests(
        act, connections=s.connections, size=s.size, rtt_s=s.rtt_s, pause_s=s.pause_s, backlog=s.backlog,
        sysctls=sysctls,
    )  # fmt: skip
    return replace(played, notes=(NOTE,))


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The other two values of tcp_syncookies."""
    for cookies in {0, 1, 2} - {s.cookies}:
        other = replace(s, cookies=cookies)
        yield from compared(act, __name__, f"tcp_syncookies={cookies}", other, ("served", "reset"))


mended = none_failed  # without cookies clients wait in SYN_SENT, and all are served
REMEDIES = (
    Remedy("listen(fd, 1024)", True, {"backlog": 1024}),
    Remedy("sysctl -w net.ipv4.tcp_syncookies=0", True, {"cookies": 0}),
    Remedy("sysctl -w net.ipv4.tcp_syncookies=2", False, {"cookies": 2}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=65536", False, {"max_syn_backlog": 65536}),
)
CONTROL = {"connections": 100}
