"""A target whose name has several addresses: the load asks the first, and each is asked once afterwards."""

from __future__ import annotations

import socket

import pytest
from tests import servers

import estab
from estab import UsageError
from estab.records import encode

NAME = "db.example"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names with their addresses, which the resolver has beside its own."""
    names: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *others: int, **more: int) -> list[tuple[object, ...]]:
        if host not in names:
            return list(real(host, port, *others, **more))
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in names[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def _echo(sock: socket.socket) -> None:
    while data := sock.recv(4096):
        sock.sendall(data)


def test_the_first_address_is_dead(told: dict[str, list[str]]) -> None:
    with servers.side_by_side(_echo) as target:
        port = target.rpartition(":")[2]
        told[NAME] = ["::1", "127.0.0.1"]
        run = estab.bench(f"{NAME}:{port}", connections=3, duration_s=0.1)
        assert run.cause == "first_address_dead"
        assert [(each.address, each.connect.errno) for each in run.addresses] == [
            (f"[::1]:{port}", "ECONNREFUSED"),
            (f"127.0.0.1:{port}", None),
        ]
        assert run.config["target_name"] == NAME
        options = estab.LoadOptions(address_family="ipv4")
        other = estab.bench(f"{NAME}:{port}", connections=3, duration_s=0.1, options=options)
    assert (other.cause, other.addresses, other.client_failures) == (None, [], 0)
    assert other.config["address_family"] == "ipv4"
    assert other.config["target"] == f"127.0.0.1:{port}"


def test_a_later_address_is_dead(told: dict[str, list[str]]) -> None:
    with servers.side_by_side(_echo) as target:
        port = target.rpartition(":")[2]
        told[NAME] = ["127.0.0.1", "::1"]
        run = estab.hold(f"{NAME}:{port}", connections=3, duration_s=0.1)
    assert run.diagnosis is not None
    assert run.cause is None
    assert f"[::1]:{port} refuses" in run.diagnosis.summary
    assert b"target_name" in encode(run)


def test_one_address_is_not_asked_again(told: dict[str, list[str]]) -> None:
    with servers.side_by_side(_echo) as target:
        told[NAME] = ["127.0.0.1"]
        run = estab.hold(target.replace("127.0.0.1", NAME), connections=3, duration_s=0.1)
    assert (run.addresses, run.cause) == ([], None)
    assert "target_name" not in run.config


def test_a_family_that_the_name_has_not(told: dict[str, list[str]]) -> None:
    told[NAME] = ["127.0.0.1"]
    with pytest.raises(UsageError, match=r"no IPv6 address; leave out `address_family`"):
        estab.hold(f"{NAME}:80", options=estab.LoadOptions(address_family="ipv6"))
    with pytest.raises(UsageError, match=r"`address_family` is 'ipx'"):
        estab.LoadOptions(address_family="ipx")  # type: ignore[arg-type]
