"""Requests in small segments, in full ones and of sizes between: what passes, and what answers."""

from __future__ import annotations

import socket

import pytest
from tests import servers
from tests.namespaces import Namespace, in_namespace, joined, run

from estab.load.exchange import Exchange, echo, raw
from estab.load.probing import sizes
from estab.records import SizeProbe

FOUR_KB = echo(4000)


def of(target: str, exchange: Exchange = FOUR_KB, most: int = 2) -> SizeProbe | None:
    host, _, port = target.rpartition(":")
    return sizes.probe(sizes.asking((host, int(port), 0), exchange, 0.3), most)


def outcome(target: str, exchange: Exchange = FOUR_KB) -> tuple[bool | None, ...] | None:
    probe = of(target, exchange)
    if probe is None:
        return None
    assert (probe.size_bytes, probe.small_mss) == (exchange.size, 536)
    return probe.small_acknowledged, probe.small_answered, probe.full_acknowledged, probe.full_answered


def echoes(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def reads(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def answers_big(sock: socket.socket) -> None:
    """A line for each line: 5,000 bytes and its end."""
    while sock.recv(65536):
        sock.sendall(b"x" * 5000 + b"\n")


def test_an_echo_server_answers_both() -> None:
    with servers.misbehaving(echoes) as target:
        assert outcome(target) == (True, True, True, True)


def test_a_server_that_reads_and_says_nothing_has_acknowledged() -> None:
    with servers.misbehaving(reads) as target:
        assert outcome(target) == (True, False, True, False)


def test_half_a_reply_is_none() -> None:
    with servers.misbehaving(answers_big) as target:
        asked = raw(b"give\n", until=b"\n")
        assert outcome(target, asked) == (True, True, True, True)
        probe = of(target, raw(b"give\n", reply_bytes=9000))
    assert probe is not None
    assert (probe.small_acknowledged, probe.small_answered) == (True, False)


def test_who_answers_by_rst_has_got_it() -> None:
    with servers.misbehaving(servers.reset_on_data) as target:
        assert outcome(target) == (True, False, True, False)


@pytest.mark.namespace
def test_nobody_there() -> None:
    assert of("127.0.0.1:9") is None


# Above a size, packets are lost ------------------------------------------------------------------------------------


def lossy(match: str, handle: servers.Handler, exchange: Exchange, most: int) -> SizeProbe | None:
    """What is told of a server in another namespace, where what matches is dropped."""

    def tried() -> SizeProbe | None:
        client, server = Namespace(), Namespace()
        joined(client, "10.0.0.1/24", server, "10.0.0.2/24")
        with server.entered(), servers.misbehaving(handle, "10.0.0.2") as target:
            rule = f"type filter hook input priority 0; {match.format(target.rpartition(':')[2])} drop;"
            with server.entered() if "dport" in match else client.entered():  # where packets arrive they are as sent
                run("nft", f"table ip t {{ chain c {{ {rule} }}; }}")
            with client.entered():
                return of(target, exchange, most)

    probe: SizeProbe | None = in_namespace(tried)
    return probe


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("match", "handle", "exchange", "found"),
    [
        ("ip length > 1207 tcp dport {}", echoes, FOUR_KB, (1207, 1208, "requests")),
        ("ip length > 1000 tcp sport {}", echoes, FOUR_KB, (1000, 1001, "answers")),
        ("ip length > 1300 tcp dport {}", reads, FOUR_KB, (1300, 1301, "requests")),
        ("ip length > 900 tcp sport {}", answers_big, raw(b"give\n", until=b"\n"), (900, 901, "answers")),
        ("ip length > 4052 tcp dport {}", echoes, FOUR_KB, (None, None, None)),
    ],
)
def test_the_size_is_found_to_the_byte(
    match: str, handle: servers.Handler, exchange: Exchange, found: tuple[int | None, int | None, str | None]
) -> None:
    probe = lossy(match, handle, exchange, 40)
    assert probe is not None
    assert (probe.passes_bytes, probe.loses_bytes, probe.lost) == found
    assert 2 <= (probe.connects or 0) <= 40


@pytest.mark.namespace
def test_too_few_connects_find_no_border() -> None:
    probe = lossy("ip length > 1207 tcp dport {}", echoes, FOUR_KB, 9)
    assert probe is not None
    assert (probe.full_acknowledged, probe.passes_bytes, probe.connects) == (False, None, 7)
