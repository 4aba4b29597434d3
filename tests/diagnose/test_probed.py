"""What probes tell: each finding makes one of several causes that look alike the one, or none of them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import probes, runs
from tests.diagnose.alone import alone
from tests.diagnose.lost_syns import lost

from estab.diagnose import probed
from estab.diagnose.judge import judge
from estab.records import Failure, Probes, RunResult


def probe_run(told: Probes, connected: int = 4, **fields: Any) -> RunResult:
    """`estab probe` of a server elsewhere: four connects, of which so many got through."""
    timed_out = [runs.failure("connect", "own_timeout", 4 - connected, 2.5)] if connected < 4 else []
    values: dict[str, Any] = {
        "config": {"target": "192.0.2.7:5000", "connections": None, "timeout_s": 2.5},
        "funnel": runs.funnel(4, connected, accepted=None),
        "failures": timed_out,
        "syn_retransmits": {"0": connected},
        "client": runs.sent_again(4 - connected),
        "server": runs.remote(),
        "probes": told,
    }
    return runs.run("probe", **{**values, **fields})


# By source port ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (probes.quarter_dead(), "confirmed"),
        (probes.quarter_dead(p3="."), "ruled_out"),  # one that failed got through: that is chance
        (probes.quarter_dead(p0="x"), "ruled_out"),
        (probes.from_ports("." * 60), "ruled_out"),
        (probes.from_ports("." * 20 + "x" * 40, "17.", "18.", "19.", "20x", "21x", "22x"), "ruled_out"),  # a ceiling
        (probes.from_ports("...x" * 15, "0.", "1.", "3x", "7x"), "ruled_out"),  # too few were tried again
        (probes.from_ports("x" * 60), "ruled_out"),
        (probes.from_ports("rrrx" * 15, "3x", "7x", "11x"), "ruled_out"),
        (Probes(), "ruled_out"),
        # Turns: each third SYN is lost, and one that is sent again has another turn.
        (probes.from_ports("..l" * 20), "confirmed"),
        (probes.from_ports(".xl" * 10 + "..l" * 10), "ruled_out"),
        (probes.from_ports("..l" * 19 + "lll"), "ruled_out"),
        (probes.from_ports(".l" * 29 + "ll"), "confirmed"),  # one that belonged to somebody else
        (probes.from_ports("...l" * 3), "ruled_out"),  # too few
    ],
)
def test_a_dead_member_is_told_by_source_ports(told: Probes, expected: str) -> None:
    assert alone("path_member_dead", probe_run(told)).verdict == expected


def test_its_share_is_said_and_nobody_else_is_named() -> None:
    said = judge(probe_run(probes.quarter_dead(), connected=3))
    assert said.cause == "path_member_dead"
    assert "15 of 60 local ports (25%)" in said.summary
    assert judge(probe_run(probes.from_ports("." * 60))).cause is None


def test_what_a_run_left_open_the_ports_decide() -> None:
    unseen = runs.quarter_dead(server=runs.remote())
    assert judge(unseen).cause is None
    assert judge(unseen.replace(probes=probes.quarter_dead())).cause == "path_member_dead"
    through = judge(unseen.replace(probes=probes.from_ports("." * 60)))
    assert {s.cause: s.verdict for s in through.suspects}["path_member_dead"] == "ruled_out"


def test_a_listener_that_turned_them_away_is_no_member() -> None:
    turned = lost(150, server=runs.local(runs.watch(drops=150), deltas=runs.deltas(ListenDrops=150)))
    assert alone("path_member_dead", turned.replace(probes=probes.quarter_dead())).verdict == "ruled_out"


# SYNs by chance ----------------------------------------------------------------------------------------------------

CHANCE = probes.from_ports("..l...ll.l.......l..ll...l.l....l..l.......l..lll........l..")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (probes.with_beside(CHANCE, "r" * 20 + "l" * 4), "confirmed"),
        (probes.with_beside(CHANCE, "r" * 22 + "lx"), "confirmed"),
        (probes.with_beside(CHANCE, "r" * 23 + "l"), "possible"),  # one alone is chance, or a busy machine
        (probes.with_beside(CHANCE, "r" * 24), "possible"),  # only this port: its queue may be full at times
        (CHANCE, "possible"),
        (probes.from_ports("l." + "." * 58), "ruled_out"),  # too few
        (probes.with_beside(probes.quarter_dead(), "r" * 20 + "l" * 4), "ruled_out"),  # flows decide
        (probes.from_ports("." * 60), "ruled_out"),
    ],
)
def test_loss_by_chance_is_told_by_another_port(told: Probes, expected: str) -> None:
    assert alone("path_syn_loss", probe_run(told)).verdict == expected


# A ceiling ---------------------------------------------------------------------------------------------------------


def ceiling(told: Probes | None, **fields: Any) -> RunResult:
    """hold -n 400: 250 got through, and then none."""
    return lost(150, server=runs.remote(), **fields).replace(probes=told)


@pytest.mark.parametrize(
    ("told", "table", "nat", "limit"),
    [
        (None, "possible", "not_observed", "possible"),
        (probes.other_port("x"), "confirmed", "not_observed", "ruled_out"),
        (probes.other_port("r"), "ruled_out", "possible", "possible"),
        (probes.other_port("."), "ruled_out", "possible", "possible"),
        (probes.other_port("x", before="x"), "possible", "not_observed", "possible"),  # it never answered
        (probes.other_port("x", before=None), "possible", "not_observed", "possible"),
        (probes.other_port("u"), "possible", "not_observed", "possible"),
        (probes.other_port("r", target=".."), "possible", "not_observed", "possible"),  # it is over
        (probes.other_port("x", target=".x"), "possible", "not_observed", "possible"),
    ],
)
def test_a_ceiling_is_of_all_flows_or_of_this_port(told: Probes | None, table: str, nat: str, limit: str) -> None:
    run = ceiling(told, arrival_order=runs.in_order(250, 150))
    said = [
        alone(cause, run).verdict for cause in ("path_flow_table_full", "nat_ports_exhausted", "path_connection_limit")
    ]
    assert said == [table, nat, limit]


def behind(source: str, target: str, first_byte: int = 250) -> RunResult:
    """The same from that address to that one; so many of 250 were answered."""
    example = [Failure(phase="connect", errno="own_timeout", count=150, example=f"{source}:40000 -> {target}:5000")]
    return ceiling(
        probes.other_port("r"),
        config={"target": f"{target}:5000"},
        failures=example,
        funnel=runs.funnel(400, 250, first_byte=first_byte),
        requests=runs.Requests(count=first_byte),
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (behind("10.0.0.5", "198.51.100.7"), "confirmed"),
        (behind("100.64.3.1", "198.51.100.7"), "confirmed"),
        (behind("10.0.0.5", "198.51.100.7", first_byte=249), "possible"),  # one waits: its queue may be full
        (behind("10.0.0.5", "10.9.0.7"), "possible"),  # no NAT for sure
        (behind("203.0.113.9", "198.51.100.7"), "possible"),
        (behind("nowhere", "198.51.100.7"), "possible"),
    ],
)
def test_a_nat_on_the_way_is_sure_from_a_private_address(run: RunResult, expected: str) -> None:
    said = alone("nat_ports_exhausted", run)
    assert (said.verdict, said.side) == (expected, "path")
    assert "router or gateway" in said.remedies[0].command


def test_the_queue_of_a_server_is_named_where_it_may_be_full() -> None:
    assert "queue" in alone("nat_ports_exhausted", behind("10.0.0.5", "10.9.0.7", first_byte=0)).summary
    assert "queue" not in alone("nat_ports_exhausted", behind("10.0.0.5", "10.9.0.7")).summary


# Nothing gets through ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (probes.other_port("r"), "though its host answers"),
        (probes.other_port("x", ping=probes.PING), "though its host answers"),
        (probes.other_port("x", before="x", ping=probes.NO_PING), "nothing else of the host answers"),
        (Probes(), "was not observed"),
    ],
)
def test_a_filter_stays_possible_and_what_answers_is_said(told: Probes, words: str) -> None:
    """A full accept queue is as silent as a filter."""
    said = alone("path_filtered", probe_run(told, connected=0))
    assert said.verdict == "possible"
    assert words in said.summary


# Data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (probes.small_lost(), "confirmed"),
        (probes.border(1200), "possible"),
        (None, "possible"),
    ],
)
def test_data_that_is_lost_afterwards_too(probe: Any, expected: str) -> None:
    run = runs.data_lost(server=runs.remote(), size_probe=probe)
    assert alone("path_data_loss", run).verdict == expected


def test_answers_that_are_lost_may_be_a_program_that_is_silent() -> None:
    run = runs.data_lost(
        again=0, left=0, answers=16, left_there=8, server=runs.remote(), size_probe=probes.small_lost()
    )
    assert alone("path_data_loss", run).verdict != "confirmed"


@pytest.mark.parametrize(("lost_way", "words"), [("requests", "to the server"), ("answers", "from the server")])
def test_the_border_and_its_direction_are_said(lost_way: str, words: str) -> None:
    said = judge(runs.big_lost(server=runs.remote(), size_probe=probes.border(1200, lost_way)))
    assert said.cause == "path_mtu_blackhole"
    assert f"{words} of up to 1,200 bytes pass, and of 1,201 none" in said.summary
    assert said.accused is not None
    assert "mtu 1200" in said.accused.remedies[1].command


# Which probe would tell --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "hint"),
    [
        (runs.quarter_dead(server=runs.remote()), "`estab probe 127.0.0.1:5000` would tell."),
        (ceiling(None), "The same command with --probe would tell."),
        (
            runs.data_lost(server=runs.remote()),
            "`estab probe 127.0.0.1:5000 --size 64` would tell.",
        ),
        (
            runs.data_lost(
                server=runs.remote(),
                config={"size_bytes": None, "request": "PING\\r\\n", "until": "PONG", "mode": "rr"},
            ),
            "`estab probe 127.0.0.1:5000 --request 'PING\\r\\n' --until PONG` would tell.",
        ),
        (runs.dropped(server=runs.remote()), None),  # no probe decides between a filter and a full queue
        (runs.quarter_dead(), None),  # confirmed
        (runs.run(), None),
        (runs.quarter_dead(server=runs.remote()).replace(probes=Probes()), None),  # they were made
        (runs.quarter_dead(server=runs.remote()).replace(config={"target": "127.0.0.1:5000", "embedded": True}), None),
    ],
)
def test_the_headline_says_which_probe_would_tell(run: RunResult, hint: str | None) -> None:
    summary = judge(run).summary
    assert "would tell." not in summary if hint is None else hint in summary


def test_findings_of_none_are_none() -> None:
    for run in (runs.run(), probe_run(Probes())):
        assert probed.from_ports(run) is None
        assert probed.other_port(run) is None
        assert probed.host_is_there(run) is None
        assert probed.lost_beside(run) is None
        assert not probed.port_alone(run)
        assert not probed.all_new_lost(run)
        assert not probed.behind_nat(run)
