"""Queues that overflow: because they are short, because accepts are slow, because the program has no turn."""

from __future__ import annotations

import signal

from tests.field import daemons, programs
from tests.field.answers import LONGER_QUEUE, WIRE
from tests.field.proof import accepted_some, counted, had_its_core, queue_full, starved
from tests.field.situation import Later, Situation, World, due

# A longer queue turns away fewer and lets all wait longer: it works only where somebody says by how many seconds.
_DELAYS = (r"^(?!.*(second|\d s\b|delay)).*(backlog|listen\(\d|somaxconn)",)

_TOO_SLOW = due("server_accepts_too_slowly", harmful=LONGER_QUEUE)
_OTHERS = programs.clients("--churn 60 --timeout 1")

SITUATIONS = (
    Situation(
        name="burst_into_a_short_queue",
        story="A program that takes all that wait each 400 ms; 200 come at once, 17 fit.",
        server=programs.small("blocking", "--backlog 16 --burst-every 0.4 --do keep"),
        command="hold {target} -n 200 -d 1",
        truth=due("accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="burst_into_a_short_queue_two_hosts",
        story="The same with other figures, over a wire.",
        world=WIRE,
        both_ends=True,
        server=programs.small("blocking", "--backlog 40 --burst-every 0.7 --do keep"),
        command="hold {target} -n 150 -d 1",
        truth=due("accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="somaxconn_cuts",
        story="The program asks for 1,024, somaxconn grants 16; bursts overflow it.",
        world=World(sysctls={"server": {"net.core.somaxconn": 16}}),
        server=programs.small("blocking", "--backlog 1024 --burst-every 0.4 --do keep"),
        command="hold {target} -n 200 -d 1",
        truth=due("backlog_clamped", "accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="nginx_cut_by_somaxconn",
        story="nginx asks for 511 and gets 32; its worker stands still until some were turned away, then goes on.",
        world=World(sysctls={"server": {"net.core.somaxconn": 32}}),
        server=programs.nginx(),
        later=(
            Later(rises=60, signal=signal.SIGSTOP, children=True),
            Later(counter="ListenOverflows", rises=20, signal=signal.SIGCONT, children=True),
        ),
        command="churn {target} -c 100 --rate 150 -d 3",
        # A raised somaxconn takes effect when listen() is called again: a reload with the same number does not call it.
        truth=due("backlog_clamped", "accept_queue_overflow", harmful=(r"^(?=.*reload)(?!.*(restart|backlog=))",)),
        proofs=(counted("TcpExtListenOverflows", 20),),
    ),
    Situation(
        name="accepts_10_while_50_come",
        story="One accept each 100 ms, and 50 connects a second: a longer queue only delays.",
        server=programs.small("blocking", "--backlog 16 --rate 10 --do close"),
        command="churn {target} -c 200 --rate 50 -d 5 --timeout 1s",
        truth=_TOO_SLOW,
        proofs=(counted("TcpExtListenOverflows"), queue_full(), accepted_some(30)),
    ),
    Situation(
        name="work_of_50_ms_in_the_accepting_thread",
        story="One thread accepts, works 50 ms, answers and closes: 20 a second, and 60 come.",
        world=WIRE,
        both_ends=True,
        server=programs.small("blocking", "--backlog 8 --work 0.05 --do echo-one"),
        command="churn {target} -s 64 -c 100 --rate 60 -d 4 --timeout 1s",
        truth=_TOO_SLOW,
        proofs=(counted("TcpExtListenOverflows"), queue_full(), accepted_some(40)),
    ),
    Situation(
        name="abort_on_overflow_that_met_nobody",
        story="tcp_abort_on_overflow is 1, but what a full queue drops here are SYNs: nobody is reset.",
        world=World(sysctls={"server": {"net.ipv4.tcp_abort_on_overflow": 1}}),
        server=programs.small("blocking", "--backlog 4 --burst-every 0.5 --do keep"),
        command="hold {target} -n 200 -d 1",
        truth=due("accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows"), counted("TcpOutRsts", 0, 0)),
    ),
    Situation(
        name="short_connections_short_timeout",
        story="Bursts of short connections over a queue of 4, whose clients give up after 300 ms.",
        server=programs.small("blocking", "--backlog 4 --burst-every 0.2 --do close"),
        command="churn {target} -c 60 -d 3 --timeout 300ms",
        truth=due("short_connection_storm", "accept_queue_overflow", "server_accepts_too_slowly"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="starved_beside_burners_on_its_core",
        story="The server shares one core with four burners; 1,500 connects a second overflow its queue between turns.",
        server=programs.small("blocking", "--backlog 8 --do close", cpu=0),
        before=programs.burners(4, cpu=0),
        command="churn {target} -c 100 --rate 1500 -d 4",
        truth=due("accept_thread_starved", "server_accepts_too_slowly", never_says=(r"CPU to spare",)),
        proofs=(counted("TcpExtListenOverflows"), starved()),
    ),
    Situation(
        name="node_at_its_one_core",
        story="Node works 20 ms for each request in its only thread: 50 a second at most, and 150 come.",
        server=programs.node(backlog=16, work_ms=20),
        command="churn {target} -s 32 -c 150 --rate 150 -d 4 --timeout 1s",
        truth=due(
            "accept_thread_starved", "server_accepts_too_slowly", "accept_queue_overflow", never_says=(r"CPU to spare",)
        ),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="asyncio_blocked_by_each_request",
        story="A synchronous call of 100 ms stops asyncio's loop at each request; its queue of 10 overflows.",
        server=programs.small("aio", "--backlog 10 --block 0.1"),
        command="churn {target} -s 32 -c 100 --rate 60 -d 4 --timeout 1s",
        truth=due("server_accepts_too_slowly", "accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="paused_for_a_second",
        story="redis stands still for 1.2 s in a churn, as for a big key, and goes on; its queue of 32 overflows.",
        server=programs.redis("--tcp-backlog 32"),
        later=(Later(rises=80, signal=signal.SIGSTOP), Later(after_s=1.2, signal=signal.SIGCONT)),
        command="churn {target} -c 200 --rate 150 -d 4",
        truth=due("accept_queue_overflow", "server_not_accepting"),
        proofs=(counted("TcpExtListenOverflows"), queue_full()),
    ),
    Situation(
        name="slow_to_accept_and_a_neighbour_hung",
        story="Our listener overflows; beside it another one hung with 20 clients of its own.",
        server=programs.small("blocking", "--backlog 16 --burst-every 0.5 --do keep"),
        before=(
            programs.small("blocking", "--port 9090 --backlog 4 --accept 0", name="neighbour"),
            programs.clients("--open 20", target="{address}:9090"),
        ),
        command="hold {target} -n 100 -d 1",
        truth=due("accept_queue_overflow", never_says=(r"neighbour(?!_unresolved)|:9090.{0,40}full",)),
        proofs=(queue_full(), queue_full(port=9090)),
    ),
    Situation(
        name="gunicorn_takes_one_after_the_other",
        story="gunicorn's one worker takes 50 ms for each request, 20 a second at most, and 60 come.",
        server=programs.gunicorn("-w 1 --backlog 16", 0.05),
        command="churn http://{target}/ -c 200 --rate 60 -d 4 --timeout 1s",
        truth=due("server_accepts_too_slowly", harmful=LONGER_QUEUE, says=(r"gunicorn --workers",)),
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), had_its_core(waited_s=0.5)),
    ),
    Situation(
        name="twisted_takes_one_after_the_other",
        story="Twisted works 40 ms for each new connection, 25 a second at most, and 80 come.",
        world=WIRE,
        both_ends=True,
        server=daemons.twisted("time.sleep(0.04)", backlog=12),
        command="churn {target} -s 32 -c 200 --rate 80 -d 4 --timeout 1s",
        truth=_TOO_SLOW,
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), had_its_core(waited_s=0.5)),
    ),
    Situation(
        name="attach_to_a_server_that_is_too_slow",
        story="60 others a second come to a server that takes 15; it is watched for 4 s, as its host sees both.",
        server=programs.small("blocking", "--backlog 16 --rate 15 --do close"),
        before=(_OTHERS,),
        at="server",
        settle_s=1.5,
        command="attach :8080 -d 4",
        truth=due("server_accepts_too_slowly", harmful=LONGER_QUEUE, exits=frozenset({0, 1})),
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), accepted_some(40)),
    ),
    Situation(
        name="attach_to_a_server_whose_clients_are_elsewhere",
        story="The same, with the clients on another host: what was turned away tells how many came.",
        world=WIRE,
        server=programs.small("blocking", "--backlog 16 --rate 15 --do close"),
        before=(_OTHERS,),
        at="server",
        settle_s=1.5,
        command="attach :8080 -d 4",
        truth=due("server_accepts_too_slowly", harmful=LONGER_QUEUE, exits=frozenset({0, 1})),
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), accepted_some(40)),
    ),
    Situation(
        name="all_at_once_at_a_slow_server_and_each_waits",
        story="60 clients ask again only when they were answered, at 20 a second: a queue for all of them holds them.",
        server=programs.small("blocking", "--backlog 8 --work 0.05 --do echo-one"),
        command="churn {target} -s 64 -c 60 -d 5 --timeout 10s",
        truth=due("accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), had_its_core(waited_s=0.5)),
    ),
    Situation(
        name="attach_to_a_server_that_takes_all_now_and_then",
        story="60 others a second come to a server that takes all that wait each 700 ms: a queue of 16 is short.",
        server=programs.small("blocking", "--backlog 16 --burst-every 0.7 --do close"),
        before=(_OTHERS,),
        at="server",
        settle_s=1.5,
        command="attach :8080 -d 4",
        truth=due("accept_queue_overflow", exits=frozenset({0, 1})),
        proofs=(counted("TcpExtListenOverflows", 20), queue_full(), accepted_some(40)),
    ),
)
