"""Snapshots one after the other become episodes: none invented, none lost, with what happened next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.diagnose.test_snapshots import listener, moment

from estab.diagnose import judge_snapshots
from estab.diagnose.episodes import CALM_S, WATCHED_S, diagnosis_of, judge_recording
from estab.records import Conntrack, Episode, HostFacts, Listener, Process, Snapshot

START = 7_200.0  # 02:00:00
FULL = listener(depth=512)
CALM = listener()


def recording(listeners: Sequence[Listener | None], step_s: float = 1.0, **fields: Any) -> list[Snapshot]:
    """A snapshot a second with this listener in it; None: it is closed."""
    return [
        moment(START + at * step_s, listeners=[] if there is None else [there], **fields)
        for at, there in enumerate(listeners)
    ]


def episodes(listeners: Sequence[Listener | None], step_s: float = 1.0) -> list[Episode]:
    return judge_recording(recording(listeners, step_s)).episodes


def times(found: Sequence[Episode]) -> list[tuple[float, float]]:
    return [(episode.from_s - START, episode.to_s - START) for episode in found]


def other(pid: int, inode: int = 7, **fields: Any) -> Listener:
    return CALM.replace(inode=inode, owners=[Process(pid=pid, name="nginx", started_ticks=pid)], **fields)


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ([CALM] * 5, []),
        ([CALM, FULL, FULL, CALM, CALM], [(0, 2)]),
        ([CALM, FULL, CALM, FULL, CALM], [(0, 3)]),  # a second between two is the same episode
        ([FULL, FULL], [(0, 1)]),
        ([CALM, FULL, *[CALM] * 11, FULL, CALM], [(0, 1), (12, 13)]),
        ([FULL], []),  # one moment has no interval
    ],
)
def test_intervals_that_touch_are_one_episode(
    listeners: list[Listener | None], expected: list[tuple[float, float]]
) -> None:
    assert times(episodes(listeners)) == expected


def test_an_episode_says_where_and_how_much() -> None:
    dropping = [CALM, FULL.replace(drops=140), FULL.replace(drops=190), CALM.replace(drops=190)]
    [episode] = episodes(dropping)
    assert (episode.cause, episode.side) == ("accept_queue_overflow", "server")
    assert (episode.place, episode.address, episode.port) == ("listener", "127.0.0.1", 80)
    assert (episode.program, episode.pid) == ("nginx", 9)
    assert (episode.drops, episode.deepest, episode.room, episode.intervals) == (150, 512, 512, 2)
    assert episode.suspect.remedies


def test_evidence_is_of_the_interval_that_shows_most_and_says_so() -> None:
    taken = [
        moment(
            START + at, {"ListenOverflows": so_far, "ListenDrops": so_far}, listeners=[listener(depth=5, drops=so_far)]
        )
        for at, so_far in enumerate((0, 100, 382, 500, 500))
    ]
    [episode] = judge_recording(taken).episodes
    assert (episode.drops, episode.overflows, episode.intervals) == (500, 500, 3)
    assert (episode.shown_from_s, episode.shown_to_s) == (START + 1, START + 2)
    said = [fact.text for fact in episode.suspect.evidence]
    assert any("ListenOverflows rose by 282 between the two looks" in text for text in said)
    assert not any("within the run" in text or "ten a second" in text for text in said)


BEFORE = other(9)
STUCK = BEFORE.replace(depth=512)
MASTER, WORKERS = Process(pid=1, started_ticks=1), [Process(pid=pid, started_ticks=pid) for pid in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ([BEFORE, STUCK, BEFORE], ("recovered", 1, None)),
        ([BEFORE, STUCK, STUCK], ("going_on", None, None)),
        ([BEFORE, STUCK, BEFORE, other(10, inode=8)], ("restarted", 3, 10)),
        ([BEFORE, STUCK, BEFORE, other(10)], ("restarted", 3, 10)),  # the socket was handed on
        ([BEFORE, STUCK, None, None], ("closed", 2, None)),
        ([BEFORE, STUCK, None, other(10, inode=8)], ("restarted", 3, 10)),
        ([BEFORE, STUCK, BEFORE, BEFORE.replace(limit=1023)], ("reloaded", 3, None)),
        (
            [
                BEFORE.replace(owners=[MASTER, *WORKERS[:2]]),
                STUCK.replace(owners=[MASTER, *WORKERS[:2]]),
                BEFORE.replace(owners=[MASTER, *WORKERS[2:]]),
            ],
            ("reloaded", 2, None),
        ),
        ([BEFORE, STUCK, BEFORE.replace(owners=None), BEFORE], ("recovered", 1, None)),
        ([BEFORE, STUCK, BEFORE.replace(owners=None), other(10)], ("restarted", 3, 10)),
        (
            [BEFORE, STUCK, other(10, inode=8), other(10, inode=8, depth=512)],
            ("going_on", None, None),
        ),  # it did not help
        ([BEFORE, STUCK, *[BEFORE] * int(WATCHED_S + 2), other(10, inode=8)], ("recovered", 1, None)),
    ],
)
def test_what_happened_next(listeners: list[Listener | None], expected: tuple[str, int | None, int | None]) -> None:
    [episode] = episodes(listeners)
    since = None if episode.next_s is None else episode.next_s - START
    assert (episode.next, since, episode.next_pid) == expected


def test_a_full_queue_and_what_explains_it_are_one_episode() -> None:
    without = listener(depth=1, fds=1024)
    [episode] = judge_recording(recording([CALM, FULL, without, FULL, without, CALM])).episodes
    assert (episode.cause, episode.intervals, episode.deepest) == ("server_open_files", 4, 512)


def test_most_of_the_intervals_name_it() -> None:
    without = listener(depth=1, fds=1024)
    [episode] = judge_recording(recording([CALM, FULL, FULL, without, FULL, CALM])).episodes
    assert episode.cause == "accept_queue_overflow"


def test_two_causes_of_which_neither_explains_the_other_are_two_episodes() -> None:
    conntrack = Conntrack(count=1000, maximum=1000)
    full = [moment(START + at, listeners=[FULL], conntrack=conntrack if at % 2 else None) for at in range(6)]
    found = judge_recording(full).episodes
    assert len({episode.cause for episode in found}) == len(found) == 2


@pytest.mark.parametrize("step_s", [0.3, 0.9])
def test_a_program_that_hangs_is_seen_over_several_short_intervals(step_s: float) -> None:
    """No accept for 0.3 s says nothing; none for three seconds, while the queue is full, does."""
    hung = recording([CALM, *[FULL] * 14, CALM], step_s, counters={"Tcp.PassiveOpens": 600})
    verdict = judge_recording(hung)
    [episode] = verdict.episodes
    assert (episode.cause, episode.intervals) == ("server_not_accepting", 14)
    assert diagnosis_of(verdict).cause == "server_not_accepting"


def test_a_full_queue_at_the_end_is_explained_by_what_the_episode_showed() -> None:
    hung = judge_recording(recording([CALM, *[FULL] * 14], counters={"Tcp.PassiveOpens": 600}))
    assert (hung.whole.cause, diagnosis_of(hung).cause) == ("accept_queue_overflow", "server_not_accepting")


def test_the_end_of_time_is_no_reason_to_fail() -> None:
    """Snapshots of no known time, and of the wrong order, cannot be set against each other."""
    assert judge_recording([moment(float("nan")), moment(5.0), moment(3.0, listeners=[FULL])]).episodes == []
    huge = judge_recording([moment(1e300), moment(2e300, listeners=[FULL]), moment(3e300)])
    assert diagnosis_of(huge).cause == "accept_queue_overflow"


def test_a_recording_in_one_verdict() -> None:
    """Full at two looks; then the server was restarted, so that first and last differ in nothing."""
    found = diagnosis_of(judge_recording(recording([CALM, FULL, FULL, CALM, CALM])))
    assert found.cause == "accept_queue_overflow"
    assert found.summary.endswith(
        "So it was in 2 of 4 intervals of the recording: 02:00:00 to 02:00:02 UTC. "
        "The evidence is of 02:00:00 to 02:00:01."
    )
    assert diagnosis_of(judge_recording(recording([CALM] * 5))).cause is None
    pair = recording([CALM, FULL])
    assert diagnosis_of(judge_recording(pair)) == judge_snapshots(*pair)
    assert diagnosis_of(judge_recording(pair[:1])) == judge_snapshots(None, pair[0])


# Any recording -------------------------------------------------------------------------------------------------------

NIGHTS = st.lists(st.booleans(), min_size=1, max_size=40).map(lambda full: [FULL if now else CALM for now in full])
SLOW = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(NIGHTS)
def test_none_is_invented_and_none_is_lost(night: list[Listener]) -> None:
    """Every interval that the judge accuses lies in an episode, and each episode begins and ends with one."""
    taken = recording(night)
    accused = [b.taken_at_s for a, b in pairwise(taken) if judge_snapshots(a, b).cause]
    found = judge_recording(taken).episodes
    assert sum(episode.intervals for episode in found) == len(accused)
    assert all(any(episode.from_s < at <= episode.to_s for episode in found) for at in accused)
    assert all(episode.to_s in accused and episode.from_s + 1 in accused for episode in found)
    assert all(b.from_s - a.to_s > CALM_S for a, b in pairwise(found))


@SLOW
@given(NIGHTS, NIGHTS, st.randoms())
def test_two_namespaces_in_any_order_are_judged_each_by_itself(
    first: list[Listener], second: list[Listener], random: Any
) -> None:
    streams = [
        recording(night, host=HostFacts(hostname="h", netns_inode=inode)) for inode, night in ((1, first), (2, second))
    ]
    alone = [episode for stream in streams for episode in judge_recording(stream).episodes]
    waiting, mixed = [list(stream) for stream in streams], []
    while any(waiting):
        mixed.append(random.choice([stream for stream in waiting if stream]).pop(0))
    together = judge_recording(mixed).episodes
    assert sorted(map(repr, together)) == sorted(map(repr, alone))
