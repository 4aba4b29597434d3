"""Connects side by side, whatever comes of them."""

from __future__ import annotations

import socket
import time

import pytest
from tests import servers
from tests.namespaces import in_namespace, run

from estab.load.probing.connects import Attempt, attempts
from estab.load.probing.ping import PingRefused, ping
from estab.records import ConnectTry


def test_each_has_its_own_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closed = ("127.0.0.1", servers.closed_port(), 0)
        connected, refused, taken = attempts(
            [Attempt(("127.0.0.1", port, 0)), Attempt(closed), Attempt(closed, "127.0.0.1", port)], 2.0
        )
    assert connected is not None
    assert refused is not None
    assert taken is None  # the server has that port
    assert (connected.errno, connected.resent, connected.answered) == (None, 0, True)
    assert (refused.errno, refused.answered, refused.silent) == ("ECONNREFUSED", True, False)
    assert 0 <= connected.ms < 2000


def test_none_is_none() -> None:
    assert attempts([], 1.0) == []


@pytest.mark.namespace
def test_one_without_an_answer_ends_in_time_and_one_without_a_route_at_once() -> None:
    def tried() -> tuple[list[ConnectTry | None], float]:
        run("nft", "table ip t { chain c { type filter hook input priority 0; tcp dport 9 drop; }; }")
        began_s = time.monotonic()
        outcomes = attempts([Attempt(("127.0.0.1", 9, 0), None, 0, 0.05), Attempt(("10.9.9.9", 9, 0))], 0.2)
        return outcomes, time.monotonic() - began_s

    (silent, unreachable), took_s = in_namespace(tried)
    assert (silent.errno, silent.silent, silent.resent) == ("own_timeout", True, 0)
    assert unreachable.errno == "ENETUNREACH"
    assert took_s >= 0.25


@pytest.mark.namespace
@pytest.mark.parametrize("permits", ["0 0", "1 0"])
def test_a_ping_is_answered_by_a_ping_socket_or_a_raw_one(permits: str) -> None:
    """Root of a namespace may open a raw one."""

    def pinged() -> tuple[float | None, float | None, float | None]:
        there, there6 = ping(("127.0.0.1", 0, 0), 2.0), ping(("::1", 0, 0), 2.0)
        run("nft", "table ip t { chain c { type filter hook input priority 0; icmp type echo-request drop; }; }")
        return there, there6, ping(("127.0.0.1", 0, 0), 0.1)

    there, there6, silent = in_namespace(pinged, sysctls={"net.ipv4.ping_group_range": permits})
    assert there is not None
    assert there6 is not None
    assert silent is None


def test_where_no_socket_is_permitted_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("estab.load.probing.ping.socket.socket", refuse)
    with pytest.raises(PingRefused, match="ping_group_range"):
        ping(("127.0.0.1", 0, 0), 0.1)
