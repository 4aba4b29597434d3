from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import inet_diag
from estab.observe import ghosts
from estab.observe.sock_diag import ServerEnd, SockDiag
from estab.observe.watch import Watch
from estab.records import Tuple4

TARGET = ("127.0.0.1", 8001)
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
PORTS = st.integers(0, 65535)


def packed(number: int) -> bytes:
    one = Tuple4(local_address="10.0.0.1", local_port=80, remote_address="10.0.0.2", remote_port=number)
    return inet_diag.pack_connection(one)


def test_what_the_server_lacks() -> None:
    client, server = {packed(n) for n in range(1, 101)}, {packed(n) for n in range(51, 201)}
    matched = ghosts.match(client, server)
    assert (matched.count, matched.client_established, matched.server_established) == (50, 100, 150)
    assert len(matched.examples) == ghosts.MOST_EXAMPLES
    assert matched.examples[0] == Tuple4(
        local_address="10.0.0.2", local_port=1, remote_address="10.0.0.1", remote_port=80
    )


def test_connections_of_before_the_run_are_not_its_own() -> None:
    client, server = b"".join(map(packed, range(1, 101))), b"".join(map(packed, range(51, 201)))
    matched = ghosts.match_packed(client, server, older=b"".join(map(packed, range(41, 61))))
    assert matched is not None
    assert (matched.count, matched.client_established, matched.server_established) == (40, 80, 150)
    assert ghosts.match_packed(packed(1), packed(2), older=packed(1)) is None  # all are rewritten on the way


def test_a_server_that_has_none_is_no_rewriting_where_its_listener_turned_some_away() -> None:
    assert ghosts.match_packed(packed(1), b"") is None
    matched = ghosts.match_packed(packed(1), b"", turned_away=True)
    assert matched is not None
    assert (matched.count, matched.client_established, matched.server_established) == (1, 1, 0)
    assert ghosts.match_packed(packed(1), packed(2), turned_away=True) is None


@pytest.mark.namespace
def test_a_run_beside_older_connections() -> None:
    with (
        socket.create_server(TARGET, backlog=9),
        socket.create_connection(TARGET),
        contextlib.closing(Watch(*TARGET)) as watch,
    ):
        watch.start()
        with socket.create_connection(TARGET), socket.create_connection(TARGET):
            watch.settled()
        found = watch.finish().ghosts
    assert found is not None
    assert (found.count, found.client_established, found.server_established) == (0, 2, 3)


def test_ends_that_cannot_be_matched() -> None:
    assert ghosts.match_packed(b"", packed(1)) is not None
    assert ghosts.match_packed(packed(1) + packed(2), packed(1)) is not None
    assert ghosts.match_packed(packed(1), packed(2)) is None
    assert ghosts.match_packed(packed(1), b"") is None


CONNECTIONS = st.lists(st.integers(1, 40).map(packed), max_size=30)


@given(client=CONNECTIONS, server=CONNECTIONS)
def test_packed_as_in_sets(client: list[bytes], server: list[bytes]) -> None:
    """A dump can list a connection twice: it counts once."""
    held, at_server = frozenset(client), frozenset(server)
    matched = ghosts.match_packed(b"".join(client), b"".join(server))
    assert matched == (ghosts.match(held, at_server) if not held or held & at_server else None)
    both = ghosts.at_both(b"".join(client), b"".join(server))
    assert both == b"".join(dict.fromkeys(one for one in client if one in at_server))


