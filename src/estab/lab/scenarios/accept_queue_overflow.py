"""More connections come within one round trip than the accept queue holds; the client believes to have them all.

B+1 wait in the queue (`include/net/sock.h sk_acceptq_is_full`). With SYN cookies all the others are answered too, and
their final ACK is dropped: ESTABLISHED at the client, nothing at the server: ghosts (`net/ipv4/tcp_minisocks.c
tcp_check_req`, `net/ipv4/tcp_input.c tcp_conn_request`; docs/kernel.md rules 2 to 4 and 16). Without cookies the SYN
queue holds B+1 as well, and the others wait in SYN_SENT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.lab.parts.bursts import both_ends, burst_setup, predict_burst
from estab.lab.parts.figures import queue_sysctls
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario, compared
from estab.lab.parts.settings import (
    MOST,
    Value,
    backlog,
    connections,
    cookies,
    max_syn_backlog,
    rtt,
    setting,
    somaxconn,
)
from estab.lab.stage.running import Running
from estab.lab.stage.setup import Setup


@dataclass(frozen=True, kw_only=True)
class AcceptQueueOverflow(Scenario):
    """A server that does not accept during the burst, and then does."""

    cause = "accept_queue_overflow"
    side = "server"
    symptom = "connect works, then nothing is answered; or connect takes 1, 3, 7 s, or times out"
    seconds = 6.0
    control = {"connections": 100}

    connections: int = connections(400, "clients that connect within one round trip")
    backlog: int = backlog(128)
    somaxconn: int = somaxconn()
    cookies: int = cookies(1)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.01)
    spread: float = setting(0.0, "over how many round trips the SYNs come, evenly; 0 all at once", 0, MOST)

    def predict(self) -> Mapping[str, Figure]:
        """Both ends, once all handshakes are over and before a SYN is sent again."""
        return predict_burst(
            connections=self.connections, rtt_s=self.rtt_s, backlog=self.backlog, somaxconn=self.somaxconn,
            cookies=self.cookies, max_syn_backlog=self.max_syn_backlog, spread=self.spread,
        )  # fmt: skip

    def setup(self) -> Setup:
        """The burst, and the queue."""
        return burst_setup(
            connections=self.connections, rtt_s=self.rtt_s, backlog=self.backlog, spread=self.spread,
            server=queue_sysctls(self.somaxconn, self.cookies, self.max_syn_backlog),
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """Both ends after it."""
        return both_ends(running)

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """Without cookies; and over three round trips, where later SYNs find the queue full already (rule 3)."""
        without = self.but(cookies=0 if self.cookies else 1)
        yield from compared(measure, f"tcp_syncookies={without.cookies}", without)
        yield from compared(measure, "over 3 round trips", self.but(spread=3.0))
