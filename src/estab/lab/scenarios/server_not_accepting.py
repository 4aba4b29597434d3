"""A server that listens and never accepts: B+1 connections wait, the client believes in more, and nothing is answered.

The accept queue fills and is never emptied (`net/ipv4/inet_connection_sock.c inet_csk_accept` takes from it). The
figures are those of `accept_queue_overflow`, for a queue that nobody empties overflows whatever its length
(docs/kernel.md rules 2 to 4 and 16). A longer backlog lets more wait, no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from estab.lab.parts.bursts import Burst
from estab.lab.parts.settings import duration, switch
from estab.lab.stage.setup import Setup


@dataclass(frozen=True, kw_only=True)
class ServerNotAccepting(Burst):
    """A listener, a burst, and no accept()."""

    cause = "server_not_accepting"
    side = "server"
    symptom = "connect works, requests are never answered; ss shows Recv-Q of the listener rise and never fall"
    seconds = 12.0
    control = {"accepts": True, "connections": 100}

    held_s: float = duration(2.0, "how long the connections are held; below a second it may be a pause")
    accepts: bool = switch(False, "whether the server calls accept() after all")

    def setup(self) -> Setup:
        """The burst, and who never comes for it; held for so long that it is no pause."""
        setup = super().setup().with_load(duration_s=self.held_s)
        return replace(setup, accepts=self.accepts, stands_still=self.accepts)
