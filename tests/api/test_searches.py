"""The searches against real kernels: the ceiling that the range sets is found exactly, and ours is moved."""

from __future__ import annotations

import socket
import time

import pytest
from tests import servers
from tests.namespaces import in_namespace, run, sysctl

import estab
from estab.load.serving import Service, serving
from estab.records.search import Ceiling

pytestmark = pytest.mark.namespace
NOT_LOOPBACK = "10.77.0.1"


def _with_ports(low: int, high: int) -> None:
    sysctl("net.ipv4.ip_local_port_range", f"{low} {high}")


def _from_one_address() -> Ceiling:
    run("ip", "address", "add", f"{NOT_LOOPBACK}/32", "dev", "lo")
    _with_ports(40000, 40059)
    with serving(Service("echo", host=NOT_LOOPBACK, port=5000)):
        return estab.find_ceiling(f"{NOT_LOOPBACK}:5000", options=estab.LoadOptions(timeout_s=1), most=500)


def test_the_ports_of_the_only_address_are_the_ceiling() -> None:
    found = in_namespace(_from_one_address)
    assert (found.ceiling, found.confirmed, found.met) == (60, True, True)
    assert found.set_by == "ephemeral_port_exhaustion"
    assert found.predicted == 60
    assert found.predicted_by == "ephemeral_ports"
    assert [(step.asked, step.held) for step in found.steps] == [(61, 60), (60, 60)]


def _on_loopback() -> Ceiling:
    _with_ports(40000, 40059)
    with serving(Service("echo", port=5000)):
        return estab.find_ceiling("127.0.0.1:5000", options=estab.LoadOptions(timeout_s=1), most=150)


def test_on_loopback_more_addresses_are_taken() -> None:
    found = in_namespace(_on_loopback)
    assert (found.ceiling, found.met) == (150, False)
    moved = [(step.asked, step.held, step.moved) for step in found.steps if step.moved]
    assert moved[0] == (61, 60, "2 source addresses")
    assert found.steps[-1].sources > 2


def _never_accepts() -> Ceiling:
    with serving(Service("stall", port=5000, backlog=16)):
        return estab.find_ceiling("127.0.0.1:5000", options=estab.LoadOptions(timeout_s=0.3), most=100)


def test_a_server_that_keeps_what_was_closed_is_not_confirmed() -> None:
    found = in_namespace(_never_accepts)
    assert found.ceiling == 17
    assert not found.confirmed
    assert found.note is not None
    assert "keeps what has long been closed" in found.note


def test_a_search_that_is_stopped_tells_what_it_had() -> None:
    with estab.Stop() as stop:
        search = estab.find_ceiling(most=100_000, stop=stop, stepped=lambda _step: stop.set())
    assert search.interrupted
    assert len(search.steps) == 1


def test_no_rate_is_low_enough_for_a_server_that_pauses() -> None:
    """It answers nobody for 20 ms of every 50 ms: two fifths wait up to 20 ms, whatever the rate."""
    service = Service("echo", pause_s=0.02, pause_every_s=0.05)
    search = estab.find_rate(
        bound_s=0.005, percentile=90, duration_s=0.3, first_per_s=500, options=estab.LoadOptions(service=service)
    )
    assert search.rate_per_s is None or search.rate_per_s < 100
    first = search.steps[0]
    assert first.why == "over the bound" or first.generator_bound  # our own workers pause too, on a busy machine


def _takes_5_ms(sock: socket.socket) -> None:
    while data := sock.recv(64, socket.MSG_WAITALL):
        time.sleep(0.005)
        sock.sendall(data)


def test_a_rate_is_found() -> None:
    """Of a server that answers at most 4,000 a second: over 0.2 s with a bound of 0.2 s, some 8,000 at the most."""
    with servers.side_by_side(_takes_5_ms) as target:
        search = estab.find_rate(target, bound_s=0.2, duration_s=0.2, first_per_s=40_000, connections=20)
    reached = search.rate_per_s or 0.0
    assert reached < 10_000
    assert reached >= 1_000 or search.generator_bound  # a machine so busy that our own workers are late is no server
    # A rate that was good by luck is tried again, and then given back: the last word on each counts.
    last_word = {step.rate_per_s: step.why for step in search.steps}
    assert all(why for rate, why in last_word.items() if rate > reached)
    assert all(rate * 0.2 >= 3 for rate in last_word), "so few that none may be due"


@pytest.mark.parametrize("asked", [{"bound_s": 0}, {"bound_s": 1, "percentile": 0}, {"bound_s": 1, "percentile": 101}])
def test_bounds_that_cannot_be(asked: dict[str, float]) -> None:
    with pytest.raises(estab.UsageError):
        estab.find_rate(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("most", [0, -1, 10**9])
def test_numbers_that_cannot_be(most: int) -> None:
    with pytest.raises(estab.UsageError, match=r"out of range \(1 to"):
        estab.find_ceiling(most=most)
