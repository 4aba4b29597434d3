"""What a server accepted, from queue depth and PassiveOpens: at the edges, and when others listen too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.diagnose import runs

from estab.diagnose import accepts, members
from estab.diagnose.accepts import Accepted, Moment, Standstill, between, standstill, totals
from estab.records import Census, Listener, PortCount, ServerSockets


def moments(*seen: tuple[int, int | None]) -> list[Moment]:
    """(depth, PassiveOpens), one a second."""
    return [Moment(float(at), depth, opened) for at, (depth, opened) in enumerate(seen)]


@pytest.mark.parametrize(
    ("seen", "alone", "least", "most"),
    [
        (moments((0, 7), (0, 7)), True, 0, 0),
        (moments((0, 7), (3, 10)), True, 0, 0),  # three came, all of them wait
        (moments((0, 7), (3, 12)), True, 2, 2),
        (moments((3, 7), (0, 7)), True, 3, 3),
        (moments((0, 7), (3, 12)), False, 0, 2),  # these two may be another listener's
        (moments((3, 7), (1, 12)), False, 2, 7),
        (moments((3, 7), (5, 9), (2, 9), (3, 10)), False, 3, 3),
        (moments((3, None), (1, None)), False, 2, None),
        (moments((3, 12), (1, 7)), False, 2, None),  # the counter began anew
        ([Moment(0.0, 0, 0, held=4), Moment(1.0, 2, 50, held=9)], False, 5, 48),
        ([Moment(0.0, 0, 0, held=9), Moment(1.0, 2, 2, held=4)], True, 0, 0),
    ],
)
def test_bounds(seen: list[Moment], alone: bool, least: int, most: int | None) -> None:
    assert between(seen, alone=alone) == Accepted(seen[-1].at_s, least, most)


def test_one_moment_tells_nothing() -> None:
    assert between(moments((5, 5)), alone=True) is None
    assert between([], alone=True) is None
    assert standstill([], alone=True) is None


def test_what_joins_the_queue_while_it_is_read_is_not_taken_for_an_accept() -> None:
    seen = moments((0, 0), (1, 2), (2, 2), (3, 4), (4, 4))
    assert totals(seen) == [0, 0, 0, 0, 0]
    assert standstill(seen, alone=True) == Standstill(1.0, 4.0, 1, 4, certain=True)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30), st.integers(0, 9))
def test_the_bounds_hold_whatever_comes_and_is_accepted(steps: list[tuple[int, int, bool]], elsewhere: int) -> None:
    """(arrivals, accepts, whether one more arrives between the two readings) a second, and others' connections."""
    depth = opened = accepted = 0
    seen, true = [Moment(0.0, 0, 0, held=0)], [0]
    for at, (arrivals, wanted, late) in enumerate(steps, 1):
        depth, opened = depth + arrivals, opened + arrivals
        taken = min(wanted, depth)
        depth, accepted = depth - taken, accepted + taken
        seen.append(Moment(float(at), depth, opened + late + at * elsewhere))
        true.append(accepted)
        depth, opened = depth + late, opened + late
    for found in (between(seen, alone=False), between(seen, alone=elsewhere == 0)):
        if found is not None and not steps[-1][2]:
            assert found.most is not None
            assert found.least <= accepted <= found.most
    bounds = [bound for bound in totals(seen) if bound is not None]
    assert bounds == sorted(bounds)
    assert all(bound >= so_far for bound, so_far in zip(bounds, true, strict=True))
    still = standstill(seen, alone=elsewhere == 0)
    if still is not None and still.certain:
        first, last = int(still.from_s), int(still.to_s)
        assert true[last] - true[first] <= (first > 0 and steps[first - 1][2])


