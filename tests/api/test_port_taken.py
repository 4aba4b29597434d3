"""Who has a port on which nothing listens is said to who wants a listener there."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from tests import namespaces

import estab
from estab.load.serving import Service
from estab.observe import snapshot
from estab.records import PortHolder

PORT = 4700
pytestmark = pytest.mark.namespace


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Of the four ports that connect() may take here all are taken."""
    namespaces.sysctl("net.ipv4.ip_local_port_range", f"{PORT} {PORT + 3}")
    with contextlib.ExitStack() as kept:
        kept.enter_context(socket.create_server(("127.0.0.1", 443)))
        for _ in range(4):
            kept.enter_context(socket.create_connection(("127.0.0.1", 443)))
        yield


def holders(port: int) -> list[PortHolder] | None:
    return snapshot.take(port=port).port_holders


def test_a_connection_from_the_port() -> None:
    def play() -> tuple[str, str, list[PortHolder] | None]:
        with taken():
            with pytest.raises(estab.MachineError) as served:
                estab.serve(Service("echo", port=PORT), duration_s=0.1)
            with pytest.raises(estab.UsageError) as asked:
                estab.limits(listen=f":{PORT}")
            return str(served.value), str(asked.value), holders(PORT)

    served, asked, seen = namespaces.in_namespace(play)
    told = "a connection of "
    assert served.startswith(f"can't listen on port {PORT}: Address already in use. Nothing listens there, and {told}")
    assert asked.startswith(f"nothing listens on :{PORT} in this network namespace, and {told}")
    assert seen is not None
    assert [(each.state, each.address, each.peer_address, each.peer_port) for each in seen] == [
        ("ESTAB", "127.0.0.1", "127.0.0.1", 443)
    ]


def test_a_listener_has_it() -> None:
    def play() -> tuple[str, list[PortHolder] | None]:
        with socket.create_server(("127.0.0.1", PORT)):
            with pytest.raises(estab.MachineError) as served:
                estab.serve(Service("echo", port=PORT), duration_s=0.1)
            return str(served.value), holders(PORT)

    served, seen = namespaces.in_namespace(play)
    assert "`ss -ltnp` shows it" in served
    assert seen is None


def test_a_port_that_nobody_has() -> None:
    def play() -> tuple[str, list[PortHolder] | None]:
        with pytest.raises(estab.UsageError) as asked:
            estab.limits(listen=f":{PORT}")
        return str(asked.value), holders(PORT)

    asked, seen = namespaces.in_namespace(play)
    assert asked == f"nothing listens on :{PORT} in this network namespace; `ss -ltnp` shows what does"
    assert seen == []
