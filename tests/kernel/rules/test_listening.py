"""Which listeners a connect() reaches."""

from __future__ import annotations

import pytest

from estab.kernel.rules.listening import reached, serving
from estab.records import Listener


def listener(address: str, *, port: int = 80) -> Listener:
    """`::!` is an IPv6 wildcard that is v6only."""
    plain = address.rstrip("!")
    return Listener(
        family=6 if ":" in plain else 4, address=plain, port=port, depth=0, limit=1, v6only=plain != address
    )


@pytest.mark.parametrize(
    ("there", "address", "reaching"),
    [
        (["127.0.0.1"], "127.0.0.1", ["127.0.0.1"]),
        (["127.0.0.2"], "127.0.0.1", []),
        (["0.0.0.0", "127.0.0.1"], "127.0.0.1", ["127.0.0.1"]),
        (["0.0.0.0", "0.0.0.0"], "127.0.0.1", ["0.0.0.0", "0.0.0.0"]),
        (["::"], "127.0.0.1", ["::"]),
        (["::!"], "127.0.0.1", []),
        (["::!", "0.0.0.0"], "127.0.0.1", ["0.0.0.0"]),
        (["::!"], "::1", ["::"]),
        (["0.0.0.0"], "::1", []),
        (["::ffff:10.0.0.1"], "10.0.0.1", ["::ffff:10.0.0.1"]),
        (["::1"], "::1", ["::1"]),
        ([], "::1", []),
    ],
)
def test_which_listeners_serve(there: list[str], address: str, reaching: list[str]) -> None:
    listeners = [listener(one) for one in there]
    assert [one.address for one in serving(listeners, address, 80)] == reaching
    assert serving(listeners, address, 81) == serving(listeners, address, 81, anywhere=True) == []


def test_a_server_that_knows_its_address_by_another_name() -> None:
    behind_nat = [listener("10.0.0.7"), listener("10.0.0.7", port=81)]
    assert serving(behind_nat, "192.0.2.1", 80) == []
    assert serving(behind_nat, "192.0.2.1", 80, anywhere=True) == behind_nat[:1]


@pytest.mark.parametrize(("address", "is_reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1")])
def test_the_wildcard_is_this_host(address: str, is_reached: str) -> None:
    assert reached(address) == is_reached
