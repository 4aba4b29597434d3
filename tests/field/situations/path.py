"""What lies between: loss, filters, limits, NAT, dead members, sizes. Both ends, or the client."""

from __future__ import annotations

from dataclasses import replace

from tests.field import programs
from tests.field.answers import (
    PATH_LOSS,
    ROUTED,
    SYN,
    SYN_ACK,
    filtered,
    masqueraded,
    routed,
)
from tests.field.proof import accepted_some, counted, ruled, sockets, tracked
from tests.field.situation import Figure, Later, Situation, Truth, World, due, open_to

_ECHO = programs.small("loop")
_FROM_SERVER = "ip saddr 10.2.0.1"
_FROM_CLIENT = "ip saddr 10.1.0.1"


def _alone(situation: Situation, truth: Truth) -> Situation:
    """The same, and only the client's end is seen."""
    story = f"{situation.story[:-1]}; only the client is seen."
    return replace(situation, name=f"{situation.name}_alone", story=story, truth=truth, both_ends=False)


_SYN_ACKS_LOST = Situation(
    name="syn_acks_lost",
    story="15% of the SYN-ACKs are lost on their way back.",
    world=routed(f"{_FROM_SERVER} {SYN_ACK} numgen random mod 100 < 15"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 120 -d 1",
    truth=due("path_syn_loss"),
    proofs=(ruled("met", 3), counted("TcpExtTCPSynRetrans", 1), counted("TcpExtListenOverflows", 0, 0)),
)
_SYNS_LOST = Situation(
    name="syns_lost",
    story="A quarter of the SYNs is lost on the way.",
    world=routed(f"{_FROM_CLIENT} {SYN} numgen random mod 100 < 25"),
    both_ends=True,
    server=_ECHO,
    command="churn {target} -s 20 -c 50 --rate 50 -d 3",
    truth=due("path_syn_loss"),
    proofs=(ruled("met", 10), counted("TcpExtTCPSynRetrans", 10, at="client")),
)
_ALL_DROPPED = Situation(
    name="all_dropped",
    story="A firewall between drops every SYN to the port.",
    world=routed("tcp dport 8080"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 20 -d 1",
    truth=due(*PATH_LOSS),
    proofs=(ruled("met", 40), counted("TcpPassiveOpens", 0, 0)),
)
_REFUSED_BY_ICMP = Situation(
    name="refused_by_icmp",
    story="A firewall between refuses by ICMP, port unreachable, which connect() returns as ECONNREFUSED.",
    world=routed("tcp dport 8080", "reject", icmp_ratelimit=0),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 25 -d 1",
    truth=due("path_filtered"),
    proofs=(ruled("met", 25), counted("IcmpInDestUnreachs", 25, at="client"), counted("TcpOutRsts", 0, 0)),
)
_REFUSED_NOW_AND_THEN = Situation(
    name="refused_by_icmp_at_a_limited_rate",
    story="The same firewall sends one ICMP a second (icmp_ratelimit), as Linux does by default: the rest times out.",
    world=routed("tcp dport 8080", "reject"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 40 -d 1",
    truth=due("path_filtered"),
    proofs=(ruled("met", 40), counted("IcmpInDestUnreachs", 1, 30, at="client"), counted("TcpPassiveOpens", 0, 0)),
)
_PROHIBITED = Situation(
    name="administratively_prohibited",
    story="A firewall between says by ICMP that it is prohibited.",
    world=routed("tcp dport 8080", "reject with icmp type admin-prohibited", icmp_ratelimit=0),
    both_ends=True,
    server=_ECHO,
    command="churn {target} -c 5 -n 50 -d 2",
    truth=due("path_filtered"),
    proofs=(ruled("met", 50), counted("IcmpInDestUnreachs", 20, at="client")),
)
_REFUSED_BY_RESET = Situation(
    name="refused_by_a_reset_on_the_path",
    story="A firewall between refuses by RST, as if nobody listened; the server's host sent none.",
    world=routed("tcp dport 8080", "reject with tcp reset"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 30 -d 1",
    truth=due("path_filtered"),
    proofs=(ruled("met", 30), counted("TcpOutRsts", 0, 0)),
)
_LIMITED_BY_RESET = Situation(
    name="connections_limited_by_reset",
    story="A rule between lets 20 connections live and resets what comes over it.",
    world=routed(f"tcp dport 8080 {SYN} ct count over 20", "reject with tcp reset"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 70 -d 2",
    truth=due("path_connection_limit"),
    proofs=(ruled("met", 50), counted("TcpOutRsts", 0, 0), sockets("ESTAB", 20, 20)),
)
_LIMITED_BY_ICMP = Situation(
    name="connections_limited_by_icmp",
    story="A rule between lets 35 connections live and says of what comes over it that the port is unreachable.",
    world=routed(f"tcp dport 8080 {SYN} ct count over 35", "reject", icmp_ratelimit=0),
    both_ends=True,
    server=programs.node(),
    command="hold {target} -n 90 --ramp 200 -d 2",
    truth=due("path_connection_limit"),
    proofs=(ruled("met", 55), counted("IcmpInDestUnreachs", 55, at="client"), sockets("ESTAB", 35, 35)),
)
_REFUSED_BY_RATE = Situation(
    name="connects_over_a_rate_are_refused",
    story="A rule between lets 15 connects pass at once and then 5 a second, and resets the others.",
    world=routed(f"tcp dport 8080 {SYN} limit rate over 5/second burst 15 packets", "reject with tcp reset"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 50 -d 2",
    truth=open_to("path_rate_limited", "path_filtered", exits=frozenset({1})),
    proofs=(ruled("met", 30), counted("TcpOutRsts", 0, 0)),
)
_LIMITED_BY_DROP = Situation(
    name="connections_limited_by_drop",
    story="A rule between lets 30 connections live and drops what comes over it.",
    world=routed(f"tcp dport 8080 {SYN} ct count over 30"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 80 -d 2",
    truth=due("path_connection_limit", "path_flow_table_full"),
    proofs=(ruled("met", 50), sockets("ESTAB", 30, 30)),
)
_RATE_LIMITED = Situation(
    name="connects_limited_in_rate",
    story="A rule between lets 20 SYNs a second pass, after a burst of 10; 100 come.",
    world=routed(f"tcp dport 8080 {SYN} limit rate over 20/second burst 10 packets"),
    both_ends=True,
    server=_ECHO,
    command="churn {target} -s 10 -c 200 --rate 100 -d 5 --timeout 1s",
    truth=due("path_rate_limited"),
    proofs=(ruled("met", 100), accepted_some(60)),
)
_QUARTER_OF_PORTS = Situation(
    name="a_quarter_of_the_ports_dead",
    story="What comes from a fixed quarter of the source ports is lost: one leg of four is dead.",
    world=routed("tcp dport 8080 tcp sport & 6 == 2"),
    both_ends=True,
    server=_ECHO,
    command="churn {target} -s 10 -c 200 --rate 60 -d 4 --timeout 2500ms",
    truth=due("path_member_dead"),
    proofs=(ruled("met", 40), accepted_some(90)),
)
_DEAD_BACKEND = Situation(
    name="one_of_three_backends_dead",
    story="A balancer gives each third connection to an address that drops it.",
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
    both_ends=True,
    server=_ECHO,
    command="churn {target} -s 10 -c 150 --rate 45 -d 4 --timeout 2500ms",
    truth=due("path_member_dead"),
    proofs=(ruled("met", 40), accepted_some(90)),
)
_BIG_SEGMENTS_LOST = Situation(
    name="big_segments_lost",
    story="Segments of more than 1,000 bytes vanish, and no ICMP says so; small ones pass.",
    world=routed(f"{_FROM_CLIENT} ip length > 1000"),
    both_ends=True,
    server=_ECHO,
    command="bench {target} -s 4000 -c 5 -d 3 --timeout 1500ms",
    truth=due("path_mtu_blackhole"),
    proofs=(
        ruled("met", 5),
        counted("TcpRetransSegs", 5, at="client"),
        counted("TcpExtTCPSynRetrans", 0, 0, at="client"),
    ),
)
_BIG_ANSWERS_LOST = Situation(
    name="big_answers_lost",
    story="Requests pass, and the server's segments of more than 800 bytes vanish.",
    world=routed(f"{_FROM_SERVER} ip length > 800"),
    both_ends=True,
    server=_ECHO,
    command="bench {target} -s 3000 -c 10 -d 3 --timeout 1500ms",
    truth=due("path_mtu_blackhole"),
    proofs=(ruled("met", 5), counted("TcpRetransSegs", 5)),
)
_PUSHED_LOST = Situation(
    name="data_lost",
    story="Handshakes pass and every segment with data is dropped.",
    world=routed("tcp flags & psh == psh"),
    both_ends=True,
    server=_ECHO,
    command="bench {target} -s 64 -c 8 -d 3 --timeout 1500ms",
    truth=due("path_data_loss"),
    proofs=(ruled("met", 8), accepted_some(8), counted("TcpRetransSegs", 8, at="client")),
)
_ANSWERS_LOST = Situation(
    name="answers_lost_of_short_connections",
    story="Requests arrive at a program that answers each and closes, and what it answers is dropped on the way back.",
    world=routed(f"{_FROM_SERVER} tcp flags & psh == psh"),
    both_ends=True,
    server=programs.small("blocking", "--do echo-one"),
    command="churn {target} -s 40 -c 6 -n 12 -d 4 --timeout 1200ms",
    truth=due("path_data_loss"),
    proofs=(ruled("met", 12), accepted_some(12), counted("TcpRetransSegs", 12)),
)
_HUGE_LOST = Situation(
    name="above_1400_bytes_lost",
    story="A tunnel takes 1,400 bytes and says nothing of what is longer; another program, larger requests.",
    world=routed("ip length > 1400"),
    both_ends=True,
    server=programs.small("blocking", "--do echo-one"),
    command="churn {target} -s 20000 -c 4 -n 8 -d 4 --timeout 1200ms",
    truth=due("path_mtu_blackhole"),
    proofs=(ruled("met", 8), counted("TcpRetransSegs", 8, at="client")),
)
_FORGOTTEN = Situation(
    name="flows_forgotten",
    story="In mid-run a firewall begins to drop what belongs to the connections that it let through before.",
    world=ROUTED,
    both_ends=True,
    server=_ECHO,
    later=(Later(rises=30, after_s=0.8, nft=filtered("tcp dport 8080 tcp flags & syn == 0")),),
    command="hold {target} -n 30 --trickle 60 -d 4 --timeout 1500ms",
    truth=due("path_data_loss", "peer_vanished", "path_idle_timeout"),
    proofs=(ruled("met", 10), accepted_some(30), counted("TcpRetransSegs", 10, at="client")),
)
_NO_ROUTE_BACK = Situation(
    name="no_route_back",
    story="The server's host has no route to the client; SYN cookies are off.",
    world=World(
        shape="routed",
        sysctls={"server": {"net.ipv4.tcp_syncookies": 0}},
        commands={"server": ("ip route del default",)},
    ),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 30 -d 1",
    truth=due("no_route_back"),
    proofs=(counted("IpOutNoRoutes", 30), counted("TcpPassiveOpens", 0, 0)),
)
_REVERSE_PATH = Situation(
    name="reverse_path_filtered",
    story="The server's host would answer by another interface, and rp_filter=1 drops what came by this one.",
    world=World(
        shape="routed",
        sysctls={"server": {"net.ipv4.conf.all.rp_filter": 1}},
        commands={
            "server": (
                "ip link add spare0 type veth peer name spare1",
                "ip link set spare0 up",
                "ip link set spare1 up",
                "ip address add 10.3.0.1/24 dev spare0",
                "ip route add 10.1.0.0/24 dev spare0",
            )
        },
    ),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 40 -d 1",
    truth=due("reverse_path_filtered"),
    proofs=(counted("TcpExtIPReversePathFilter", 40), counted("TcpPassiveOpens", 0, 0)),
)
_NAT = Situation(
    name="nat_of_the_router_out_of_ports",
    story="The router translates to 15 ports: 15 connections to this destination, then every SYN is lost.",
    world=World(shape="routed", nft={"router": masqueraded("30000-30014")}),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 60 -d 2",
    truth=due("nat_ports_exhausted", "path_flow_table_full"),
    proofs=(tracked("drop", 45), sockets("ESTAB", 15, 15)),
)
_CLIENT_ALONE = frozenset({1})
# Raw bits of the transport header: nft then leaves the checksum as it is written.
_SPOILED = Situation(
    name="checksums_spoiled_on_the_way",
    story="A router writes a wrong checksum into all that the client sends, as a tunnel with a broken offload does.",
    world=routed(f"{_FROM_CLIENT} meta l4proto tcp @th,128,16 set 0x5555", "accept"),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 20 -d 1 --timeout 2s",
    truth=due("checksum_errors"),
    proofs=(ruled("met", 40), counted("TcpInCsumErrors", 40), counted("TcpPassiveOpens", 0, 0)),
)
_ANSWERS_SPOILED = Situation(
    name="checksums_of_answers_spoiled",
    story="The same with what the server sends: the SYN-ACKs arrive, and the client's kernel drops them.",
    world=routed(f"{_FROM_SERVER} meta l4proto tcp @th,128,16 set 0x5555", "accept"),
    both_ends=True,
    server=_ECHO,
    command="churn {target} -s 16 -c 5 -n 15 -d 4 --timeout 1200ms",
    truth=due("checksum_errors"),
    proofs=(ruled("met", 15), counted("TcpInCsumErrors", 15, at="client")),
)
_TWICE = filtered(
    f"{_FROM_SERVER} tcp flags & psh == psh dup to 10.1.0.1 device left1", "tcp sequence set 7 accept"
).replace("table inet", "table ip")
_TWICE_NOW_AND_THEN = _TWICE.replace("tcp flags & psh == psh", "ip length > 1000 numgen inc mod 7 == 3")
_UNTRANSLATED = Situation(
    name="segments_that_nat_does_not_translate",
    story="This host masquerades; each answer comes twice, once from far outside of the window.",
    world=World(
        shape="routed",
        nft={"client": masqueraded("20000-29999"), "router": _TWICE},
    ),
    both_ends=True,
    server=_ECHO,
    command="hold {target} -n 40 --trickle 160 -d 2",
    truth=due("conntrack_invalid_reset"),
    # Whether a number is ahead of the window, or behind it and then let pass, is even chance.
    proofs=(ruled("met", 5), tracked("invalid", 5, at="client"), counted("TcpOutRsts", 5, at="client")),
)
_TIME_WAIT = Situation(
    name="time_wait_of_the_server_refuses_a_reused_port",
    story="Two addresses share the few ports of a NAT; the server's TIME_WAIT refuses the younger clock (PAWS).",
    world=World(
        shape="routed",
        nft={"router": masqueraded("30000-30019")},
        sysctls={"router": {"net.netfilter.nf_conntrack_tcp_timeout_time_wait": 1}},
        commands={"client": ("ip address add 10.1.0.2/24 dev left0",)},
    ),
    both_ends=True,
    server=programs.small("blocking", "--do echo-one"),
    command="churn {target} -s 16 -c 4 --rate 15 -d 6 --timeout 1s --first-close server "
    "--source 10.1.0.1 --source 10.1.0.2",
    truth=due("time_wait_refused_by_nat"),
    proofs=(counted("TcpExtPAWSTimewait", 3), counted("TcpExtTCPSynRetrans", 1, at="client")),
)

SITUATIONS = (
    _SYN_ACKS_LOST,
    _alone(_SYN_ACKS_LOST, open_to("path_syn_loss")),
    _SYNS_LOST,
    _alone(_SYNS_LOST, open_to("path_syn_loss")),
    _SPOILED,
    _alone(
        _SPOILED,
        # Only the server's host counts what came to it.
        open_to(*PATH_LOSS, "checksum_errors", exits=_CLIENT_ALONE),
    ),
    _ANSWERS_SPOILED,
    _alone(_ANSWERS_SPOILED, due("checksum_errors")),
    _UNTRANSLATED,
    replace(
        _UNTRANSLATED,
        name="segments_that_nat_does_not_translate_while_the_client_waits",
        story="The same in the midst of long answers: the server is reset, and its client waits for the rest.",
        world=replace(_UNTRANSLATED.world, nft={**_UNTRANSLATED.world.nft, "router": _TWICE_NOW_AND_THEN}),
        command="bench {target} -s 30000 -c 30 -d 2 --timeout 2s",
        proofs=(ruled("met", 5), tracked("invalid", 5, at="client"), counted("TcpEstabResets", 5)),
    ),
    _alone(_UNTRANSLATED, due("conntrack_invalid_reset")),
    _ALL_DROPPED,
    _alone(_ALL_DROPPED, open_to(*PATH_LOSS, exits=_CLIENT_ALONE)),
    _REFUSED_BY_ICMP,
    _alone(
        _REFUSED_BY_ICMP,
        # Only a host or router answers by ICMP: a closed port sends RST.
        open_to("path_filtered", exits=_CLIENT_ALONE, never_says=(r"others succeeded",)),
    ),
    _REFUSED_NOW_AND_THEN,
    _PROHIBITED,
    # EHOSTUNREACH also comes from a router that can't reach the host: what it said may not have come once more.
    _alone(_PROHIBITED, open_to("path_filtered", exits=_CLIENT_ALONE)),
    _REFUSED_BY_RESET,
    _alone(
        _REFUSED_BY_RESET,
        # A reset from a firewall looks as one from the host.
        open_to("nobody_listening", "path_filtered", exits=_CLIENT_ALONE),
    ),
    _LIMITED_BY_RESET,
    _alone(
        _LIMITED_BY_RESET,
        open_to("path_connection_limit", "path_filtered", "server_connection_limit", exits=_CLIENT_ALONE),
    ),
    _LIMITED_BY_ICMP,
    _alone(_LIMITED_BY_ICMP, open_to("path_connection_limit", "path_filtered", exits=_CLIENT_ALONE)),
    _REFUSED_BY_RATE,
    _LIMITED_BY_DROP,
    _alone(
        _LIMITED_BY_DROP,
        # A full NAT or flow table looks the same from here.
        open_to("path_connection_limit", "path_flow_table_full", "nat_ports_exhausted", exits=_CLIENT_ALONE),
    ),
    _RATE_LIMITED,
    _alone(_RATE_LIMITED, open_to("path_rate_limited", exits=_CLIENT_ALONE)),
    _QUARTER_OF_PORTS,
    _alone(_QUARTER_OF_PORTS, open_to("path_member_dead", exits=_CLIENT_ALONE)),
    _DEAD_BACKEND,
    _alone(_DEAD_BACKEND, open_to("path_member_dead", exits=_CLIENT_ALONE)),
    _BIG_SEGMENTS_LOST,
    _alone(_BIG_SEGMENTS_LOST, open_to("path_mtu_blackhole", "path_data_loss", exits=_CLIENT_ALONE)),
    _BIG_ANSWERS_LOST,
    _alone(_BIG_ANSWERS_LOST, open_to("path_mtu_blackhole", exits=_CLIENT_ALONE)),
    _PUSHED_LOST,
    _alone(_PUSHED_LOST, open_to("path_data_loss", "peer_vanished", exits=_CLIENT_ALONE)),
    _ANSWERS_LOST,
    _HUGE_LOST,
    _FORGOTTEN,
    _alone(_FORGOTTEN, open_to("path_data_loss", "peer_vanished", "path_idle_timeout", exits=_CLIENT_ALONE)),
    _NO_ROUTE_BACK,
    _alone(_NO_ROUTE_BACK, open_to("no_route_back", *PATH_LOSS, exits=_CLIENT_ALONE)),
    _REVERSE_PATH,
    _alone(_REVERSE_PATH, open_to(*PATH_LOSS, exits=_CLIENT_ALONE)),
    _NAT,
    _alone(_NAT, open_to("nat_ports_exhausted", "path_flow_table_full", "path_connection_limit", exits=_CLIENT_ALONE)),
    Situation(
        name="dropped_while_others_are_connected",
        story="Another program of this host has 40 connections to the server; then SYNs are dropped on the way.",
        world=ROUTED,
        both_ends=True,
        server=_ECHO,
        before=(programs.clients("--open 40"),),
        later=(Later(nft=filtered(f"tcp dport 8080 {SYN}")),),
        command="hold {target} -n 20 -d 1",
        truth=due(*PATH_LOSS, figures=(Figure(path="funnel.accepted", at_most=0),)),
        proofs=(ruled("met", 20), sockets("ESTAB", 40, 40)),
    ),
    _TIME_WAIT,
    # The client sees SYNs that are lost, and no more.
    _alone(_TIME_WAIT, open_to(*PATH_LOSS, "time_wait_refused_by_nat", exits=_CLIENT_ALONE)),
    Situation(
        name="server_host_drops_syns",
        story="The server's own firewall drops every SYN to the port before TCP sees it.",
        world=World(shape="wire", nft={"server": filtered("tcp dport 8080", hook="input")}),
        both_ends=True,
        server=_ECHO,
        command="hold {target} -n 20 -d 1 --timeout 2s",
        truth=due(*PATH_LOSS, "server_firewall"),
        proofs=(ruled("met", 20, at="server"), counted("TcpPassiveOpens", 0, 0)),
    ),
)