@pytest.mark.parametrize(
    ("seen", "alone", "still"),
    [
        (moments((0, 0), (0, 5), (0, 9)), True, None),  # nothing ever waited
        (moments((2, 0), (0, 0)), True, None),
        (moments((2, 0), (2, 0), (2, 0)), True, Standstill(0.0, 2.0, 2, 2, certain=True)),
        (moments((5, 0), (2, 0), (4, 2), (4, 2)), True, Standstill(1.0, 3.0, 2, 4, certain=True)),
        # The queue is full all the time, and what is accepted is replaced at once.
        (moments((5, 0), (5, 3), (5, 6)), True, None),
        (moments((5, 0), (5, 3), (5, 6)), False, Standstill(0.0, 2.0, 5, 5, certain=False)),
        (moments((5, None), (5, None)), True, Standstill(0.0, 1.0, 5, 5, certain=False)),
        ([Moment(0.0, 5, 0, 3), Moment(1.0, 5, 2), Moment(2.0, 5, 4, 7), Moment(3.0, 5, 4)], False,
         Standstill(2.0, 3.0, 5, 5, certain=True)),
    ],
)  # fmt: skip
def test_standstill(seen: list[Moment], alone: bool, still: Standstill | None) -> None:
    assert standstill(seen, alone=alone) == still


# A run -------------------------------------------------------------------------------------------------------------


def test_a_run_begins_with_what_waited_before_it() -> None:
    listeners = [Listener(family=4, address="127.0.0.1", port=5000, depth=2, limit=16)]
    sockets = ServerSockets(port=5000, states={"ESTAB": 12}, queued=2, accepted=10)
    before = runs.snapshot(listeners=listeners, states={"LISTEN": 1}, server_sockets=sockets)
    points = [runs.point(0.1, queue_depth=5, passive_opens=4), runs.point(1.1, queue_depth=5, passive_opens=4)]
    server = runs.local(runs.watch(worst_depth=5), before=before, after=before)
    run = runs.run(server=server, timeline=points)
    assert accepts.older(run.server) == (10, 2)
    assert accepts.alone(run)
    assert accepts.over(run) == Accepted(1.1, 1, 1)
    assert standstill(accepts.of_run(run), alone=True) == Standstill(0.1, 1.1, 5, 5, certain=True)
    busy = run.replace(server=server.replace(before=before.replace(states={"LISTEN": 2})))
    assert not accepts.alone(busy)
    assert accepts.over(busy) == Accepted(1.1, 0, 1)


def test_a_server_that_is_not_seen() -> None:
    run = runs.run(server=runs.remote())
    assert accepts.of_run(run) == []
    assert accepts.over(run) is None
    assert accepts.older(run.server) is None
    assert not accepts.alone(run)


def test_one_of_several_listeners_that_does_not_move() -> None:
    depths = [{"1": 0, "2": 3}, {"1": 4, "2": 5}, {"1": 1, "2": 5}, {"1": 2, "2": 5}]
    run = runs.run(timeline=[runs.point(float(at), queue_depths=of_each) for at, of_each in enumerate(depths)])
    assert members.unmoved_s(run, 1) == 1.0
    assert members.unmoved_s(run, 2) == 3.0
    assert members.unmoved_s(run, 9) == 0.0
    assert members.unmoved_s(run.replace(timeline=run.timeline[:1]), 1) == 0.0
    assert members.unmoved_s(run.replace(timeline=[]), 1) is None


# Snapshots ---------------------------------------------------------------------------------------------------------


def test_a_host_between_two_snapshots() -> None:
    ours = Listener(family=4, address="0.0.0.0", port=80, depth=17, limit=16)
    census = Census(
        sockets=40, states={"LISTEN": 2, "ESTAB": 30}, peers=[], ports=[PortCount(port=80, states={"ESTAB": 22})]
    )
    ssh = Listener(family=4, address="0.0.0.0", port=22, depth=0, limit=128)
    counters = {accepts.PASSIVE_OPENS: 1000}
    before = runs.snapshot(listeners=[ours, ssh], counters=counters, census=census, states=census.states)
    after = before.replace(taken_at_s=before.taken_at_s + 5)
    assert accepts.held_at(before, 80) == 5
    seen = accepts.of_snapshots([before, after], 80)
    assert between(seen, alone=accepts.alone_at([before, after], 80)) == Accepted(5.0, 0, 0)
    assert standstill(seen, alone=False) == Standstill(before.taken_at_s, after.taken_at_s, 17, 17, certain=True)
    assert accepts.of_snapshots([before, after], 81) == []
    assert accepts.held_at(before, 22) is None
