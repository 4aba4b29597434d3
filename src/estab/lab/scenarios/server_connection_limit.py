"""The program keeps so many connections and closes at once what it accepts beyond: a limit that no kernel has.

accept() succeeds (`net/socket.c do_accept`), so that PassiveOpens counts all and no queue fills; then the program
closes, and the client reads the end. As redis (`maxclients`), Node (`maxConnections`) and memcached (`-c`) do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed, moved
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import MOST, Value, backlog, connections, duration, rtt, setting
from estab.lab.stage.runner import Ran
from estab.lab.stage.setup import LoadSpec, Setup


@dataclass(frozen=True, kw_only=True)
class ServerConnectionLimit(Scenario):
    """More connections than the program keeps, all of them idle."""

    cause = "server_connection_limit"
    side = "server"
    symptom = "connects, then EOF or connection reset at once; max number of clients reached; the first N work"
    seconds = 13.0
    waits = True
    control = {"most": 200}
    no_own_server = "its server is the failure: a program with a limit of its own"

    connections: int = connections(120, "connections to hold")
    most: int = setting(40, "connections that the program keeps at once", 1, MOST)
    backlog: int = backlog(256)
    rtt_s: float = rtt(0.005)
    held_s: float = duration(1.6, "how long they are held; what is old or idle would go on ending within a second")

    def predict(self) -> Mapping[str, Figure]:
        """All are accepted, and as many as fit stay."""
        stay = min(self.most, self.connections)
        return {
            "connected": self.connections,
            "PassiveOpens": self.connections,
            "held to the end": stay,
            "closed by the server": self.connections - stay,
            "ListenOverflows": 0,
        }

    def setup(self) -> Setup:
        """Idle connections, and a program that has enough of them."""
        load = LoadSpec(connections=self.connections, duration_s=self.held_s, processes=1)
        return Setup(load=load, rtt_s=self.rtt_s, backlog=self.backlog, closes=("over", self.most))

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients and the server's kernel saw of it."""
        run = ran.run
        return {
            "connected": run.funnel.connected,
            "PassiveOpens": run.server.rose("Tcp.PassiveOpens"),
            "held to the end": run.funnel.completed,
            "closed by the server": failed(run, "eof"),
            "ListenOverflows": moved(run, "ListenOverflows"),
        }
