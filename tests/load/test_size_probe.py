"""One request in small segments and one in full ones: what passes, and what answers."""

from __future__ import annotations

import socket

import pytest
from tests import servers

from estab.load import size_probe


def of(target: str, size: int = 4000) -> tuple[bool | None, ...] | None:
    host, _, port = target.rpartition(":")
    probe = size_probe.probe((host, int(port), 0), size, 0.3)
    if probe is None:
        return None
    assert (probe.size_bytes, probe.small_mss) == (size, 536)
    return probe.small_acknowledged, probe.small_answered, probe.full_acknowledged, probe.full_answered


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def test_an_echo_server_answers_both() -> None:
    with servers.misbehaving(echo) as target:
        assert of(target) == (True, True, True, True)


def test_a_server_that_reads_and_says_nothing_has_acknowledged() -> None:
    with servers.misbehaving(lambda sock: [None for _ in iter(lambda: sock.recv(65536), b"")] and None) as target:
        assert of(target) == (True, False, True, False)


@pytest.mark.namespace
def test_nobody_there() -> None:
    assert of("127.0.0.1:9") is None
