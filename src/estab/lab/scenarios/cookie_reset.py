"""Connections that were never accepted break at once: ECONNRESET, then "broken pipe".

A connection that waits in a full accept queue gives no error on write. With SYN cookies it does: when the SYN queue is
full the SYN is answered by a cookie and the server keeps no state. The final ACK finds the accept queue full and is
dropped. The first data segment still carries the valid cookie (seq = ISN+1); **the second one's seq differs, the cookie
check fails, and the listener answers RST** (`net/ipv4/syncookies.c cookie_v4_check`, `net/ipv4/tcp_ipv4.c
tcp_v4_do_rcv`; docs/kernel.md rules 13 to 16). One write over the MSS is two segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules import burst
from estab.kernel.rules.interval import Interval
from estab.lab.parts.figures import failed, moved, predicted_burst, queue_sysctls, segments
from estab.lab.parts.running_kernel import LINEAR
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, compared
from estab.lab.parts.settings import (
    Value,
    backlog,
    connections,
    cookies,
    duration,
    max_syn_backlog,
    rtt,
    setting,
    somaxconn,
)  # fmt: skip
from estab.lab.stage.runner import Ran
from estab.lab.stage.running import BURST_WITHIN_S
from estab.lab.stage.setup import LoadSpec, Path, Setup

TIMEOUT_S = 5.0  # the clients'
NOTE = (
    "A connection in the accept queue can be written to. These were never in it: the server answered their SYN by a "
    "cookie and forgot it, and the second segment betrayed that."
)


@dataclass(frozen=True, kw_only=True)
class CookieReset(Scenario):
    """A server that stands still for a moment, and a burst of clients that write at once."""

    cause = "cookie_reset"
    side = "server"
    symptom = "connect works, then write: connection reset by peer, broken pipe; read: EOF"
    seconds = 13.0
    control = {"connections": 100}

    connections: int = connections(400, "clients that connect at once and write one request each")
    size: int = setting(2000, "bytes of the request; over 1,448 it is two segments", 1, 16 << 20)
    backlog: int = backlog(128)
    somaxconn: int = somaxconn()
    cookies: int = cookies(1)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.01)
    pause_s: float = duration(0.3, "how long the server does not accept after the burst")

    def predict(self) -> Mapping[str, Figure]:
        """Served and reset, by following each packet until the clients' patience ends."""
        ends = self._ends(self.pause_s)
        reset, served = ends.errors["ECONNRESET"], ends.accepted
        if not self.cookies:
            # SYNs that are sent again come less close together than the burst, so that more find room; and a slow
            # machine makes the pause longer: SYNs that are sent again meet it then.
            least = min(served.low, self._ends(self.pause_s + BURST_WITHIN_S).accepted.low)
            served = Interval(low=least, high=self.connections)
        figures: dict[str, Figure] = {"served": served, "reset": reset, "SyncookiesFailed": reset}
        if reset.low:
            figures |= {"served + reset": self.connections, "first errors": "ECONNRESET, EPIPE, eof"}
            figures["SyncookiesFailed"] = Interval(low=reset.low, high=None)
        return figures

    def _ends(self, pause_s: float) -> burst.Prediction:
        clients = burst.Clients(
            connects=self.connections, within_s=0, rtt_s=self.rtt_s, segment_bytes=segments(self.size),
            tcp_syn_linear_timeouts=LINEAR, timeout_s=TIMEOUT_S,
        )  # fmt: skip
        return predicted_burst(
            clients, max(TIMEOUT_S, pause_s), backlog=self.backlog, somaxconn=self.somaxconn, cookies=self.cookies,
            max_syn_backlog=self.max_syn_backlog, accepts_from_s=pause_s, accepts_per_s=None,
        )  # fmt: skip

    def setup(self) -> Setup:
        """One request each, written at once."""
        load = LoadSpec(
            command="churn", connections=self.connections, attempts=self.connections, size_bytes=self.size, processes=1,
            duration_s=20, timeout_s=TIMEOUT_S,
        )  # fmt: skip
        return Setup(
            load=load, server=queue_sysctls(self.somaxconn, self.cookies, self.max_syn_backlog), rtt_s=self.rtt_s,
            path=Path(gather=self.connections), backlog=self.backlog, pauses=((0.0, self.pause_s),),
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """How many were served, how many reset, and in which order the errors came."""
        run, reset = ran.run, failed(ran.run, "ECONNRESET", "EPIPE", "eof")
        return {
            "served": run.funnel.first_byte,
            "reset": reset,
            "served + reset": run.funnel.first_byte + reset,
            "SyncookiesFailed": moved(run, "SyncookiesFailed"),
            "first errors": ", ".join(run.error_orders[0].order if run.error_orders else []),
        }

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """The other two values of tcp_syncookies."""
        for value in {0, 1, 2} - {self.cookies}:
            yield from compared(measure, f"tcp_syncookies={value}", self.but(cookies=value), ("served", "reset"))

    def notes(self, *, own_server: bool) -> tuple[str, ...]:
        """Why a connection that nobody accepted can break."""
        return (NOTE,)
