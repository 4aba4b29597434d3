"""Peers of which nothing comes any more from one moment on, what looks like it, and names with a dead address."""

from __future__ import annotations

import signal
from dataclasses import replace

from tests.field import programs
from tests.field.answers import ROUTED, WIRE, filtered
from tests.field.proof import accepted_some, counted, ruled
from tests.field.situation import Later, Program, Situation, Truth, World, due, healthy, open_to

_ECHO = programs.small("loop")
_CUT = Later(rises=6, after_s=1.0, nft=filtered("ip protocol tcp"))
_NAME = "db.field.test"
_FAILED = frozenset({1})


def _at(name: str, argv: str, where: str) -> Program:
    return Program(name=name, argv=argv, where=where, ready="at once")  # type: ignore[arg-type]


def _alone(situation: Situation, truth: Truth) -> Situation:
    """The same, and only the client's end is seen."""
    story = f"{situation.story[:-1]}; only the client is seen."
    return replace(situation, name=f"{situation.name}_alone", story=story, truth=truth, both_ends=False)


def _named(*addresses: str, **more: object) -> World:
    return World(hosts={_NAME: addresses}, **more)  # type: ignore[arg-type]


_WAY_CUT = Situation(
    name="way_cut_in_mid_bench",
    story="From some moment on the router lets nothing pass, either way.",
    world=ROUTED,
    both_ends=True,
    server=_ECHO,
    later=(_CUT,),
    command="bench {target} -c 6 -d 4 --timeout 1500ms",
    truth=due("peer_vanished"),
    proofs=(ruled("met", 6), accepted_some(6), counted("TcpRetransSegs", 6, at="client")),
)
_STOPPED = Situation(
    name="server_stopped_in_mid_bench_and_its_kernel_answers",
    story="The server's process is stopped while bench asks: its kernel acknowledges what is sent.",
    world=ROUTED,
    server=_ECHO,
    later=(Later(rises=8, after_s=1.0, signal=signal.SIGSTOP),),
    command="bench {target} -c 8 -d 3 --timeout 1500ms",
    truth=open_to("server_not_accepting", quiet=True, exits=_FAILED, never_says=(r"nothing came from the peer",)),
    proofs=(accepted_some(8),),
)

