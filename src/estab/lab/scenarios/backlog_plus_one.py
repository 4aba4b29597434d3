"""listen(5) takes 6: the 7th connect sends its SYN again and again, and gives up after minutes.

The queue is full when it holds *more* than the backlog (`include/net/sock.h sk_acceptq_is_full`; docs/kernel.md rule
2). The 7th SYN is dropped in silence; it is sent again at 1, 3, 7 … s, or each second at first
(tcp_syn_linear_timeouts, 6.5), until `net/ipv4/tcp_timer.c tcp_write_timeout` gives up (rule 17; the timer wheel rounds
each wait up). Here with few retries; `--full` waits for the default's 127 and 131 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import accept_queue, syn_retries
from estab.lab.parts.figures import none_failed
from estab.lab.parts.scenario import KERNEL, Act, Figure, Played, Remedy, Row, compared, setting
from estab.lab.parts.syn_times import measured_times, predicted_times
from estab.lab.parts.unread import unread
from estab.lab.stage.stage import until

CAUSE = "server_not_accepting"
SIDE = "server"
SYMPTOM = "listen(5), 6 connections ESTABLISHED, the 7th in SYN_SENT until connection timed out (110)"
SECONDS = 9.0
WRITTEN = b"x" * 90  # what the clients of report 002 write


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    backlog: int = setting(5, "what listen() is asked for")
    connections: int = setting(7, "clients that connect")
    syn_retries: int = setting(1, "net.ipv4.tcp_syn_retries at the client; --full takes the default, 6")
    linear: int = setting(0, "net.ipv4.tcp_syn_linear_timeouts at the client; 0 as before Linux 6.5")
    accepts: bool = setting(False, "whether the server calls accept() after all")


def predict(s: Settings) -> dict[str, Figure]:
    """B+1, and the timeline of those over it."""
    room = s.connections if s.accepts else accept_queue.fits(s.backlog)
    figures: dict[str, Figure] = {"ESTABLISHED": min(s.connections, room), "SYN_SENT": max(0, s.connections - room)}
    return figures | (predicted_times(s.syn_retries, s.linear) if s.connections > room else {})


def play(act: Act, s: Settings) -> Played:
    """One connection more than fits, left to the kernel's patience."""
    client = {"net.ipv4.tcp_syn_retries": s.syn_retries, "net.ipv4.tcp_syn_linear_timeouts": s.linear}
    with act.stage(client=client) as stage:
        server = stage.serve(backlog=s.backlog, kind="echo" if s.accepts else "stall")
        load = stage.load(
            lambda progress: hold(
                stage.target, connections=s.connections, options=LoadOptions(processes=1, timeout_s=0), duration_s=0.2,
                ramp_per_s=100,  # one by one: within one round trip the 7th would get a cookie
                progress=progress,
            )
        )  # fmt: skip
        until(lambda: len(stage.wire_report().syns) >= s.connections, 20, "all SYNs came to the wire")
        stage.quiet()
        states = stage.client_states()
        run = stage.finish(server, load)
        syns = stage.wire_report().syns
    held = {"ESTABLISHED": states.get("ESTAB", 0), "SYN_SENT": states.get("SYN-SENT", 0)}
    return Played(run, held | measured_times(syns, run))


def more(act: Act, s: Settings) -> Iterator[Row]:
    """What clients wrote and nobody read; and the timeline with today's linear timeouts."""
    fit = min(s.connections, accept_queue.fits(s.backlog))
    found = unread(act, backlog=s.backlog, connections=fit, written=WRITTEN)
    yield Row("unread in each Recv-Q (bytes)", ", ".join([str(len(WRITTEN))] * fit), ", ".join(map(str, found)))
    other = replace(s, linear=syn_retries.default_linear_timeouts(KERNEL))
    if other != s:
        times = tuple(predicted_times(other.syn_retries, other.linear))
        yield from compared(act, __name__, f"tcp_syn_linear_timeouts={other.linear}", other, times)


mended = none_failed  # a queue that nobody empties is another matter
REMEDIES = (
    Remedy("listen(fd, 6)", True, {"backlog": 6}),
    Remedy("sysctl -w net.ipv4.tcp_syn_linear_timeouts=4: more tries, sooner", False, {"linear": 4}),
)
CONTROL = {"accepts": True}
FULL = {"syn_retries": 6}
