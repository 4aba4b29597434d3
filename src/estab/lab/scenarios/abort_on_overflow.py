"""tcp_abort_on_overflow=1: whose final ACK finds the accept queue full is reset, where he would have waited.

`net/ipv4/tcp_minisocks.c tcp_check_req`: a half-open connection that finds no room is reset and forgotten
(EmbryonicRsts); without the sysctl its ACK is dropped and tried again. SYNs on a full queue, and cookies' ACKs, are
dropped as ever (docs/kernel.md rule 7). It takes a queue that fills while handshakes are under way: two waves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import accept_queue, syn_queue
from estab.lab.parts.figures import failed, known, moved, queue_sysctls
from estab.lab.parts.running_kernel import KERNEL
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, backlog, connections, max_syn_backlog, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class AbortOnOverflow(Scenario):
    """A wave that fills most of the queue of a server that stands still, and a second one."""

    cause = "abort_on_overflow"
    side = "server"
    symptom = "connect works, and the connection is reset by peer a moment later, under bursts only"
    seconds = 7.0
    control = {"connections": 20}

    waiting: int = setting(100, "connections that wait in the queue already", 0, MOST)
    connections: int = connections(129, "clients that connect then, within one round trip")
    backlog: int = backlog(128)
    abort: int = setting(1, "net.ipv4.tcp_abort_on_overflow at the server", 0, 1)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.02)

    def predict(self) -> Mapping[str, Figure]:
        """As many as fit are half-open; the queue lets in what it has room for, and the others of them meet rule 7.

        Who is one too many for the SYN queue holds a cookie: his ACK is the last one, and is dropped as ever.
        """
        limit = accept_queue.granted(self.backlog, 4096)
        room = accept_queue.fits(limit) - self.waiting
        half_open = min(self.connections, known(syn_queue.fits(limit, self.max_syn_backlog, 1, KERNEL)))
        refused = max(0, half_open - room)
        effect = accept_queue.final_ack_refused(self.abort)
        resets = refused if effect.refusal == "reset" else 0
        return {"ECONNRESET": resets, "EmbryonicRsts": effect.counters.get("EmbryonicRsts", 0) * refused}

    def setup(self) -> Setup:
        """The second wave comes together."""
        return Setup(
            load=LoadSpec(connections=self.connections, processes=1, duration_s=0.4, timeout_s=0.8),
            server=queue_sysctls(4096, 1, self.max_syn_backlog, tcp_abort_on_overflow=self.abort),
            rtt_s=self.rtt_s, path=Path(gather=self.connections), backlog=self.backlog, waiting=self.waiting,
            stands_still=True,
        )  # fmt: skip

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """Resets, as both ends count them."""
        return {"ECONNRESET": failed(ran.run, "ECONNRESET"), "EmbryonicRsts": moved(ran.run, "EmbryonicRsts")}
