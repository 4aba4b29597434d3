"""Servers that accepted some and then none any more, or no more than so many at once."""

from __future__ import annotations

import signal

from tests.field import programs
from tests.field.proof import accepted, accepted_some, queue_flat, sockets, waiting
from tests.field.situation import Figure, Later, Situation, Truth, World, due

# Either is right: which of them it is shows only when a connection closes and one more is accepted, or is not.
STOPPED = ("server_not_accepting", "server_connection_limit")
# A longer queue keeps more waiting, for nobody.
_LONGER_QUEUE = (r"listen\(\d", r"backlog", r"somaxconn", r"SO_REUSEPORT")
_STOPPED = due(*STOPPED, harmful=_LONGER_QUEUE)
WIRE = World(shape="wire")
ROUTED = World(shape="routed")


def stopped(completed: int) -> Truth:
    """The truth where so many were accepted: what waits in the queue for ever was not completed."""
    return due(*STOPPED, harmful=_LONGER_QUEUE, figures=(Figure(path="funnel.completed", at_most=completed),))


SITUATIONS = (
    Situation(
        name="accepts_5_then_sleeps",
        story="A single thread accepts 5 and sleeps; its queue of 16 fills.",
        server=programs.small("blocking", "--backlog 16 --accept 5"),
        command="hold {target} -n 100 -d 2",
        truth=stopped(5),
        proofs=(accepted(5), waiting(17), queue_flat()),
    ),
    Situation(
        name="accepts_5_then_sleeps_long_queue",
        story="The same with a queue of 1,024: all are connected, and 95 are never accepted.",
        server=programs.small("blocking", "--backlog 1024 --accept 5"),
        command="hold {target} -n 100 -d 2",
        truth=stopped(5),
        proofs=(accepted(5), waiting(95), queue_flat()),
    ),
    Situation(
        name="accepts_37_of_200_two_hosts",
        story="A server on another host accepts 37 and then none.",
        world=WIRE,
        both_ends=True,
        server=programs.small("blocking", "--backlog 64 --accept 37"),
        command="hold {target} -n 200 -d 2 --timeout 2s",
        truth=stopped(37),
        proofs=(accepted(37), waiting(65), queue_flat()),
    ),
    Situation(
        name="pool_of_5_keeps_its_connections",
        story="Five threads keep one connection each; the rest waits in a queue of 128 that has room.",
        server=programs.small("pool", "--threads 5 --backlog 128"),
        command="hold {target} -n 40 -d 2",
        truth=stopped(5),
        proofs=(accepted_some(5), waiting(35), queue_flat()),
    ),
    Situation(
        name="stopped_in_mid_churn",
        story="The server is stopped (SIGSTOP) 1.5 s after the churn began.",
        server=programs.small("loop", "--backlog 64"),
        later=(Later(after_s=1.5, signal=signal.SIGSTOP),),
        command="churn {target} -c 20 -d 4 --rate 100 --timeout 2s",
        truth=_STOPPED,
        proofs=(accepted_some(20), waiting(65), queue_flat()),
    ),
    Situation(
        name="stopped_in_mid_churn_short_timeout",
        story="The same, and the clients give up after 300 ms.",
        server=programs.small("loop", "--backlog 64"),
        later=(Later(after_s=1.5, signal=signal.SIGSTOP),),
        command="churn {target} -c 50 -d 4 --rate 200 --timeout 300ms",
        truth=_STOPPED,
        proofs=(accepted_some(20), waiting(65), queue_flat()),
    ),
    Situation(
        name="hung_with_older_connections",
        story="Ten were accepted before the run, then the server hung.",
        server=programs.small("blocking", "--backlog 16 --accept 10"),
        before=(programs.clients("--open 10"),),
        command="hold {target} -n 50 -d 2",
        truth=stopped(0),
        proofs=(accepted(10), waiting(17), queue_flat()),
    ),
    Situation(
        name="memcached_says_too_many",
        story="memcached -c 50 tells what is over its limit so, and closes it.",
        server=programs.memcached("-c 50"),
        command="hold {target} -n 120 -d 2",
        truth=due("server_connection_limit", harmful=(*_LONGER_QUEUE, r"nofile", r"ulimit")),
        proofs=(sockets("ESTAB", 20, 45),),
    ),
)
