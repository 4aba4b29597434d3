"""A kind of failure is one pair, spelled one way."""

from __future__ import annotations

from estab.load import block
from estab.phases import OWN_CODES, PHASES
from estab.records import Failure, FailureKind
from estab.records.failure import by_kind

TIMEOUT = Failure(phase="connect", errno="ETIMEDOUT", count=2, first_s=3.0, example="late")


def test_a_kind_is_read_as_it_is_spelled() -> None:
    assert str(TIMEOUT.kind) == "connect ETIMEDOUT"
    assert TIMEOUT.kind.words == "ETIMEDOUT at connect"
    assert FailureKind.parse("connect ETIMEDOUT") == TIMEOUT.kind


def test_what_ends_no_connection_of_a_client() -> None:
    assert [phase for phase in PHASES if not TIMEOUT.replace(phase=phase).is_clients] == ["accept", "status"]


def test_replies_in_words() -> None:
    assert FailureKind("status", "503").words == "replies with status 503"
    assert FailureKind("reply", "malformed").words == "replies that are not HTTP"
    assert FailureKind("reply", "eof").words == "closed by the peer within a reply"


def test_the_engine_has_no_code_of_its_own_that_is_not_known() -> None:
    assert tuple(block.CODE_NAMES.values()) == OWN_CODES


def test_the_first_of_a_kind_gives_time_and_example() -> None:
    early = TIMEOUT.replace(count=5, first_s=1.0, example="early")
    unknown = TIMEOUT.replace(count=1, first_s=None, example="when?")
    rare = Failure(phase="read", errno="eof", count=1)
    assert by_kind([TIMEOUT, rare, unknown, early]) == [early.replace(count=8), rare]
    assert by_kind([unknown, TIMEOUT]) == [TIMEOUT.replace(count=3)]


def test_the_last_of_a_kind_is_known_where_each_part_says_it() -> None:
    one, other = TIMEOUT.replace(last_s=4.0), TIMEOUT.replace(last_s=3.5)
    assert [failure.last_s for failure in by_kind([other, one])] == [4.0]
    assert [failure.last_s for failure in by_kind([one, TIMEOUT])] == [None]
