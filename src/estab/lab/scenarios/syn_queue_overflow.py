"""With cookies off the SYN queue bounds a burst: SYNs over it are dropped before any handshake begins.

`net/ipv4/tcp_input.c tcp_conn_request`: with tcp_syncookies=0 at most min(B+1, M-(M>>2)+1) connections are half-open, M
being tcp_max_syn_backlog; with 1, B+1, then cookies, and M is never asked; with 2, none (docs/kernel.md rules 9 to 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue, syn_queue
from estab.lab.parts.figures import failed, known, queue_sysctls
from estab.lab.parts.running_kernel import KERNEL
from estab.lab.parts.scenario import Figure, FigureRow, Measure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, cookies, max_syn_backlog, rtt, somaxconn
from estab.lab.stage.hosts import PORT
from estab.lab.stage.runner import Ran
from estab.lab.stage.server import ByHand
from estab.lab.stage.setup import LoadSpec, Path, Setup

BEYOND = 200  # hand-made SYNs over those that find room
TABLE = (  # backlog, somaxconn, tcp_max_syn_backlog, tcp_syncookies: the table of docs/kernel.md
    (5, 4096, 2048, 0), (5, 4096, 2048, 1), (5, 4096, 2048, 2), (128, 128, 2048, 0), (128, 128, 2048, 1),
    (128, 128, 128, 0), (128, 4096, 64, 0), (1024, 4096, 128, 0), (1024, 4096, 128, 1), (4096, 4096, 2048, 0),
    (4096, 4096, 2048, 1),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SynQueueOverflow(Scenario):
    """A burst on a server that accepts as fast as it can."""

    cause = "syn_queue_overflow"
    side = "server"
    symptom = "connect takes 1, 3, 7 s or times out under bursts; SYN_RECV stands at a bound"
    seconds = 10.0
    control = {"connections": 90}

    connections: int = connections(400, "clients that connect within one round trip")
    backlog: int = backlog(1024)
    somaxconn: int = somaxconn()
    cookies: int = cookies(0)
    max_syn_backlog: int = max_syn_backlog(128)
    rtt_s: float = rtt(0.05)

    def predict(self) -> Mapping[str, Figure]:
        """Those that found room are answered, the others time out before their second SYN."""
        limit = accept_queue.granted(self.backlog, self.somaxconn)
        flood = known(syn_queue.flood(self.connections, limit, self.max_syn_backlog, self.cookies, KERNEL))
        return {"connected": flood.half_open + flood.cookies, "own_timeout": flood.dropped}

    def setup(self) -> Setup:
        """All SYNs reach the queue at one moment."""
        return Setup(
            load=LoadSpec(connections=self.connections, processes=1, duration_s=0.2, timeout_s=0.8),
            server=queue_sysctls(self.somaxconn, self.cookies, self.max_syn_backlog), rtt_s=self.rtt_s,
            path=Path(gather=self.connections), backlog=self.backlog,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Who connected, and who gave up."""
        return {"connected": ran.run.funnel.connected, "own_timeout": failed(ran.run, "own_timeout")}

    def more(self, measure: Measure) -> Iterator[FigureRow]:
        """SYN_RECV left by hand-made SYNs that nobody will ever complete."""
        for asked, most, syn_backlog, value in TABLE:
            limit = accept_queue.granted(asked, most)
            room = syn_queue.fits(limit, syn_backlog, value, KERNEL)
            syns = (limit + 1 if room is None else room) + BEYOND
            with measure.runner.stage(server=dict(queue_sysctls(most, value, syn_backlog))) as stage:
                stage.serve(ByHand(stage.host, PORT, asked))
                assert stage.wire is not None
                stage.wire.inject(syns)
                stage.quiet(0.02)
                half_open = stage.server_states().get("SYN-RECV", 0)
            what = f"SYN_RECV: listen({asked}), somaxconn {most}, M {syn_backlog}, cookies {value}"
            yield FigureRow(what, room, half_open)
