"""TARGET and times and sizes as people type them."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.cli.values import seconds, size
from estab.errors import EstabError, UsageError
from estab.load.target import authority, parse, parse_listen, resolve, resolve_all, resolve_any, unix_socket


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("example:65535", ("example", 65535)),
        ("[::1]:1", ("::1", 1)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
    ],
)
def test_parse(text: str, expected: tuple[str, int]) -> None:
    assert parse(text) == expected


@given(st.text(max_size=30))
def test_parse_refuses_in_words_only(text: str) -> None:
    try:
        host, port = parse(text)
    except UsageError as error:
        assert repr(text) in str(error)
    else:
        assert host
        assert 1 <= port <= 65535


@given(st.text(alphabet="0123456789:[]%", max_size=20))
def test_resolve_raises_only_what_it_says(text: str) -> None:
    try:
        resolve(f"{text}:80" if text.replace(".", "").isdigit() else f"[{text}]:80")
    except EstabError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/app.sock", "unix:/run/app.sock"),
        ("unix:///run/app.sock", "unix:/run/app.sock"),
        ("unix:app.sock", "unix:app.sock"),
        ("unix:@app", "unix:@app"),
        ("unix:/" + "x" * 106, "unix:/" + "x" * 106),
        ("127.0.0.1:80", None),
        ("/run/app.sock", None),
    ],
)
def test_unix_sockets(text: str, address: str | None) -> None:
    assert unix_socket(text) == address
    if address is not None:
        assert resolve_any(text) == (address, 0, 0)
        assert parse_listen(text) == (address, 0)
        assert authority(text) == "localhost"


@pytest.mark.parametrize("text", ["unix:", "unix:@", "unix:/" + "x" * 107, "unix:/" + "\u00e9" * 54, "unix:/a\0b"])
def test_names_that_no_unix_socket_has(text: str) -> None:
    with pytest.raises(UsageError, match="`target`"):
        unix_socket(text)


def test_where_a_port_is_asked_for_a_unix_socket_is_refused() -> None:
    with pytest.raises(UsageError, match="is a UNIX socket, and HOST:PORT is asked for here"):
        resolve("unix:/run/app.sock")


def test_listen_may_take_any_port() -> None:
    assert parse_listen("0.0.0.0:0") == ("0.0.0.0", 0)
    with pytest.raises(UsageError, match="65536"):
        parse_listen("0.0.0.0:65536")


def test_resolve_loopback() -> None:
    assert resolve("127.0.0.1:80") == ("127.0.0.1", 80, 0)
    assert resolve("[::1]:80") == ("::1", 80, 0)


V6, V4 = ("2001:db8::1", 80, 0), ("192.0.2.7", 80, 0)


@pytest.fixture
def two_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that has two addresses for every name, one of them twice, as it gives one for each line it has."""
    told = [(socket.AF_INET6, (V6[0], 80, 0, 0)), (socket.AF_INET, V4[:2]), (socket.AF_INET, V4[:2])]
    answer = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in told]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: answer)


@pytest.mark.usefixtures("two_families")
def test_a_name_with_several_addresses() -> None:
    assert resolve_all("db.example:80") == [V6, V4]
    assert resolve("db.example:80") == resolve_any("db.example:80") == V6
    assert resolve_any("db.example:80", family="ipv4") == V4
    assert resolve_all("db.example:80", family="ipv6") == [V6]


def test_a_name_without_an_address_of_that_family() -> None:
    with pytest.raises(UsageError, match=r"'127.0.0.1' has no IPv6 address; leave out `address_family`"):
        resolve("127.0.0.1:80", family="ipv6")
    assert resolve("[::1]:80", family="ipv6") == ("::1", 80, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("50ms", 0.05), ("0.5", 0.5), ("3s", 3.0), ("2m", 120.0), ("1h", 3600.0), ("300us", 3e-4), (".5s", 0.5)],
)
def test_seconds(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-1", "nan", "inf", "1e3", "1,5"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1400", 1400), ("64k", 65536), ("1M", 1 << 20), ("2KiB", 2048), ("-5", -5)]
)
def test_size(text: str, value: int) -> None:
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "k", "1.5k", "64q"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        size(text)
