"""Kinds that need more of the kernel: half-open queues, aborts, NAT in between, limits of the server's own firewall."""

from __future__ import annotations

import signal

from tests.field import daemons, packages, programs
from tests.field.answers import (
    LONGER_QUEUE,
    NOTHING_OF_THE_QUEUE,
    ROUTED,
    STOPPED,
    SYN,
    SYN_ACK,
    WIRE,
    filtered,
)
from tests.field.proof import accepted_some, calm, counted, queue_flat, ruled, sockets, waiting
from tests.field.situation import Later, Situation, World, due, healthy, open_to

SITUATIONS = (
    Situation(
        name="half_open_queue_full",
        story="60 others never end their handshakes; without cookies the queue of half-open ones has no room.",
        world=World(
            shape="routed",
            sysctls={"server": {"net.ipv4.tcp_syncookies": 0, "net.ipv4.tcp_max_syn_backlog": 16}},
            nft={"router": filtered(f"tcp sport 8080 {SYN_ACK}", hook="input")},
        ),
        both_ends=True,
        server=daemons.twisted(backlog=512),
        before=(programs.clients("--open 60", where="router"),),
        command="hold {target} -n 30 -d 2",
        truth=due("syn_queue_overflow"),
        proofs=(ruled("met", 12), sockets("SYN-RECV", 10)),
    ),
    Situation(
        name="aborts_on_overflow",
        story="The server's host resets what its queue of 8 has no room for (tcp_abort_on_overflow); Twisted is slow.",
        world=World(shape="wire", sysctls={"server": {"net.ipv4.tcp_abort_on_overflow": 1}}),
        both_ends=True,
        server=daemons.twisted("time.sleep(0.05)", backlog=8),
        command="hold {target} -n 80 -d 2",
        truth=due("abort_on_overflow", "accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows", 10),),
    ),
    Situation(
        name="translated_on_the_way",
        story="The router gives what asks its port 80 to the server (DNAT); all is well.",
        world=World(
            shape="routed",
            nft={
                "router": "table ip field { chain choosing { type nat hook prerouting priority dstnat; "
                "tcp dport 80 dnat to 10.2.0.1:8080\n}\n}"
            },
        ),
        server=daemons.slapd(),
        command="hold 10.1.0.254:80 -n 60 -d 2",
        truth=healthy(),
        proofs=(sockets("ESTAB", 60), *calm()),
    ),
    Situation(
        name="haproxy_gives_up_on_a_hung_backend",
        story="haproxy's backend accepts nothing: after a second haproxy closes its clients.",
        world=WIRE,
        both_ends=True,
        server=programs.haproxy("127.0.0.1:9000"),
        before=(programs.small("blocking", "--port 9000 --backlog 2 --accept 0", name="backend"),),
        command="hold {target} -n 25 -d 3",
        truth=open_to("proxy_backend_unreachable", "server_idle_close", quiet=True, exits=frozenset({1})),
        proofs=(sockets("ESTAB", 25),),
    ),
    Situation(
        name="server_refuses_beyond_18_by_its_firewall",
        story="The server's own firewall lets 18 connections of an address live and resets what comes beyond.",
        world=World(
            shape="wire",
            nft={"server": filtered(f"tcp dport 8080 {SYN} ct count over 18", "reject with tcp reset", hook="input")},
        ),
        both_ends=True,
        server=daemons.slapd(),
        command="hold {target} -n 60 -d 2",
        truth=due("path_connection_limit", harmful=NOTHING_OF_THE_QUEUE),
        proofs=(ruled("met", 42, at="server"), sockets("ESTAB", 18, 18)),
    ),
    Situation(
        name="squid_holds_1500",
        story="squid keeps 1,500 silent clients.",
        world=WIRE,
        both_ends=True,
        server=daemons.squid(),
        command="hold {target} -n 1500 --ramp 1000 -d 2",
        truth=healthy(),
        proofs=(sockets("ESTAB", 1400), *calm()),
    ),
    Situation(
        name="most_ports_in_use",
        story="Of 200 local ports 150 are in use, and 30 more are wanted.",
        world=World(sysctls={"client": {"net.ipv4.ip_local_port_range": "42000 42199"}}),
        server=daemons.twisted(backlog=150),
        before=(programs.clients("--open 150"),),
        command="hold {target} -n 30 -d 1",
        truth=healthy(),
        proofs=(sockets("ESTAB", 180),),
    ),
    Situation(
        name="caddy_stopped_and_goes_on",
        story="Caddy stands still for 700 ms in a churn, and goes on; nobody waits too long.",
        server=daemons.caddy(),
        later=(
            Later(rises=60, signal=signal.SIGSTOP),
            Later(after_s=0.7, signal=signal.SIGCONT),
        ),
        command="churn {target} -c 60 --rate 50 -d 4",
        truth=healthy(),
        proofs=(counted("TcpPassiveOpens", 150), counted("TcpExtListenOverflows", 0, 0)),
    ),
    Situation(
        name="mariadb_churned_by_whom_it_blocks",
        story="MariaDB with a thread for each connection, connects that close at once.",
        world=ROUTED,
        both_ends=True,
        server=packages.mariadb("--max-connect-errors=100000"),
        command="churn {target} -c 20 --rate 60 -d 2",
        truth=healthy(),
        proofs=(counted("TcpPassiveOpens", 80), *calm()),
    ),
    Situation(
        name="syns_lost_to_half_of_the_ports",
        story="What comes from odd source ports is lost: one leg of two is dead; Caddy, and only the client is seen.",
        world=World(shape="routed", nft={"router": filtered("tcp dport 8080 tcp sport & 2 == 2")}),
        server=daemons.caddy(),
        command="churn {target} -c 200 --rate 50 -d 4 --timeout 2500ms",
        truth=open_to("path_member_dead", "path_syn_loss", exits=frozenset({1})),
        proofs=(ruled("met", 40), counted("TcpPassiveOpens", 60)),
    ),
    Situation(
        name="beanstalkd_descriptors_in_a_churn",
        story="beanstalkd may have 24 descriptors; 60 at a time come and stay for a while.",
        server=packages.beanstalkd(nofile=24),
        command="bench {target} -c 60 -d 3 --timeout 1500ms",
        truth=open_to("server_open_files", *STOPPED, harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(20), queue_flat()),
    ),
    Situation(
        name="answers_stop_in_mid_bench",
        story="All that the server sends is lost from some moment on, in a bench against Twisted.",
        world=ROUTED,
        both_ends=True,
        server=daemons.twisted(),
        later=(Later(rises=6, after_s=1.0, nft=filtered("ip saddr 10.2.0.1")),),
        command="bench {target} -c 6 -d 4 --timeout 1500ms",
        truth=open_to("path_data_loss", "peer_vanished", exits=frozenset({1})),
        proofs=(ruled("met", 6), accepted_some(6)),
    ),
)
