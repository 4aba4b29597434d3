"""The ladder to a UNIX socket: descriptors and its queue, and nothing of TCP's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.test_unix_sockets import listening
from tests.limits.ladders import listener, names, over_unix, rung, snapshot

from estab import limits
from estab.diagnose.ladder import ladder


def test_what_bounds_it_and_what_does_not() -> None:
    limits = ladder(over_unix())
    assert limits.target == "unix:/run/app.sock"
    assert set(names(limits)) == {"client_open_files", "nr_open", "file_max", "server_open_files", "accept_queue"}
    assert limits.rates == []


@pytest.mark.parametrize(("depth", "capacity"), [(8, None), (9, 0)])
def test_its_queue(depth: int, capacity: int | None) -> None:
    queue = listener(family=1, address="unix:/run/app.sock", port=0, depth=depth, limit=8)
    found = rung(ladder(over_unix(snapshot(listeners=None, unix_listeners=[queue], port_use=None))), "accept_queue")
    assert (found.value, found.used, found.capacity_connections) == (8, depth, capacity)
    assert ("gets EAGAIN" in (found.note or "")) is (capacity == 0)


def test_its_setting_names_the_path() -> None:
    assert rung(ladder(over_unix()), "accept_queue").raise_with == "gunicorn --backlog 1024"
    queue = listener(family=1, address="unix:/run/app.sock", port=0, limit=8)  # nginx
    raised = rung(ladder(over_unix(snapshot(listeners=None, unix_listeners=[queue]))), "accept_queue").raise_with
    assert (raised or "").startswith("listen unix:/run/app.sock backlog=1024;")


def test_a_real_one(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 's'}"
    with listening(address, 37):
        found = limits(address)
        assert limits(listen=address).target == address
    assert rung(found, "accept_queue").value == 37
    assert found.server_observed
    nobody = limits(address)
    assert not nobody.server_observed
    assert "nothing listens at unix:" in (nobody.why_server_unobserved or "")
