"""The client's own host: ports, its filter, its neighbours, its NAT, its limits, its generator."""

from __future__ import annotations

from tests.field import programs
from tests.field.answers import WIRE, filtered, masqueraded
from tests.field.proof import accepted_some, counted, logged, ruled, sockets, starved, tracked
from tests.field.situation import Situation, Truth, World, due, open_to

_ECHO = programs.small("loop")
_EXIT_1 = frozenset({1})


def _few_ports(low: int, high: int, shape: str = "wire") -> World:
    ports = {"client": {"net.ipv4.ip_local_port_range": f"{low} {high}"}}
    return World(shape=shape, sysctls=ports)  # type: ignore[arg-type]


SITUATIONS = (
    Situation(
        name="ports_all_open",
        story="A range of 301 local ports, and 400 connections to hold.",
        world=_few_ports(40000, 40300),
        both_ends=True,
        server=_ECHO,
        command="hold {target} -n 400 -d 1",
        truth=due("ephemeral_port_exhaustion"),
        proofs=(sockets("ESTAB", 290, 301),),
    ),
    Situation(
        name="ports_taken_by_another_program",
        story="Another program of this host holds 281 of 301 ports to the same server; we ask for 60.",
        world=_few_ports(40000, 40300),
        server=_ECHO,
        before=(programs.clients("--open 281"),),
        command="hold {target} -n 60 -d 1",
        truth=due("ephemeral_port_exhaustion"),
        proofs=(sockets("ESTAB", 290, 301),),
    ),
    Situation(
        name="ports_all_in_time_wait",
        story="A churn closes first and eats its 201 ports in TIME_WAIT.",
        world=_few_ports(40000, 40200),
        both_ends=True,
        server=_ECHO,
        command="churn {target} -c 10 -d 2",
        truth=due("time_wait_port_exhaustion", never_says=(r"--pool\b",)),
        proofs=(counted("TcpExtTCPTimeWaitOverflow", 0, 0), counted("TcpActiveOpens", 190, 260, at="client")),
    ),
    Situation(
        name="own_filter_refuses",
        story="This host's own OUTPUT chain refuses the port by ICMP.",
        world=World(shape="wire", nft={"client": filtered("tcp dport 8080", "reject", hook="output")}),
        both_ends=True,
        server=_ECHO,
        command="hold {target} -n 20 -d 1",
        truth=due("own_firewall"),
        proofs=(ruled("met", 20, at="client"), counted("IcmpOutDestUnreachs", 20, at="client")),
    ),
    Situation(
        name="own_filter_refuses_alone",
        story="The same towards a routed server, and only the client is seen.",
        world=World(shape="routed", nft={"client": filtered("tcp dport 8080", "reject", hook="output")}),
        server=_ECHO,
        command="churn {target} -c 5 -n 40 -d 2",
        truth=due("own_firewall"),
        proofs=(ruled("met", 40, at="client"), counted("IcmpOutDestUnreachs", 40, at="client")),
    ),
    Situation(
        name="own_filter_drops",
        story="This host's own OUTPUT chain drops the port.",
        world=World(shape="wire", nft={"client": filtered("tcp dport 8080", hook="output")}),
        both_ends=True,
        server=_ECHO,
        command="hold {target} -n 20 -d 1 --timeout 2s",
        # Nothing but the drop reasons, which need root and tracefs, tells it from a filter further on.
        truth=open_to("own_firewall", "path_filtered", "path_syn_loss", exits=_EXIT_1),
        proofs=(ruled("met", 20, at="client"),),
    ),
    Situation(
        name="neighbour_absent",
        story="An address of the subnet that nobody has: no SYN leaves; the timeout of 3 s ends before ARP does.",
        world=WIRE,
        command="hold 10.1.0.77:8080 -n 20 -d 1",
        truth=due("neighbour_unresolved"),
        proofs=(counted("TcpExtTCPSynRetrans", 0, 40, at="client"), counted("TcpActiveOpens", 20, at="client")),
    ),
    Situation(
        name="neighbour_absent_until_ehostunreach",
        story="The same with a timeout of 6 s: EHOSTUNREACH after 3 s.",
        world=WIRE,
        command="hold 10.1.0.78:8080 -n 10 -d 1 --timeout 6s",
        truth=due("neighbour_unresolved"),
        proofs=(counted("TcpActiveOpens", 10, at="client"), counted("IcmpOutDestUnreachs", 1, at="client")),
    ),
    Situation(
        name="no_route_here",
        story="This host has no route to the target.",
        world=World(shape="routed", commands={"client": ("ip route del default",)}),
        command="hold {target} -n 20 -d 1",
        # No cause is written for it yet; a filter it is not, for no SYN was sent.
        truth=Truth(possible=frozenset({"no_route"}), quiet=True, exits=_EXIT_1),
        proofs=(counted("IpOutNoRoutes", 1, at="client"),),
    ),
    Situation(
        name="nat_of_this_host_out_of_ports",
        story="This host's own NAT translates to 11 ports; its table has room for 262,144.",
        world=World(shape="routed", nft={"client": masqueraded("20000-20010")}),
        both_ends=True,
        server=_ECHO,
        command="hold {target} -n 40 -d 2",
        truth=due("nat_ports_exhausted", never_says=(r"table.{0,30} (is|was) full",)),
        proofs=(tracked("drop", 29, at="client"), sockets("ESTAB", 11, 11)),
    ),
    Situation(
        name="client_descriptors",
        story="One client process with 100 descriptors is to open 400.",
        prefix=("prlimit", "--nofile=100:100"),
        server=_ECHO,
        command="hold {target} -n 400 -d 1 --processes 1",
        truth=due("client_open_files"),
        proofs=(sockets("ESTAB", 40, 200),),
    ),
    Situation(
        name="no_memory_to_start",
        story="The address space is limited to 30 MB (ulimit -v 30000).",
        prefix=("prlimit", "--as=30720000"),
        server=_ECHO,
        command="hold {target} -n 10 -d 1",
        truth=Truth(quiet=True, exits=frozenset({3}), says=(r"memory|ulimit -v|RLIMIT_AS",)),
        proofs=(logged("^ready"),),
    ),
    Situation(
        name="generator_without_a_core",
        story="The generator shares one core with three burners, and is to ask a server in C 150,000 times a second.",
        prefix=("taskset", "-c", "0"),
        server=programs.compiled(backlog=1024, accept=-1, cpu=1),
        before=programs.burners(3, cpu=0),
        command="bench {target} -c 50 --mode rate --rate 150000 -d 2",
        truth=due("generator_saturated"),
        proofs=(accepted_some(50), starved("burner0")),
    ),
)
