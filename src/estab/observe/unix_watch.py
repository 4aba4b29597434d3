"""What a run over a UNIX socket sees of the kernel: its queue and who holds it; no port, no packet, no counter.

Source: docs/kernel.md rule 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from estab.errors import EstabError
from estab.kernel.formats.endpoint import is_unix
from estab.observe import snapshot
from estab.observe.sock_diag import ClientEnd
from estab.observe.watch import Watch
from estab.records import Listener, ServerSockets, Snapshot


def watch_of(
    host: str,
    port: int,
    *,
    client_pids: Sequence[int] = (),
    server_pids: Sequence[int] | None = None,
    server_via: str | None = None,
) -> Watch:
    """What watches a target, whichever it is: `host` is a literal address, or `unix:/path` with port 0."""
    kind = UnixWatch if is_unix(host) else Watch
    beside = server_pids is None and not is_unix(host)  # our own server asks nobody
    return kind(host, port, client_pids=client_pids, server_pids=server_pids, server_via=server_via, unix_too=beside)


class UnixWatch(Watch):
    """Watches a UNIX socket of this network namespace through a run, as `Watch` does a port.

    Nothing is set against the client's end: a connect() that succeeded is in the queue, or was accepted.
    """

    def _literal(self, host: str) -> str:
        return host

    @property
    def _where(self) -> str:
        return self._host

    def _listeners(self) -> list[Listener] | None:
        if self._diag is None:
            return None
        try:
            return self._diag.unix_listeners(self._address)
        except EstabError:
            return None

    def _counted(self) -> dict[str, int | None]:
        return {}

    def _time_wait(self) -> int | None:
        return None

    def _look_at_ports(self, *, packed: bool = False) -> ClientEnd | None:
        del packed
        return None

    def _look_at_server(self) -> ServerSockets | None:
        if self._diag is None:
            return None
        with suppress(EstabError):
            sockets = self._diag.unix_server_sockets(self._address)
            self._note_server(sockets)
            return sockets
        return None

    def _look_at_ends(self) -> tuple[bytes | None, bytes | None]:
        if (sockets := self._look_at_server()) is not None:
            self._queue.settled(sockets)
        return None, None

    def _snapshot(self) -> Snapshot:
        owner_pids = list(self._server.pids) if self._embedded else None
        taken = snapshot.take(unix=self._address, diag=self._diag, owner_pids=owner_pids)
        self._note_owners(taken.unix_listeners or ())
        return taken
