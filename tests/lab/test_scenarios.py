"""Every scenario for real: predicted = measured, the cause named, each remedy as claimed, nobody accused in health."""

from __future__ import annotations

import pytest
from tests.lab.played import each_scenario

from estab.lab.parts.scenario import find, names
from estab.records.lab import LabScenario

pytestmark = pytest.mark.namespace
NOT_ISOLATABLE = (
    "conntrack_full_local",
    "neighbour_table_full",
    "server_cpu_quota",
    "softnet_drops",
    "tcp_memory_exhausted",
    "too_many_orphans",
)


def told(one: LabScenario) -> str:
    rows = [f"{row.what}: predicted {row.predicted}, measured {row.measured}" for row in one.rows if not row.agrees]
    remedies = [f"{r.command}: works {r.works} ({r.text})" for r in one.remedies if r.works != r.claimed]
    return f"{one.status} {one.why or ''} cause {one.cause}; {rows} {remedies} control {one.accused_in_control}"


@pytest.mark.parametrize("name", each_scenario(name for name in names() if name not in NOT_ISOLATABLE))
def test_as_predicted(played: dict[str, LabScenario], name: str) -> None:
    one = played[name]
    assert one.status == "as_predicted", told(one)
    assert one.cause == find(name).cause
    assert all(row.agrees for row in one.rows)
    assert len(one.rows) >= 1
    assert one.control_ran is (find(name).control is not None)


@pytest.mark.parametrize("name", each_scenario(name for name in names() if name not in (*NOT_ISOLATABLE, "healthy")))
def test_remedies_of_the_verdict_do_what_it_says(played: dict[str, LabScenario], name: str) -> None:
    """All that can be tried in a namespace; one is shown to work, where that can be, and one to do nothing."""
    tried = [remedy for remedy in played[name].remedies if remedy.works is not None]
    assert [(one.command, one.works) for one in tried] == [(one.command, one.claimed) for one in tried]
    assert {one.works for one in tried} == ({False} if find(name).unmended else {True, False})
    assert all(remedy.text for remedy in played[name].remedies)


@pytest.mark.parametrize("name", NOT_ISOLATABLE)
def test_what_cannot_be_isolated_says_why(played: dict[str, LabScenario], name: str) -> None:
    assert played[name].status == "cannot_run"
    assert "it cannot be isolated" in (played[name].why or "")
