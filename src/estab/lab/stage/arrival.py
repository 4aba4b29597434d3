"""When what a client calls connected has come to the server: not before its last ACK has crossed the wire."""

from __future__ import annotations

import time
from collections.abc import Callable

from estab.errors import EstabError
from estab.lab.process.namespace import LabNamespace
from estab.observe.sock_diag import SockDiag

SILENT_S = 0.06
_LONGEST_S = 0.2  # a wire that carries requests is never silent


class SilentWire:
    """Whether a wire has carried nothing for so long; ask again and again. `carried`: what moves while it does."""

    def __init__(self, carried: Callable[[], int], for_s: float) -> None:
        self._carried, self._for_s = carried, for_s
        self._last, self._since = -1, 0.0

    def fallen(self) -> bool:
        """Whether it has been silent for that long by now."""
        carried = self._carried()
        if carried != self._last:
            self._last, self._since = carried, time.monotonic()
        return time.monotonic() - self._since >= self._for_s


def arrival(
    client: LabNamespace, server: LabNamespace, target: tuple[str, int], carried: Callable[[], int], rtt_s: float
) -> None:
    """Returns once the server has every connection that the client has, or nothing more that brings one is under way.

    A client is connected when it sends its last ACK: half a round trip before the server is, and longer on a busy
    machine. What the server lacks once the wire is silent, it lacks for good: these are ghosts.
    """
    silence = SilentWire(carried, SILENT_S + rtt_s / 2)
    deadline = time.monotonic() + _LONGEST_S + rtt_s
    while not _all_there(client, server, target) and not silence.fallen() and time.monotonic() < deadline:
        time.sleep(0.005)


def _all_there(client: LabNamespace, server: LabNamespace, target: tuple[str, int]) -> bool:
    try:
        with client.entered(), SockDiag() as diag:
            held = diag.established_toward(*target)
        with server.entered(), SockDiag() as diag:
            return held <= diag.established_at(target[1])
    except EstabError:  # the sockets changed while they were listed
        return False
