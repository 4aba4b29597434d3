"""listen(5) takes 6: the 7th connect sends its SYN again and again, and gives up after minutes.

The queue is full when it holds *more* than the backlog (`include/net/sock.h sk_acceptq_is_full`; docs/kernel.md rule
2). The 7th SYN is dropped in silence; it is sent again at 1, 3, 7 … s, or each second at first
(tcp_syn_linear_timeouts, 6.5), until `net/ipv4/tcp_timer.c tcp_write_timeout` gives up (rule 17; the timer wheel rounds
each wait up). Here with few retries; `--full` waits for the default's 127 and 131 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue
from estab.lab.parts.running_kernel import LINEAR, linear_timeouts
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, compared
from estab.lab.parts.settings import Value, backlog, connections, setting, switch
from estab.lab.parts.syn_times import measured_times, predicted_times
from estab.lab.parts.unread import unread
from estab.lab.stage.runner import Ran
from estab.lab.stage.running import Running
from estab.lab.stage.setup import LoadSpec, Setup

WRITTEN = b"x" * 90  # what the clients write, and nobody reads


@dataclass(frozen=True, kw_only=True)
class BacklogPlusOne(Scenario):
    """One connection more than fits, left to the kernel's patience."""

    cause = "server_not_accepting"
    side = "server"
    symptom = "listen(5), 6 connections ESTABLISHED, the 7th in SYN_SENT until connection timed out (110)"
    seconds = 12.0
    control = {"accepts": True}
    full = {"syn_retries": 6}

    backlog: int = backlog(5)
    connections: int = connections(7, "clients that connect")
    syn_retries: int = setting(1, "net.ipv4.tcp_syn_retries at the client; --full takes the default, 6", 1, 127)
    linear: int = setting(0, "net.ipv4.tcp_syn_linear_timeouts at the client; 0 as before Linux 6.5", 0, 255)
    accepts: bool = switch(False, "whether the server calls accept() after all")

    @property
    def expected(self) -> str | None:
        """Where all fit, nobody waits."""
        return super().expected if self.connections > accept_queue.fits(self.backlog) else None

    def predict(self) -> Mapping[str, Figure]:
        """B+1, and the timeline of those over it."""
        room = self.connections if self.accepts else accept_queue.fits(self.backlog)
        waiting = max(0, self.connections - room)
        figures: dict[str, Figure] = {"ESTABLISHED": self.connections - waiting, "SYN_SENT": waiting}
        return figures | (predicted_times(self.syn_retries, self.linear) if waiting else {})

    def setup(self) -> Setup:
        """One by one: within one round trip the 7th would get a cookie.

        On a slow machine the ramp's steps come together: each waits for the one before. Those over B+1 wait for none.
        """
        over = max(1, self.connections - accept_queue.fits(self.backlog))
        load = LoadSpec(
            connections=self.connections, processes=1, duration_s=0.2, timeout_s=0, ramp_per_s=50, in_flight=over
        )  # fmt: skip
        return Setup(
            load=load,
            client=(("net.ipv4.tcp_syn_retries", self.syn_retries), *linear_timeouts(self.linear)),
            rtt_s=0.0, backlog=self.backlog, accepts=self.accepts,
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """Who is in, and who waits."""
        running.arrived()
        states = running.stage.client_states()
        return {"ESTABLISHED": states.get("ESTAB", 0), "SYN_SENT": states.get("SYN-SENT", 0)}

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """When SYNs were sent again and given up."""
        return measured_times(ran.wire.syns, ran.run)

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """What clients wrote and nobody read; and the timeline with today's linear timeouts."""
        fit = min(self.connections, accept_queue.fits(self.backlog))
        left = unread(measure.runner, backlog=self.backlog, connections=fit, written=WRITTEN)
        wanted = ", ".join([str(len(WRITTEN))] * fit)
        yield FigureRow("unread in each Recv-Q (bytes)", wanted, ", ".join(map(str, left)))
        other = self.but(linear=LINEAR)
        times = [what for what in other.predict() if what.endswith("(s)")]
        if other != self and times:
            yield from compared(measure, f"tcp_syn_linear_timeouts={other.linear}", other, times)
