"""Peers that send without end, on both engines: they keep neither the end of a run nor its time-outs waiting."""

from __future__ import annotations

import socket

from tests import servers
from tests.conformance.counts import assert_counts_add_up, failed

import estab


def send_without_end(sock: socket.socket) -> None:
    """As chargen (RFC 864), until the client is gone."""
    while True:
        sock.sendall(b"estab" * 50_000)


def test_held_connections_whose_peer_sends_without_end_are_closed_in_time() -> None:
    with servers.misbehaving(send_without_end) as target:
        run = estab.hold(target, connections=1, duration_s=0.3, options=estab.LoadOptions(timeout_s=30))
    assert failed(run) == {}
    assert run.funnel.completed == run.funnel.first_byte == 1
    assert run.elapsed_s < 15  # it did not wait for the end of what comes, nor for its patience
    assert_counts_add_up(run)


def test_a_peer_that_sends_instead_of_closing_times_out() -> None:
    with servers.misbehaving(send_without_end) as target:
        run = estab.churn(
            target,
            connections=1,
            attempts=1,
            first_close="server",
            options=estab.LoadOptions(timeout_s=0.3),
            duration_s=30,
        )
    assert failed(run) == {("read", "own_timeout"): 1}
    assert run.elapsed_s < 15
    assert_counts_add_up(run)
