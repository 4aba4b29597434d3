"""Another program of the server's host connects from the very port that the server wants: bind() fails, nobody listens.

connect() takes a local port from ip_local_port_range, whoever means to listen there (`net/ipv4/inet_hashtables.c
__inet_hash_connect`), and bind() then meets it (`net/ipv4/inet_connection_sock.c inet_csk_bind_conflict`). The range is
four ports here, so that it has to be that one. SO_REUSEADDR, which the server sets, does not help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from estab.lab.parts.figures import failed
from estab.lab.parts.scenario import Figure, Scenario
from estab.lab.parts.settings import Value, connections, rtt, switch
from estab.lab.stage.hosts import PORT
from estab.lab.stage.runner import Ran
from estab.lab.stage.scaling import PORT_RANGE
from estab.lab.stage.setup import LoadSpec, Setup

_PORTS = 4


@dataclass(frozen=True, kw_only=True)
class ListenPortTaken(Scenario):
    """Connects to a port that a connection of the server's host has."""

    cause = "listen_port_taken"
    side = "server"
    symptom = "bind: Address already in use, and ss -ltn shows nobody on that port; connection refused"
    seconds = 8.0
    control = {"taken": False}
    no_own_server = "its server is the failure: one that does not get its port"

    connections: int = connections(20, "connections to open")
    taken: bool = switch(True, "whether another program connects from all ports that it may")
    rtt_s: float = rtt(0.005)

    def predict(self) -> Mapping[str, Figure]:
        """All are refused."""
        refused = self.connections if self.taken else 0
        figures = {"connected": self.connections - refused, "refused": refused, "listeners": 0 if self.taken else 1}
        return {**figures, "sockets that have the port": 1} if self.taken else figures

    def setup(self) -> Setup:
        """The server's port is one of the few that connect() takes at its host."""
        load = LoadSpec(connections=self.connections, duration_s=0.2, processes=1)
        ports = ((PORT_RANGE, f"{PORT} {PORT + _PORTS - 1}"),)
        return Setup(load=load, server=ports, rtt_s=self.rtt_s, taken=self.taken)

    def measure(self, ran: Ran) -> Mapping[str, Value]:
        """What the clients met, and what has the port."""
        after = ran.run.server.after
        listeners = after.listeners if after is not None else None
        holders = after.port_holders if after is not None else None
        return {
            "connected": ran.run.funnel.connected,
            "refused": failed(ran.run, "ECONNREFUSED"),
            "listeners": None if listeners is None else len(listeners),
            "sockets that have the port": None if holders is None else len(holders),
        }
