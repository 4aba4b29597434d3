"""Single figures of scenarios: what docs/kernel.md has as examples, and tables of several settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from estab.records.lab import LabScenario

pytestmark = [pytest.mark.long, pytest.mark.namespace]
Figures = Callable[[str], dict[str, str]]


def test_rule_15_served_and_reset(figures: Figures) -> None:
    measured = figures("cookie_reset")
    assert (measured["served"], measured["reset"], measured["served + reset"]) == ("129", "271", "400")
    assert (measured["tcp_syncookies=0: served"], measured["tcp_syncookies=0: reset"]) == ("400", "0")
    assert (measured["tcp_syncookies=2: served"], measured["tcp_syncookies=2: reset"]) == ("129", "271")
    assert measured["first errors"] == "ECONNRESET, EPIPE, eof"


def test_rule_16_both_ends(figures: Figures) -> None:
    measured = figures("accept_queue_overflow")
    assert (measured["server ESTABLISHED"], measured["client ESTABLISHED"], measured["ghosts"]) == ("129", "400", "271")
    without = [measured[f"tcp_syncookies=0: {what}"] for what in ("client ESTABLISHED", "client SYN_SENT", "ghosts")]
    assert without == ["129", "271", "0"]


def test_rule_16_spread_over_several_round_trips(played: dict[str, LabScenario]) -> None:
    rows = [row for row in played["accept_queue_overflow"].rows if row.what.startswith("over 3 round trips")]
    assert len(rows) == 5
    assert all(row.agrees for row in rows)
    assert sum(" to " in row.predicted for row in rows) >= 3  # the rule's interval


def test_the_ceiling_is_the_tables_size(figures: Figures) -> None:
    measured = figures("path_flow_table_full")
    assert measured["connected (the ceiling)"] == "500"
    assert [measured[f"ceiling of a table of {size}"] for size in (50, 100, 200, 300)] == ["50", "100", "200", "300"]
    assert measured["ping to the server answered"] == measured["ping back to the client answered"] == "no"


def test_the_syn_queue_table(figures: Figures) -> None:
    table = [value for what, value in figures("syn_queue_overflow").items() if what.startswith("SYN_RECV")]
    assert table == ["6", "6", "0", "129", "129", "97", "49", "97", "1,025", "1,537", "4,097"]


def test_the_limit_changes_only_at_listen(figures: Figures) -> None:
    measured = figures("backlog_clamped")
    wanted = ("listen(8192) grants", "after somaxconn=8192", "after listen() again")
    assert [measured[what] for what in wanted] == ["128", "128", "8,192"]


def test_the_seventh_of_listen_5(figures: Figures) -> None:
    measured = figures("backlog_plus_one")
    assert (measured["ESTABLISHED"], measured["SYN_SENT"]) == ("6", "1")
    assert measured["unread in each Recv-Q (bytes)"] == "90, 90, 90, 90, 90, 90"


def test_every_port_once(figures: Figures) -> None:
    measured = figures("time_wait_port_exhaustion")
    assert (measured["connected"], measured["connected + EADDRNOTAVAIL"]) == ("250", "330")
    pattern = {what: value for what, value in measured.items() if "one port again" in what}
    assert {what: value for what, value in pattern.items() if what.startswith("tcp_tw_reuse=0")}
    assert all((value == "yes") == ("after 1.3 s" in what or "after 0.2 s" in what) for what, value in pattern.items()
               if not what.startswith("tcp_tw_reuse=0"))  # fmt: skip
    assert {value for what, value in pattern.items() if what.startswith("tcp_tw_reuse=0")} == {"no"}


def test_the_storms_110s(figures: Figures) -> None:
    found = {what: float(value.replace(",", "")) for what, value in figures("short_connection_storm").items()}
    assert found["ListenOverflows"] > 0
    assert found["own timeouts"] > 0
    assert found["no timeout of their own: ETIMEDOUT (110)"] > 0
    for what in ("ListenOverflows", "own timeouts", "ETIMEDOUT (110)"):
        assert found[f"somaxconn 8192: {what}"] == 0
    assert sum(what.endswith("requests a second") for what in found) == 4


def test_a_starved_generator_is_told_from_a_slow_server(figures: Figures) -> None:
    measured = figures("generator_saturated")
    assert (measured["ESTABLISHED while it had no CPU"], measured["accepted by the server"]) == ("560", "560")
    assert measured["ListenOverflows"] == "0"
    assert int(measured["own timeouts"]) > 0
