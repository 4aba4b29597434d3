"""A name with several addresses, of which the first does not answer; and programs that go on to the next."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose import judge
from estab.records import ConnectAfter, Failure, NameAddress, Program, ProgramTarget, RunResult

NONE_ANSWERS = runs.first_dead("ECONNREFUSED", "ECONNREFUSED")
ONE_ADDRESS = runs.first_dead().replace(addresses=[])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.first_dead(), "confirmed"),
        (runs.first_dead("own_timeout"), "confirmed"),
        (runs.first_dead("EHOSTUNREACH", said_by="2001:db8::1"), "confirmed"),
        (runs.first_dead("ENETUNREACH"), "confirmed"),
        (NONE_ANSWERS, "ruled_out"),
        (ONE_ADDRESS, "ruled_out"),
        (runs.first_dead(None), "ruled_out"),
        (runs.first_dead(None, "ECONNREFUSED"), "ruled_out"),  # a later one: a sentence, and no accusation
        (runs.first_dead(funnel=runs.funnel(20, 1)), "ruled_out"),  # it was there
        (runs.run(), "ruled_out"),
    ],
)
def test_the_first_address_is_dead(run: RunResult, expected: str) -> None:
    assert alone("first_address_dead", run).verdict == expected


@pytest.mark.parametrize(
    ("run", "side", "says"),
    [
        (runs.first_dead(), "server", "the first, [::1]:5000, refuses; 127.0.0.1:5000 answers"),
        (runs.first_dead("own_timeout"), "path", "does not answer; 127.0.0.1:5000 answers"),
        (runs.first_dead("EHOSTUNREACH", said_by="2001:db8::1"), "path", "(2001:db8::1 says: address unreachable)"),
    ],
)
def test_it_is_named_whatever_the_first_address_met(run: RunResult, side: str, says: str) -> None:
    said = judge(run)
    assert (said.cause, said.side) == ("first_address_dead", side), said.summary
    assert says in said.summary


def test_a_dead_address_beside_one_that_answers_accuses_nobody() -> None:
    said = judge(runs.first_dead(None, "own_timeout"))
    assert said.cause is None
    assert "127.0.0.1:5000 does not answer" in said.summary
    more = runs.first_dead(None, "own_timeout")
    dead = NameAddress(address="127.0.0.2:5000", connect=ConnectAfter(errno="ECONNREFUSED"))
    assert "1 more neither" in judge(more.replace(addresses=[*more.addresses, dead])).summary
    assert "addresses" not in judge(runs.first_dead(None)).summary


def test_where_none_answers_it_is_what_they_meet() -> None:
    assert judge(NONE_ANSWERS).cause != "first_address_dead"


# Other programs -----------------------------------------------------------------------------------------------------


def _target(address: str, failed: int, connected: int, port: int = 5000) -> ProgramTarget:
    failures = [Failure(phase="connect", errno="ECONNREFUSED", count=failed)] if failed else []
    return ProgramTarget(
        address=address, port=port, attempted=failed + connected, connected=connected, failures=failures
    )


def _curl(*others: ProgramTarget, code: int = 0, here: ProgramTarget | None = None) -> RunResult:
    targets = [here or _target("::1", 2, 0), *others]
    refused = runs.refused(server=runs.local(listeners=[]), failures=[runs.failure("connect", "ECONNREFUSED", 2)])
    program = Program(name="curl", seen="traced", exit=code, targets=targets)
    return refused.replace(command="run", config={"target": "[::1]:5000"}, program=program)


@pytest.mark.parametrize(
    ("run", "fell_back"),
    [
        (_curl(_target("127.0.0.1", 0, 2)), True),
        (_curl(_target("127.0.0.1", 0, 3)), True),
        (_curl(_target("127.0.0.1", 0, 1)), False),
        (_curl(_target("127.0.0.1", 1, 2)), False),
        (_curl(_target("127.0.0.1", 0, 2, port=5001)), False),
        (_curl(_target("127.0.0.1", 0, 2), code=7), False),
        (_curl(), False),
        (_curl(_target("127.0.0.1", 0, 2), here=_target("::1", 2, 1)), False),
    ],
)
def test_a_program_that_went_on_to_the_next_address(run: RunResult, fell_back: bool) -> None:
    said = judge(run)
    assert ("tried one address after the other" in said.summary) is fell_back, said.summary
    if fell_back:
        assert said.cause is None
        assert "2 connects to [::1]:5000 failed (ECONNREFUSED), and as many to 127.0.0.1:5000" in said.summary
