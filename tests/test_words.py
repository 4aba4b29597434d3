"""One and many."""

from __future__ import annotations

import pytest

from estab.words import places, plural


@pytest.mark.parametrize(
    ("number", "connects", "were", "addresses", "queue"),
    [
        (0, "0 connects", "0 connects were", "0 addresses", "0 of 0 places"),
        (1, "1 connect", "1 connect was", "1 address", "1 of 1 place"),
        (2, "2 connects", "2 connects were", "2 addresses", "2 of 2 places"),
        (1000, "1,000 connects", "1,000 connects were", "1,000 addresses", "1,000 of 1,000 places"),
    ],
)
def test_one_and_many(number: int, connects: str, were: str, addresses: str, queue: str) -> None:
    assert plural(number, "connect") == connects
    assert plural(number, "connect was", "connects were") == were
    assert plural(number, "address", "addresses") == addresses
    assert places(number, number) == queue
