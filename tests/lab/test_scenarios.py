"""Every scenario for real: predicted = measured, the cause named, each remedy as claimed, nobody accused in health."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from estab.lab.scenario import find, names
from estab.records.lab import LabScenario

pytestmark = pytest.mark.namespace
NOT_ISOLATABLE = ("conntrack_full_local",)
Figures = Callable[[str], dict[str, str]]


def told(one: LabScenario) -> str:
    rows = [f"{row.what}: predicted {row.predicted}, measured {row.measured}" for row in one.rows if not row.agrees]
    remedies = [f"{r.command}: works {r.works} ({r.text})" for r in one.remedies if r.works != r.claimed]
    return f"{one.status} {one.why or ''} cause {one.cause}; {rows} {remedies} control {one.accused_in_control}"


@pytest.mark.parametrize("name", [name for name in names() if name not in NOT_ISOLATABLE])
def test_as_predicted(played: dict[str, LabScenario], name: str) -> None:
    one = played[name]
    assert one.status == "as_predicted", told(one)
    assert one.cause == find(name).CAUSE
    assert all(row.agrees for row in one.rows)
    assert len(one.rows) >= 1
    assert one.control_ran is (find(name).CONTROL is not None)
    assert [r.works for r in one.remedies] == [r.works for r in find(name).REMEDIES]


@pytest.mark.parametrize("name", [name for name in names() if name not in (*NOT_ISOLATABLE, "healthy")])
def test_each_has_a_remedy_that_works_and_one_that_does_nothing(name: str) -> None:
    assert {one.works for one in find(name).REMEDIES} == {True, False}


@pytest.mark.parametrize("name", NOT_ISOLATABLE)
def test_what_cannot_be_isolated_says_why(played: dict[str, LabScenario], name: str) -> None:
    assert played[name].status == "cannot_run"
    assert "namespaces" in (played[name].why or "")


def test_rule_15_served_and_reset(figures: Figures) -> None:
    found = figures("cookie_reset")
    assert (found["served"], found["reset"], found["served + reset"]) == ("129", "271", "400")
    assert (found["tcp_syncookies=0: served"], found["tcp_syncookies=0: reset"]) == ("400", "0")
    assert (found["tcp_syncookies=2: served"], found["tcp_syncookies=2: reset"]) == ("129", "271")
    assert found["first errors"] == "ECONNRESET, EPIPE, eof"


def test_rule_16_both_ends(figures: Figures) -> None:
    found = figures("accept_queue_overflow")
    assert (found["server ESTABLISHED"], found["client ESTABLISHED"], found["ghosts"]) == ("129", "400", "271")
    without = [found[f"tcp_syncookies=0: {what}"] for what in ("client ESTABLISHED", "client SYN_SENT", "ghosts")]
    assert without == ["129", "271", "0"]


def test_the_ceiling_is_the_tables_size(figures: Figures) -> None:
    found = figures("path_flow_table_full")
    assert found["connected (the ceiling)"] == "500"
    assert [found[f"ceiling of a table of {size}"] for size in (50, 100, 200, 300)] == ["50", "100", "200", "300"]
    assert found["ping to the server answered"] == found["ping back to the client answered"] == "no"


def test_the_syn_queue_table(figures: Figures) -> None:
    table = [value for what, value in figures("syn_queue_overflow").items() if what.startswith("SYN_RECV")]
    assert table == ["6", "6", "0", "129", "129", "97", "49", "97", "1,025", "1,537", "4,097"]


def test_the_limit_changes_only_at_listen(figures: Figures) -> None:
    found = figures("backlog_clamped")
    wanted = ("listen(8192) grants", "after somaxconn=8192", "after listen() again")
    assert [found[what] for what in wanted] == ["128", "128", "8,192"]


def test_the_seventh_of_listen_5(figures: Figures) -> None:
    found = figures("backlog_plus_one")
    assert (found["ESTABLISHED"], found["SYN_SENT"]) == ("6", "1")
