"""listen(5) takes 6: the 7th connect sends its SYN again and again, and gives up after minutes.

The queue is full when it holds *more* than the backlog (`include/net/sock.h sk_acceptq_is_full`; KERNEL.md rule 2). The
7th SYN is dropped in silence; it is sent again at 1, 3, 7 … s, or each second at first (tcp_syn_linear_timeouts, 6.5),
until `net/ipv4/tcp_timer.c tcp_write_timeout` gives up (rule 17; the timer wheel rounds each wait up). Here with few
retries; `--full` waits for the default's 127 and 131 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from estab.api.hold import hold
from estab.kernel.rules import accept_queue, syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.figures import failed
from estab.lab.scenario import KERNEL, Act, Figure, Played, Remedy, Row, setting, this
from estab.lab.stage import until

CAUSE = "server_not_accepting"
SIDE = "server"
SYMPTOM = "listen(5), 6 connections ESTABLISHED, the 7th in SYN_SENT until connection timed out (110)"
SECONDS = 9.0
LOAD_S = 0.25  # what a busy machine may add to a time that the kernel's timer wheel already rounded


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
    return figures | (_timeline(s) if s.connections > room else {})


def _timeline(s: Settings) -> dict[str, Figure]:
    line = syn_retries.timeline(s.syn_retries, s.linear, kernel=KERNEL)
    figures: dict[str, Figure] = {
        f"SYN {number} after (s)": _loaded(between) for number, between in enumerate(line.retransmits_between_s, 2)
    }
    return figures | {"ETIMEDOUT after (s)": _loaded(line.gives_up_between_s)}


def _loaded(between: Interval) -> Interval:
    return Interval(low=between.low - 0.01, high=(between.high or between.low) + LOAD_S)


def play(act: Act, s: Settings) -> Played:
    """One connection more than fits, left to the kernel's patience."""
    client = {"net.ipv4.tcp_syn_retries": s.syn_retries, "net.ipv4.tcp_syn_linear_timeouts": s.linear}
    with act.stage(client=client) as stage:
        server = stage.serve(backlog=s.backlog, kind="echo" if s.accepts else "stall")
        load = stage.load(
            lambda progress: hold(
                stage.target, connections=s.connections, workers=1, duration_s=0.2, timeout_s=0,
                ramp_per_s=100,  # one by one: within one round trip the 7th would get a cookie
                progress=progress,
            )
        )  # fmt: skip
        until(lambda: len(stage.wire_report().syns) >= s.connections, 5, "all SYNs came to the wire")
        stage.quiet()
        states = stage.client_states()
        run = stage.finish(server, load)
        syns = stage.wire_report().syns
    measured: dict[str, int | float | str | bool | None] = {
        "ESTABLISHED": states.get("ESTAB", 0), "SYN_SENT": states.get("SYN-SENT", 0)
    }  # fmt: skip
    port = Counter(one.source_port for one in syns).most_common(1)[0][0]
    times = [one.at_s for one in syns if one.source_port == port]
    measured |= {f"SYN {number} after (s)": at - times[0] for number, at in enumerate(times[1:], 2)}
    gave_up = [one.first_s for one in run.failures if one.errno == "ETIMEDOUT"]
    measured["ETIMEDOUT after (s)"] = gave_up[0] if failed(run, "ETIMEDOUT") else None
    return Played(run, measured)


def mended(played: Played) -> bool:
    """Whether every connect succeeded: a queue that nobody empties is another matter."""
    return played.run is not None and not played.run.failures


def more(act: Act, s: Settings) -> Iterator[Row]:
    """The same with today's linear timeouts."""
    other = replace(s, linear=syn_retries.default_linear_timeouts(KERNEL))
    if other == s:
        return
    measured = act.again(this(__name__), other).measured
    for what, figure in _timeline(other).items():
        yield Row(f"tcp_syn_linear_timeouts={other.linear}: {what}", figure, measured.get(what))


REMEDIES = (
    Remedy("listen(fd, 6)", True, {"backlog": 6}),
    Remedy("sysctl -w net.ipv4.tcp_syn_linear_timeouts=4: more tries, sooner", False, {"linear": 4}),
)
CONTROL = {"accepts": True}
FULL = {"syn_retries": 6}
