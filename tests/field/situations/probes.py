"""Probes of a path: the client alone, which is what most people have."""

from __future__ import annotations

import signal
from typing import Any

from tests.field import programs
from tests.field.answers import LONGER_QUEUE, ROUTED, SYN, filtered, masqueraded, routed
from tests.field.proof import accepted_some, counted, ruled, sockets, tracked
from tests.field.situation import PORT, Figure, Later, Situation, Truth, World, due, healthy, open_to

_ECHO = programs.small("loop")
_FROM_SERVER = "ip saddr 10.2.0.1"
_FROM_CLIENT = "ip saddr 10.1.0.1"
_FAILED = frozenset({1})
_BOUNDED = (Figure(path="probes.connects", at_least=1, at_most=99), Figure(path="probes.seconds", at_most=30))


def _passes(size: int, **more: Any) -> Truth:
    """Packets of up to so many bytes pass, and none of one more."""
    figures = (
        Figure(path="size_probe.passes_bytes", at_least=size, at_most=size),
        Figure(path="size_probe.loses_bytes", at_least=size + 1, at_most=size + 1),
    )
    return due("path_mtu_blackhole", figures=(*_BOUNDED, *figures), harmful=LONGER_QUEUE, **more)


def _well(**more: Any) -> Truth:
    return healthy(figures=_BOUNDED, **more)


