"""What several scenarios run: a burst of connects on a server that does not accept, and both ends after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.kernel.rules import burst
from estab.lab.parts.figures import predicted_burst, queue_sysctls
from estab.lab.parts.running_kernel import LINEAR
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, backlog, connections, cookies, max_syn_backlog, rtt, somaxconn
from estab.lab.stage.running import Running
from estab.lab.stage.setup import LoadSpec, Path, Setup


@dataclass(frozen=True, kw_only=True)
class Burst(Scenario):
    """All connect within one round trip, on a server that stands still until both ends have been counted."""

    connections: int = connections(400, "clients that connect within one round trip")
    backlog: int = backlog(128)
    somaxconn: int = somaxconn()
    cookies: int = cookies(1)
    max_syn_backlog: int = max_syn_backlog()
    rtt_s: float = rtt(0.01)

    def predict(self) -> Mapping[str, Figure]:
        """Both ends, once all handshakes are over and before a SYN is sent again."""
        return self._predicted(within_s=0.0)

    def _predicted(self, within_s: float) -> dict[str, Figure]:
        """Of SYNs that come within so many seconds; from one round trip on the rule gives intervals."""
        clients = burst.Clients(
            connects=self.connections, within_s=within_s, rtt_s=self.rtt_s, tcp_syn_linear_timeouts=LINEAR
        )  # fmt: skip
        ends = predicted_burst(
            clients, None, backlog=self.backlog, somaxconn=self.somaxconn, cookies=self.cookies,
            max_syn_backlog=self.max_syn_backlog,
        )  # fmt: skip
        return {
            "server ESTABLISHED": ends.established,
            "server SYN_RECV": ends.half_open,
            "client ESTABLISHED": ends.connected,
            "client SYN_SENT": ends.waiting,
            "ghosts": ends.ghosts,
        }

    def setup(self) -> Setup:
        """The burst, and the queue."""
        load = LoadSpec(
            connections=self.connections, in_flight=self.connections, processes=1, duration_s=0.3, timeout_s=0.8
        )  # fmt: skip
        return Setup(
            load=load, server=queue_sysctls(self.somaxconn, self.cookies, self.max_syn_backlog), rtt_s=self.rtt_s,
            path=Path(gather=self.connections), backlog=self.backlog, stands_still=True,
        )  # fmt: skip

    def look(self, running: Running) -> Mapping[str, Value]:
        """Both ends, once the burst has arrived."""
        running.arrived()
        client, server = running.stage.client_states(), running.stage.server_states()
        established, known = client.get("ESTAB", 0), server.get("ESTAB", 0)
        return {
            "server ESTABLISHED": known,
            "server SYN_RECV": server.get("SYN-RECV", 0),
            "client ESTABLISHED": established,
            "client SYN_SENT": client.get("SYN-SENT", 0),
            "ghosts": established - known,
        }
