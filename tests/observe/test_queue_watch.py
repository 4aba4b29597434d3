from __future__ import annotations

import pytest

from estab.observe.queue_watch import QueueNow, QueueWatch
from estab.records import Listener, ListenerWatch, ServerSockets


def seen(depth: int, limit: int = 4, *, inode: int = 10, drops: int | None = 0) -> Listener:
    return Listener(family=4, address="127.0.0.1", port=80, depth=depth, limit=limit, inode=inode, drops=drops)


def watched(*samples: list[Listener], before: tuple[Listener, ...] = ()) -> ListenerWatch | None:
    queue = QueueWatch()
    queue.start(before)
    for sample in samples:
        queue.add(sample)
    return queue.result()


@pytest.mark.parametrize(
    ("depths", "worst", "last", "full", "rose_only"),
    [
        ([0, 0, 0], 0, 0, 0, False),
        ([0, 1, 3, 3], 3, 3, 0, True),
        ([1, 2, 1], 2, 1, 0, False),
        ([4, 4], 4, 4, 0, True),
        ([5, 5, 5], 5, 5, 3, True),
        ([6], 6, 6, 1, True),
        ([5, 0], 5, 0, 1, False),
        ([0, 5, 5, 4], 5, 4, 2, False),
    ],
)
def test_depths(depths: list[int], worst: int, last: int, full: int, rose_only: bool) -> None:
    result = watched(*([seen(depth)] for depth in depths))
    assert result is not None
    assert (result.worst_depth, result.last_depth, result.full_samples, result.rose_only) == (
        worst,
        last,
        full,
        rose_only,
    )
    assert (result.samples, result.limit, result.listeners) == (len(depths), 4, 1)
    assert (result.queued_at_end, result.accepted_at_end) == (None, None)


def test_nothing_ever_listened() -> None:
    assert watched() is None
    assert watched([], []) is None
    assert watched(before=(seen(0),)) is None


@pytest.mark.parametrize(
    ("before", "now", "drops"),
    [((seen(0, drops=7),), 9, 2), ((), 9, 9), ((seen(0, drops=None),), 9, None), ((seen(0, drops=2**32 - 1),), 1, 2)],
)
def test_drops_are_this_runs(before: tuple[Listener, ...], now: int, drops: int | None) -> None:
    queue = QueueWatch()
    queue.start(before)
    assert queue.add([seen(0, drops=now)]).drops == drops
    result = queue.result()
    assert result is not None
    assert result.drops == drops


def test_kernels_without_drops() -> None:
    assert QueueWatch().add([seen(1, drops=None)]) == QueueNow(depth=1, limit=4, drops=None)


def test_sums_over_many_listeners_and_the_fullest_of_them() -> None:
    queue = QueueWatch()
    now = queue.add([seen(number % 3, inode=10 * number + 10, drops=1) for number in range(200)])
    assert (now.depth, now.limit, now.drops) == (199, 800, 200)
    assert now.depths == {str(10 * number + 10): number % 3 for number in range(200) if number % 3}
    queue.add([seen(3, inode=1500, drops=1), seen(2, inode=20)])
    result = queue.result()
    assert result is not None
    assert (result.listeners, result.worst_depth, result.samples, result.drops) == (200, 3, 2, 1)
    assert queue.worst_depth(1500) == 3
    assert queue.worst_depth(77) is None


def test_full_is_by_the_limit_not_by_the_depth() -> None:
    result = watched([seen(50, 100, inode=10), seen(5, 4, inode=20)])
    assert result is not None
    assert (result.worst_depth, result.limit) == (5, 4)


def test_a_listener_that_closes_keeps_what_it_dropped() -> None:
    queue = QueueWatch()
    queue.start([seen(0, inode=10, drops=1)])
    queue.add([seen(5, inode=10, drops=4)])
    assert queue.add([]) == QueueNow(depth=None, limit=None, drops=3)
    assert queue.add([seen(0, inode=20, drops=2)]) == QueueNow(depth=0, limit=4, drops=5)
    result = queue.result()
    assert result is not None
    assert (result.listeners, result.worst_depth, result.drops) == (1, 5, 3)


def test_listen_called_again_changes_the_limit() -> None:
    result = watched([seen(5, 4)], [seen(6, 100)])
    assert result is not None
    assert (result.limit, result.full_samples) == (100, 1)


def test_settled() -> None:
    queue = QueueWatch()
    queue.add([seen(3)])
    queue.settled(ServerSockets(port=80, states={"ESTAB": 10}, queued=3, accepted=7))
    result = queue.result()
    assert result is not None
    assert (result.queued_at_end, result.accepted_at_end) == (3, 7)


@pytest.mark.parametrize(("queued", "accepted", "at_end"), [(1, 9, (1, 9)), (0, 5, (3, 7)), (3, 7, (3, 7))])
def test_a_server_that_was_behind_is_asked_again_before_all_is_closed(
    queued: int, accepted: int, at_end: tuple[int, int]
) -> None:
    """Where it has closed some by then, the first answer stands."""
    queue = QueueWatch()
    queue.add([seen(3)])
    queue.closing(ServerSockets(port=80, states={"ESTAB": 10}, queued=queued, accepted=accepted))
    assert not queue.some_waited
    queue.settled(ServerSockets(port=80, states={"ESTAB": 10}, queued=3, accepted=7))
    assert queue.some_waited
    queue.closing(ServerSockets(port=80, states={"ESTAB": 10}, queued=queued, accepted=accepted))
    result = queue.result()
    assert result is not None
    assert (result.queued_at_end, result.accepted_at_end) == at_end