SITUATIONS = (
    Situation(
        name="probe_by_size_finds_1000_bytes",
        story="Packets of more than 1,000 bytes to the server vanish; a probe by size finds the number.",
        world=routed(f"{_FROM_CLIENT} ip length > 1000"),
        server=_ECHO,
        command="probe {target} --size 4k",
        truth=_passes(1000, says=(r"to the server of up to 1,000 bytes pass",)),
        proofs=(ruled("met", 5), accepted_some(10)),
    ),
    Situation(
        name="probe_by_size_finds_797_bytes_of_answers",
        story="Packets of more than 797 bytes from the server vanish, and requests of any size pass.",
        world=routed(f"{_FROM_SERVER} ip length > 797"),
        server=_ECHO,
        command="probe {target} --size 3k",
        truth=_passes(797, says=(r"from the server of up to 797 bytes pass",)),
        proofs=(ruled("met", 5), accepted_some(10)),
    ),
    Situation(
        name="probe_by_size_finds_1399_bytes_of_nginx",
        story="Packets of more than 1,399 bytes from nginx vanish, which answers by a page of 3 kB.",
        world=routed(f"{_FROM_SERVER} ip length > 1399"),
        server=programs.nginx(server=f"return 200 {'x' * 3000};"),
        command="probe http://{target}/",
        truth=_passes(1399, says=(r"from the server",)),
        proofs=(ruled("met", 5),),
    ),
    Situation(
        name="probe_by_size_finds_1288_bytes_to_nginx",
        story="Packets of more than 1,288 bytes to nginx vanish; a request of HTTP is made long enough to show it.",
        world=routed(f"{_FROM_CLIENT} ip length > 1288"),
        server=programs.nginx(),
        command="probe http://{target}/",
        truth=_passes(1288, says=(r"to the server",)),
        proofs=(ruled("met", 5),),
    ),
    Situation(
        name="bench_by_size_finds_1207_bytes",
        story="Packets of more than 1,207 bytes vanish under a load; its probes find the number.",
        world=routed("ip length > 1207"),
        server=_ECHO,
        command="bench {target} -s 4000 -c 5 -d 2 --timeout 1s --probe",
        truth=_passes(1207),
        proofs=(ruled("met", 5),),
    ),
    Situation(
        name="probe_meets_a_quarter_of_the_ports_dead",
        story="What comes from a fixed quarter of the local ports is lost: one leg of four is dead.",
        world=routed("tcp dport 8080 tcp sport & 6 == 2"),
        server=_ECHO,
        command="probe {target}",
        truth=due("path_member_dead", figures=_BOUNDED, says=(r"\((23|24|25|26|27|28)%\)",)),
        proofs=(ruled("met", 40), accepted_some(40)),
    ),
    Situation(
        name="probe_meets_a_third_of_the_backends_dead",
        story="A balancer gives each third SYN to an address that drops it, also one that is sent again.",
        world=World(
            shape="routed",
            nft={
                "router": filtered(
                    "ip daddr 10.2.0.99",
                    before="chain choosing { type nat hook prerouting priority dstnat; tcp dport 8080 "
                    "dnat ip to numgen inc mod 3 map { 0 : 10.2.0.1, 1 : 10.2.0.1, 2 : 10.2.0.99 }\n}",
                )
            },
        ),
        server=_ECHO,
        command="probe {target}",
        truth=due("path_member_dead", figures=_BOUNDED, says=(r"each third was lost",)),
        proofs=(ruled("met", 20), accepted_some(35)),
    ),
    Situation(
        name="churn_whose_probes_meet_a_dead_member",
        story="The same quarter of the ports under a load, whose counts alone leave it open.",
        world=routed("tcp dport 8080 tcp sport & 6 == 4"),
        server=_ECHO,
        command="churn {target} -s 10 -c 100 --rate 40 -d 3 --timeout 2500ms --probe",
        truth=due("path_member_dead", figures=_BOUNDED),
        proofs=(ruled("met", 40), accepted_some(80)),
    ),
    Situation(
        name="probe_meets_loss_by_chance",
        story="A quarter of the SYNs from the client is lost by chance, whatever their port.",
        world=routed(f"{_FROM_CLIENT} {SYN} numgen random mod 100 < 25"),
        server=_ECHO,
        command="probe {target}",
        # Of 24 connects to another port two must lose a SYN too, which chance leaves out in one of some fifty.
        truth=open_to("path_syn_loss", figures=_BOUNDED, harmful=LONGER_QUEUE),
        proofs=(ruled("met", 10),),
    ),
    Situation(
        name="probe_meets_loss_by_chance_to_one_port",
        story="A quarter of the SYNs to this port alone is lost by chance, as a queue that is full at times would do.",
        world=routed(f"tcp dport 8080 {SYN} numgen random mod 100 < 25"),
        server=_ECHO,
        command="probe {target}",
        # A server's own queue can't be told from it.
        truth=open_to("path_syn_loss", exits=frozenset({0, 1})),
        proofs=(ruled("met", 10),),
    ),
    Situation(
        name="hold_whose_probes_meet_a_full_table",
        story="The router knows 30 flows at most, whatever their port, and drops what is beyond; ping too.",
        world=routed("ct state new ct count over 30"),
        server=_ECHO,
        command="hold {target} -n 70 -d 1 --probe",
        truth=due("path_flow_table_full", figures=_BOUNDED, harmful=LONGER_QUEUE),
        # A ping is a flow as well.
        proofs=(ruled("met", 40), sockets("ESTAB", 28, 30)),
    ),
    Situation(
        name="hold_whose_probes_meet_a_limit_of_one_port",
        story="A rule lets 30 connections to this port live and drops what comes over it; other ports are free.",
        world=routed(f"tcp dport 8080 {SYN} ct count over 30"),
        server=_ECHO,
        command="hold {target} -n 80 --trickle 60 -d 2 --probe",
        truth=open_to(
            "path_connection_limit", "nat_ports_exhausted", exits=_FAILED, never_says=(r"Possible.*flow_table",)
        ),
        proofs=(ruled("met", 50), sockets("ESTAB", 30, 30)),
    ),
    Situation(
        name="hold_whose_probes_meet_a_nat_without_ports",
        story="The router translates to 15 ports: 15 connections to this destination; another port is free.",
        world=World(shape="routed", nft={"router": masqueraded("30000-30014")}),
        server=_ECHO,
        command="hold {target} -n 60 --trickle 60 -d 2 --probe",
        # Both ends have private addresses: a rule that drops what is over 15 looks the same from here.
        truth=open_to("nat_ports_exhausted", exits=_FAILED, never_says=(r"Possible.*flow_table",)),
        proofs=(tracked("drop", 45), sockets("ESTAB", 15, 15)),
    ),
    Situation(
        name="probe_meets_a_filter",
        story="A firewall drops every SYN to the port; the host answers at others.",
        world=routed("tcp dport 8080"),
        server=_ECHO,
        command="probe {target}",
        # A full queue is as silent.
        truth=open_to("path_filtered", exits=_FAILED, says=(r"though its host answers",)),
        proofs=(ruled("met", 20), counted("TcpPassiveOpens", 0, 0)),
    ),
    Situation(
        name="probe_meets_a_host_that_is_not_there",
        story="Nothing behind the router has the address, and the router says nothing: all is dropped.",
        world=routed("ip daddr 10.2.0.1"),
        server=_ECHO,
        command="probe {target}",
        truth=open_to("path_filtered", exits=_FAILED, says=(r"nothing else of the host answers",)),
        proofs=(ruled("met", 20), counted("TcpPassiveOpens", 0, 0)),
    ),
    Situation(
        name="probe_meets_nobody",
        story="Nothing listens on the port.",
        world=ROUTED,
        command="probe {target}",
        truth=due("nobody_listening", figures=_BOUNDED),
        proofs=(counted("TcpOutRsts", 10),),
    ),
    Situation(
        name="probe_meets_loss_of_all_data",
        story="Handshakes pass and every segment with data is dropped.",
        world=routed("tcp flags & psh == psh"),
        server=_ECHO,
        command="probe {target} --size 64",
        truth=due("path_data_loss", figures=_BOUNDED, harmful=LONGER_QUEUE),
        proofs=(ruled("met", 4), accepted_some(4)),
    ),
    Situation(
        name="probe_of_a_server_that_hangs",
        story="The server is stopped: its kernel takes connections and acknowledges what is asked, and nothing comes.",
        world=ROUTED,
        server=_ECHO,
        before=(programs.clients("--open 1"),),
        later=(Later(signal=signal.SIGSTOP),),
        command="probe {target} --size 4k",
        # Only the client is seen: that nobody accepts shows at the server alone.
        truth=Truth(quiet=True, exits=_FAILED),
        proofs=(sockets("ESTAB", 1),),
    ),
    Situation(
        name="probe_of_a_full_queue",
        story="A server accepts nobody and its queue of 5 is full: SYNs are as silent as behind a filter.",
        world=ROUTED,
        server=programs.compiled(4, 1),
        before=(programs.clients("--open 6"),),
        command="probe {target}",
        truth=Truth(possible=frozenset({"path_filtered"}), quiet=True, exits=_FAILED),
        proofs=(counted("TcpExtListenOverflows", 10),),
    ),
    Situation(
        name="probe_meets_a_router_that_forgets",
        story="A router forgets what rests for 2 s.",
        world=World(
            shape="routed",
            nft={"router": filtered("ct state invalid")},
            sysctls={
                "router": {
                    "net.netfilter.nf_conntrack_tcp_timeout_established": 2,
                    "net.netfilter.nf_conntrack_tcp_loose": 0,
                }
            },
        ),
        server=_ECHO,
        command="probe {target} --idle 4s --timeout 1500ms",
        truth=due("path_idle_timeout", figures=_BOUNDED),
        proofs=(ruled("met", 2), accepted_some(10)),
    ),
    Situation(
        name="probe_of_a_healthy_echo_server",
        story="An echo server behind a router: every probe passes.",
        world=ROUTED,
        server=_ECHO,
        command="probe {target} --size 4k",
        truth=_well(says=(r"60 of 60 got through", r"up to 1,500 bytes pass")),
        proofs=(accepted_some(60),),
    ),
    Situation(
        name="probe_of_nginx",
        story="nginx with its defaults, asked for a page.",
        world=ROUTED,
        server=programs.nginx(),
        command="probe http://{target}/",
        truth=_well(),
        proofs=(counted("TcpPassiveOpens", 60),),
    ),
    Situation(
        name="probe_of_redis_that_rests",
        story="redis, asked by its own words, after a rest too.",
        world=ROUTED,
        server=programs.redis(),
        command=r"probe {target} --request 'PING\r\n' --until 'PONG\r\n' --idle 3s",
        truth=_well(),
        proofs=(counted("TcpPassiveOpens", 60),),
    ),
    Situation(
        name="probe_where_all_else_is_dropped",
        story="A firewall lets this port pass and drops all else, ping included.",
        world=World(
            shape="routed",
            nft={
                "router": filtered(
                    f"ip daddr 10.2.0.1 tcp dport != {PORT}",
                    before="chain pings { type filter hook forward priority 1; icmp type echo-request drop\n}",
                )
            },
        ),
        server=_ECHO,
        command="probe {target} --size 4k",
        truth=_well(),
        proofs=(accepted_some(60),),
    ),
    Situation(
        name="probe_over_a_smaller_mtu_that_is_said",
        story="The way takes 1,300 bytes, and the router says so by ICMP: nothing is lost for good.",
        world=World(
            shape="routed",
            commands={
                "router": tuple(
                    f"ip route change {net}.0/24 dev {link} proto kernel scope link src {net}.254 mtu lock 1300"
                    for net, link in (("10.1.0", "left1"), ("10.2.0", "right1"))
                )
            },
        ),
        server=_ECHO,
        command="probe {target} --size 4k",
        truth=_well(),
        proofs=(accepted_some(60),),
    ),
)
