"""More connections come within one round trip than the accept queue holds; the client believes to have them all.

B+1 wait in the queue (`include/net/sock.h sk_acceptq_is_full`). With SYN cookies all the others are answered too, and
their final ACK is dropped: ESTABLISHED at the client, nothing at the server: ghosts (`net/ipv4/tcp_minisocks.c
tcp_check_req`, `net/ipv4/tcp_input.c tcp_conn_request`; docs/kernel.md rules 2 to 4 and 16). Without cookies the SYN
queue holds B+1 as well, and the others wait in SYN_SENT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.lab.parts.bursts import Burst
from estab.lab.parts.scenario import Figure, FigureRow, Measure, compared
from estab.lab.parts.settings import MOST, setting
from estab.lab.stage.setup import Setup


@dataclass(frozen=True, kw_only=True)
class AcceptQueueOverflow(Burst):
    """A server that does not accept during the burst, and then does."""

    cause = "accept_queue_overflow"
    side = "server"
    symptom = "connect works, then nothing is answered; or connect takes 1, 3, 7 s, or times out"
    seconds = 10.0
    control = {"connections": 100}

    spread: float = setting(0.0, "over how many round trips the SYNs come, evenly; 0 all at once", 0, MOST)

    @property
    def _within_s(self) -> float:
        return self.spread * self.rtt_s

    def predict(self) -> Mapping[str, Figure]:
        """Both ends, once all handshakes are over and before a SYN is sent again."""
        return self._predicted(self._within_s)

    def setup(self) -> Setup:
        """The burst, or as many clients evenly over a while."""
        setup = super().setup()
        if not self._within_s:
            return setup
        return setup.with_path(gather=0).with_load(ramp_per_s=self.connections / self._within_s)

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """Without cookies; and over three round trips, where later SYNs find the queue full already (rule 3)."""
        without = self.but(cookies=0 if self.cookies else 1)
        yield from compared(measure, f"tcp_syncookies={without.cookies}", without)
        yield from compared(measure, "over 3 round trips", self.but(spread=3.0))