SITUATIONS = (
    _WAY_CUT,
    _alone(_WAY_CUT, due("peer_vanished")),
    Situation(
        name="way_cut_under_trickling_connections",
        story="Connections that ask now and then, each once a second, and the way ends for all of them.",
        world=ROUTED,
        server=programs.node(),
        later=(Later(rises=20, after_s=1.5, nft=filtered("ip protocol tcp")),),
        command="hold {target} -n 20 --trickle 20 -d 5 --timeout 1500ms",
        truth=due("peer_vanished"),
        proofs=(ruled("met", 10), counted("TcpPassiveOpens", 20)),
    ),
    Situation(
        name="host_off_the_link_in_mid_bench",
        story="The server's host loses its link: on the same network, no router says so.",
        world=WIRE,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, start=_at("unplugged", "ip link set veth1 down", "server")),),
        command="bench {target} -c 6 -d 4 --timeout 1500ms",
        truth=due("peer_vanished"),
        proofs=(accepted_some(6), counted("TcpRetransSegs", 6, at="client")),
    ),
    Situation(
        name="router_says_network_unreachable_in_mid_bench",
        story="The router loses its link to the server's network, and says so by ICMP.",
        world=World(shape="routed", sysctls={"router": {"net.ipv4.icmp_ratelimit": 0}}),
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, start=_at("unplugged", "ip link set right1 down", "router")),),
        command="bench {target} -c 6 -d 4 --timeout 1500ms",
        truth=due("peer_vanished", says=(r"10\.1\.0\.254 says: network unreachable",)),
        proofs=(accepted_some(6), counted("IcmpInDestUnreachs", 1, at="client")),
    ),
    Situation(
        name="way_cut_in_mid_churn",
        story="Short connections, and from some moment on the router lets nothing pass.",
        world=ROUTED,
        server=_ECHO,
        later=(Later(rises=80, nft=filtered("ip protocol tcp")),),
        command="churn {target} -s 10 -c 100 --rate 60 -d 4 --timeout 1500ms",
        truth=open_to("peer_vanished", "path_filtered", exits=_FAILED),
        proofs=(ruled("met", 60), accepted_some(80)),
    ),
    Situation(
        name="way_there_cut_and_the_peer_is_heard",
        story="What goes to the server is lost from some moment on; what it repeats still comes: it is there.",
        world=ROUTED,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, nft=filtered("ip daddr 10.2.0.1")),),
        command="bench {target} -c 6 -d 4 --timeout 1500ms",
        truth=open_to("path_data_loss", exits=_FAILED, never_says=(r"nothing came from the peer",)),
        proofs=(ruled("met", 6), accepted_some(6), counted("TcpRetransSegs", 6)),
    ),
    _STOPPED,
    Situation(
        name="server_killed_in_mid_bench_and_its_kernel_resets",
        story="The server is killed while bench asks: its kernel closes what it had, and refuses.",
        world=ROUTED,
        server=_ECHO,
        later=(Later(rises=8, after_s=1.0, signal=signal.SIGKILL),),
        command="bench {target} -c 8 -d 3 --timeout 1500ms",
        truth=open_to("server_died", quiet=True, exits=_FAILED, never_says=(r"nothing came from the peer",)),
        proofs=(accepted_some(8),),
    ),
    Situation(
        name="way_cut_under_ab",
        story="ab asks nginx on connections that it keeps, and the way ends for all of them.",
        world=ROUTED,
        server=programs.nginx(),
        later=(Later(rises=8, after_s=1.0, nft=filtered("ip protocol tcp")),),
        command="run -- ab -q -k -s 4 -c 8 -t 20 -n 10000000 http://{target}/",
        truth=open_to("peer_vanished", says=(r"peer_vanished",), exits=frozenset({119})),
        proofs=(ruled("met", 8), counted("TcpPassiveOpens", 8)),
    ),
    # Names -----------------------------------------------------------------------------------------------------------
    Situation(
        name="first_address_is_nobodys",
        story="The name's first address belongs to no host of its network any more, and the second is the server's.",
        world=_named("10.2.0.77", "10.2.0.1", shape="routed"),
        server=_ECHO,
        command=f"hold {_NAME}:8080 -n 20 -d 1 --timeout 2s",
        truth=due("first_address_dead"),
        proofs=(accepted_some(1),),
    ),
    Situation(
        name="first_address_refuses",
        story="The server's host has both addresses of the name and refuses at the first.",
        world=_named(
            "10.1.0.3", "10.1.0.2", shape="wire",
            commands={"server": ("ip address add 10.1.0.3/24 dev veth1",)},
            nft={"server": filtered("ip daddr 10.1.0.3 tcp dport 8080", "reject with tcp reset", hook="input")},
        ),
        both_ends=True,
        server=_ECHO,
        command=f"bench {_NAME}:8080 -c 10 -d 1",
        truth=due("first_address_dead"),
        proofs=(ruled("met", 10, at="server"), accepted_some(1)),
    ),
    Situation(
        name="second_address_is_dead",
        story="The name's first address is the server's, and its second refuses: nobody is accused.",
        world=_named(
            "10.1.0.2", "10.1.0.3", shape="wire",
            commands={"server": ("ip address add 10.1.0.3/24 dev veth1",)},
            nft={"server": filtered("ip daddr 10.1.0.3 tcp dport 8080", "reject with tcp reset", hook="input")},
        ),
        server=_ECHO,
        command=f"bench {_NAME}:8080 -c 10 -d 1",
        truth=healthy(says=(r"10\.1\.0\.3:8080 refuses",)),
        proofs=(accepted_some(10),),
    ),
    Situation(
        name="curl_goes_on_to_the_second_address",
        story="curl is refused at the name's first address and asks the second: it got what it wanted.",
        world=_named(
            "10.1.0.3", "10.1.0.2", shape="wire",
            commands={"server": ("ip address add 10.1.0.3/24 dev veth1",)},
            nft={"server": filtered("ip daddr 10.1.0.3 tcp dport 8080", "reject with tcp reset", hook="input")},
        ),
        server=programs.nginx(),
        command=f"run -- curl -s -o /dev/null http://{_NAME}:8080/",
        truth=healthy(),  # which connect followed which shows only where each is traced
        proofs=(ruled("met", 1, at="server"), counted("TcpPassiveOpens", 1)),
    ),
)  # fmt: skip