@pytest.mark.namespace
@pytest.mark.parametrize("ends", [True, False])
def test_what_the_server_lacked_is_looked_at_again(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """First the server is asked once more, then the client: what has ended by then is no ghost."""
    whole, looks = SockDiag.server_end, 0
    with socket.create_server(TARGET, backlog=9), contextlib.closing(Watch(*TARGET)) as watch:
        watch.start()
        with socket.create_connection(TARGET), socket.create_connection(TARGET) as unseen:
            port = unseen.getsockname()[1].to_bytes(2, "big")

            def without(diag: SockDiag, of_server: int, *, packed: bool = True) -> ServerEnd:
                nonlocal looks
                looks += 1
                if ends and looks == 2:
                    unseen.close()
                seen = whole(diag, of_server, packed=packed)
                connections = (seen.held[at : at + 36] for at in range(0, len(seen.held), 36))
                return seen._replace(
                    held=b"".join(connection for connection in connections if connection[32:34] != port)
                )

            monkeypatch.setattr(SockDiag, "server_end", without)
            watch.settled()
            assert looks == 2
            monkeypatch.undo()
            found = watch.finish().ghosts
    assert found is not None
    expected = (0, 1) if ends else (1, 2)
    assert (found.count, found.client_established, found.server_established) == (*expected, 1)


@given(local=ADDRESSES, remote=ADDRESSES, ports=st.tuples(PORTS, PORTS))
def test_packed_and_back(local: str, remote: str, ports: tuple[int, int]) -> None:
    def plain(address: str) -> str:
        return inet_diag.canonical(address)

    one = Tuple4(local_address=local, local_port=ports[0], remote_address=remote, remote_port=ports[1])
    back = inet_diag.swapped(inet_diag.unpack_connection(inet_diag.pack_connection(one)))
    assert back == one.replace(local_address=plain(local), remote_address=plain(remote))


@pytest.mark.parametrize("address", ["", "x", "1.2.3"])
def test_no_connection(address: str) -> None:
    with pytest.raises(ParseError):
        inet_diag.pack_connection(Tuple4(local_address=address, local_port=1, remote_address="::1", remote_port=2))
    with pytest.raises(ParseError):
        inet_diag.unpack_connection(b"\0" * 35)


@pytest.mark.namespace
def test_mapped_addresses_are_the_same_at_both_ends() -> None:
    with (
        socket.create_server(("::", 8001), family=socket.AF_INET6, dualstack_ipv6=True),
        socket.create_connection(TARGET) as one,
        socket.create_connection(("::1", 8001)),
        SockDiag() as diag,
    ):
        at_client, at_server = diag.established_toward(*TARGET), diag.established_at(8001)
        assert len(at_server) == 2
        assert at_client < at_server
        (mine,) = map(inet_diag.unpack_connection, at_client)
        assert (mine.local_address, mine.local_port) == one.getsockname()


@pytest.mark.namespace
def test_a_healthy_run_has_none() -> None:
    with socket.create_server(TARGET, backlog=9), contextlib.closing(Watch(*TARGET)) as watch:
        watch.start()
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(TARGET))
            watch.settled()
        found = watch.finish().ghosts
    assert found is not None
    assert (found.count, found.client_established, found.server_established) == (0, 5, 5)


@pytest.mark.namespace
def test_a_connection_that_the_server_forgot() -> None:
    """TCP_REPAIR lets a socket vanish without a word to its peer: what an expired half-open entry leaves."""
    tcp_repair = 19
    with socket.create_server(TARGET, backlog=9) as server, contextlib.closing(Watch(*TARGET)) as watch:
        watch.start()
        with socket.create_connection(TARGET) as kept, socket.create_connection(TARGET) as lost:
            first, second = server.accept()[0], server.accept()[0]
            gone = first if first.getpeername() == lost.getsockname() else second
            try:
                gone.setsockopt(socket.IPPROTO_TCP, tcp_repair, struct.pack("i", 1))
            except PermissionError:
                pytest.skip("TCP_REPAIR needs CAP_NET_ADMIN")
            gone.close()
            watch.settled()
            found = watch.finish().ghosts
            assert found is not None
            assert (found.count, found.client_established, found.server_established) == (1, 2, 1)
            assert [one.local_port for one in found.examples] == [lost.getsockname()[1]]
            assert kept.getsockname()[1] not in [one.local_port for one in found.examples]
            first.close()
            second.close()
