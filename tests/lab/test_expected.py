"""Which cause a scenario expects: what follows from its settings."""

from __future__ import annotations

import pytest

from estab.lab.parts.scenario import find, made, names
from estab.lab.scenarios.backlog_plus_one import BacklogPlusOne
from estab.lab.scenarios.cookie_reset import CookieReset


@pytest.mark.parametrize("name", [name for name in names() if find(name).control is not None])
def test_as_it_is_its_cause_and_in_health_nobody(name: str) -> None:
    kind = find(name)
    control = kind.control or {}
    assert (made(name, {}).expected, made(name, control).expected) == (kind.cause, None)
    assert made(name, {}, full=True).expected == kind.cause
    assert made(name, control, full=True).expected is None


def test_a_switch_makes_it_healthy_whatever_else_is_set() -> None:
    assert BacklogPlusOne(accepts=True, backlog=2, connections=9).expected is None
    assert BacklogPlusOne(backlog=2).expected == "server_not_accepting"


def test_a_number_makes_it_healthy_beside_the_defaults_alone() -> None:
    assert CookieReset(connections=100).expected is None
    assert CookieReset(connections=100, backlog=5).expected == "cookie_reset"
    assert CookieReset(connections=50).expected is None
    assert CookieReset(connections=101).expected == "cookie_reset"


def test_where_all_fit_nobody_waits() -> None:
    expected = [BacklogPlusOne(connections=number).expected for number in (5, 6, 7)]
    assert expected == [None, None, "server_not_accepting"]
