"""The search for an idle time, on servers that close, fall silent, keep nothing, or bear every rest."""

from __future__ import annotations

import threading

from tests import servers
from tests.conformance.test_exchanges import CLOSES, answering
from tests.conformance.test_rests import echoes_until_idle

import estab
from estab.records import decode, encode
from estab.records.search import IDLE_SCHEMA, IdleStep, IdleTime

SOON = estab.LoadOptions(timeout_s=0.3)
IDLE_S = 0.5


def test_a_close_is_timed_in_one_round() -> None:
    steps: list[IdleStep] = []
    with servers.side_by_side(echoes_until_idle(IDLE_S)) as target:
        search = estab.find_idle(target, most_s=4, options=SOON, stepped=steps.append)
    assert search.steps == steps
    assert len(steps) == 1
    assert search.idle_s is not None
    assert IDLE_S - 0.05 <= search.idle_s < IDLE_S + 0.5
    assert (search.how, search.confirmed, search.interrupted) == ("closed", True, False)
    assert decode(encode(search), IdleTime, IDLE_SCHEMA) == search


def test_what_is_only_lost_is_searched_for() -> None:
    """A program that hangs, so that nothing on the way is accused."""
    with servers.side_by_side(echoes_until_idle(IDLE_S, lambda _sock: threading.Event().wait(5))) as target:
        search = estab.find_idle(target, most_s=2, options=SOON)
    assert search.how == "lost"
    assert len(search.steps) >= 2
    assert search.borne_s is not None
    assert search.lost_s is not None
    assert search.idle_s is not None
    assert search.borne_s < search.idle_s < search.lost_s
    assert search.set_by is None


def test_every_rest_is_borne() -> None:
    search = estab.find_idle(most_s=0.3, options=SOON)
    assert (search.idle_s, search.borne_s, search.confirmed, search.set_by) == (None, 0.3, True, None)


def test_nobody_rests_where_nobody_is_and_where_nothing_is_kept() -> None:
    nobody = estab.find_idle(f"127.0.0.1:{servers.closed_port()}", most_s=1, options=SOON)
    with answering(CLOSES, closes=True) as target:
        not_kept = estab.find_idle(target, http="/", most_s=1, options=SOON)
    for found in (nobody, not_kept):
        assert (found.idle_s, found.confirmed, len(found.steps)) == (None, False, 1)
        assert found.note == "no connection was answered and kept open, so none could rest"
    assert nobody.set_by == "nobody_listening"


def test_a_search_that_is_stopped_tells_what_it_had() -> None:
    with estab.Stop() as stop:
        search = estab.find_idle(most_s=60, stop=stop, progress=lambda _progress: stop.set())
    assert search.interrupted
    assert (search.idle_s, search.confirmed) == (None, False)
