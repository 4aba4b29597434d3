"""Remedies say for a program what they change: every one of every suspect, in kinds that are known."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from tests.diagnose import runs

from estab.diagnose.cause import Cause
from estab.diagnose.judge import judge
from estab.diagnose.suspects import CAUSES
from estab.records import ChangeKind, Remedy


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_every_remedy_says_what_it_changes(cause: Cause) -> None:
    for met in runs.MET.values():
        found = cause.remedies(met())
        assert any(remedy.works for remedy in found)
        assert any(not remedy.works for remedy in found)
        for remedy in found:
            assert remedy.changes, remedy.command
            for change in remedy.changes:
                assert change.kind in get_args(ChangeKind)
                assert change.side in ("client", "path", "server")
                assert change.name or change.kind not in ("sysctl", "late_sysctl", "program", "elsewhere")


def test_a_later_kind_and_an_older_record_are_read() -> None:
    text = '{"command":"x","works":true,"why":"y","changes":[{"kind":"of a later version","side":"server","more":1}]}'
    assert msgspec.json.decode(text, type=Remedy).changes[0].kind == "of a later version"
    assert msgspec.json.decode('{"command":"x","works":true,"why":"y"}', type=Remedy).changes == []


def test_the_changes_stand_in_the_verdict() -> None:
    suspect = next(suspect for suspect in judge(runs.refused()).suspects if suspect.cause == "nobody_listening")
    assert [change.kind for remedy in suspect.remedies for change in remedy.changes][:2] == ["look", "listen"]
