"""Servers that answer late, or that are no echo servers; neighbours on the same host; what is said of figures."""

from __future__ import annotations

from tests.field import programs
from tests.field.answers import WIRE
from tests.field.proof import accepted_some, calm, counted, queue_full
from tests.field.situation import Figure, Situation, Truth, healthy

_EXIT_1 = frozenset({1})
_NO_CAUSE = Truth(quiet=True, exits=_EXIT_1)
_HUNG_NEIGHBOUR = (
    programs.small("blocking", "--port 9090 --backlog 4 --accept 0", name="neighbour"),
    programs.clients("--open 20", target="{address}:9090"),
)

SITUATIONS = (
    Situation(
        name="answers_after_10_s",
        story="The first answer would come after 10 s; the timeout of 1 s holds during the run.",
        server=programs.small("loop", "--answer-after 10"),
        command="bench {target} -c 10 -d 3 --timeout 1s",
        truth=Truth(quiet=True, exits=_EXIT_1, never_says=(r"Nothing failed",)),
        proofs=(accepted_some(10), *calm()),
    ),
    Situation(
        name="answers_later_than_the_timeout",
        story="Each answer takes 400 ms and the timeout is 150 ms: slow, and no limit of connections.",
        world=WIRE,
        both_ends=True,
        server=programs.small("loop", "--answer-after 0.4"),
        command="churn {target} -s 64 -c 10 -d 2 --timeout 150ms",
        truth=_NO_CAUSE,
        proofs=(accepted_some(10), *calm()),
    ),
    Situation(
        name="bench_on_http",
        story="nginx is no echo server: it speaks HTTP, and the report says so.",
        server=programs.nginx(),
        command="bench {target} -c 5 -d 2",
        truth=Truth(quiet=True, exits=_EXIT_1, says=(r"HTTP",)),
        proofs=calm(),
    ),
    Situation(
        name="find_rate_on_http",
        story="A search for a rate on nginx stops at once and says that it speaks HTTP.",
        server=programs.nginx(),
        command="bench {target} -c 5 -d 1 --find-rate p99<5ms",
        truth=Truth(quiet=True, exits=frozenset({1, 2, 3}), says=(r"HTTP",), never_says=(r"our own workers",)),
        proofs=calm(),
    ),
    Situation(
        name="bench_on_redis",
        story="redis answers with an error of its protocol.",
        server=programs.redis(),
        command="bench {target} -c 5 -d 2",
        truth=Truth(quiet=True, exits=_EXIT_1, says=(r"redis|RESP",)),
        proofs=calm(),
    ),
    Situation(
        name="limits_beside_a_hung_neighbour",
        story="Limits towards one server do not name another listener of the host, which is full.",
        server=programs.small("loop"),
        before=_HUNG_NEIGHBOUR,
        command="limits {target}",
        truth=Truth(quiet=True, exits=frozenset({0}), never_says=(r":9090",)),
        proofs=(queue_full(port=9090),),
    ),
    Situation(
        name="limits_of_this_host_as_a_client",
        story="Limits of this host as a client do not name a listener that is full as its ceiling.",
        server=programs.small("loop"),
        before=_HUNG_NEIGHBOUR,
        command="limits",
        truth=Truth(quiet=True, exits=frozenset({0, 1}), never_says=(r"Ceiling\W+accept_queue",)),
        proofs=(queue_full(port=9090),),
    ),
    Situation(
        name="embedded_server_beside_a_hung_neighbour",
        story="A hold on estab's own server, while somebody else's listener is full.",
        server=programs.small("loop"),
        before=_HUNG_NEIGHBOUR,
        command="hold -n 50 -d 1",
        truth=healthy(never_says=(r":9090",)),
        proofs=(queue_full(port=9090),),
    ),
    Situation(
        name="hold_beside_an_overflowing_neighbour",
        story="Our server is well; a neighbour's queue overflows all the time.",
        server=programs.small("loop"),
        before=(
            programs.small("blocking", "--port 9090 --backlog 4 --rate 5 --do close", name="neighbour"),
            programs.clients("--churn 60", target="{address}:9090"),
        ),
        command="hold {target} -n 100 -d 2",
        truth=healthy(),
        proofs=(accepted_some(100), counted("TcpExtListenOverflows")),
    ),
    Situation(
        name="churn_beside_an_overflowing_neighbour_two_hosts",
        story="The same with a churn from another host.",
        world=WIRE,
        both_ends=True,
        server=programs.small("loop"),
        before=(
            programs.small("blocking", "--port 9090 --backlog 2 --rate 3 --do close", name="neighbour"),
            programs.clients("--churn 80", target="{address}:9090"),
        ),
        command="churn {target} -s 64 -c 10 --rate 100 -d 3",
        truth=healthy(),
        proofs=(accepted_some(100), counted("TcpExtListenOverflows")),
    ),
    Situation(
        name="apache_holds_silent_clients_back",
        story="Apache by default (TCP_DEFER_ACCEPT) is not told of clients that say nothing; none of them failed.",
        server=programs.apache(workers=50),
        command="hold {target} -n 30 -d 2",
        # Nothing failed, so nobody may be accused; that they were not accepted may be said, and may be the exit code's.
        truth=healthy(exits=frozenset({0, 1})),
        proofs=(counted("TcpExtListenDrops", 0, 0),),
    ),
    Situation(
        name="rate_of_50_is_called_50",
        story="A churn of 50 a second is met, and is called so whatever its drain took.",
        server=programs.small("loop", "--answer-after 0.5"),
        command="churn {target} -s 10 -c 100 --rate 50 --arrivals constant -d 3",
        truth=healthy(
            figures=(Figure(path="funnel.attempted", at_least=140, at_most=152),), says=(r"\b(49|50)(\.\d+)?/s",)
        ),
        proofs=(accepted_some(140), *calm()),
    ),
)
