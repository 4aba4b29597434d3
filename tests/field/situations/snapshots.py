"""No run of ours: other clients load other servers, and `diagnose`, `watch` and `export` look at the host."""

from __future__ import annotations

import signal
from dataclasses import replace

from tests.field import programs
from tests.field.answers import LONGER_QUEUE, STOPPED, filtered
from tests.field.proof import (
    accepted,
    accepted_some,
    calm,
    counted,
    logged,
    queue_flat,
    queue_full,
    ruled,
    sockets,
    waiting,
)
from tests.field.situation import Later, Situation, World, due, healthy, open_to

_DELAYS = (r"^(?!.*(second|\d s\b|delay)).*(backlog|listen\(\d|somaxconn)",)
_STOPPED = due(*STOPPED, harmful=LONGER_QUEUE)


def _looked(situation: Situation) -> tuple[Situation, ...]:
    """The same host, asked by three commands: they give the same cause, and the first two the same exit code."""
    return (
        replace(situation, name=f"diagnose_{situation.name}", command="diagnose --interval 2s"),
        replace(situation, name=f"watch_{situation.name}", command="watch --once --interval 2s"),
        replace(
            situation,
            name=f"export_{situation.name}",
            command="export --once --window 2s",
            truth=replace(situation.truth, exits=frozenset({0})),
        ),
    )


def _host(**more: object) -> tuple[Situation, ...]:
    return _looked(Situation(**{"command": "", "at": "server", "settle_s": 1.0, "host": more["name"], **more}))  # type: ignore[arg-type]


_FEW_PORTS = World(shape="wire", sysctls={"client": {"net.ipv4.ip_local_port_range": "40000 40300"}})

SITUATIONS = (
    *_host(
        name="hung_server_full_queue",
        story="A server accepted 5 and sleeps; 60 clients of others knock, 17 wait.",
        server=programs.small("blocking", "--backlog 16 --accept 5"),
        before=(programs.clients("--open 60"),),
        truth=_STOPPED,
        proofs=(accepted(5), queue_full(), queue_flat()),
    ),
    *_host(
        name="hung_server_queue_with_room",
        story="A server accepted 5 and sleeps; 25 wait in a queue of 128, and nobody new comes.",
        server=programs.small("blocking", "--backlog 128 --accept 5"),
        before=(programs.clients("--open 30"),),
        truth=_STOPPED,
        proofs=(accepted(5), waiting(25), queue_flat()),
    ),
    *_host(
        name="hung_server_others_come",
        story="A pool of 3 threads is held by three clients; 10 a second come and give up.",
        server=programs.small("pool", "--threads 3 --backlog 512"),
        before=(
            programs.clients("--open 3", name="keepers"),
            programs.clients("--churn 10 --keep 0.5 --wait 0.3"),
        ),
        truth=_STOPPED,
        proofs=(accepted(3), waiting(10)),
    ),
    *_host(
        name="overload_10_of_50",
        story="One accept each 100 ms while 50 connects a second come: both rates can be seen.",
        server=programs.small("blocking", "--backlog 16 --rate 10 --do close"),
        before=(programs.clients("--churn 50 --timeout 1"),),
        settle_s=2.0,
        truth=due(
            "server_accepts_too_slowly",
            "accept_queue_overflow",
            harmful=_DELAYS,
            never_says=(r"nothing failed",),
        ),
        proofs=(counted("TcpExtListenOverflows"), queue_full(), logged("^failed timeout", program="clients")),
    ),
    *_host(
        name="bursts_into_a_queue_that_is_full_each_time",
        story="All that wait are taken each 700 ms, and 60 connects a second come: a queue of 16 is full again.",
        server=programs.small("blocking", "--backlog 16 --burst-every 0.7 --do close"),
        before=(programs.clients("--churn 60 --timeout 1"),),
        settle_s=2.0,
        # A longer queue mends this one: it may stand under what works, with the seconds that it buys otherwise.
        truth=due("accept_queue_overflow", never_says=(r"nothing failed",)),
        proofs=(counted("TcpExtListenOverflows"), queue_full(), accepted_some(30)),
    ),
    *_host(
        name="one_of_four_listeners_asleep",
        story="Four listeners share the port; one accepts nothing, a quarter of all clients waits there.",
        server=programs.small("group", "--members 4 --stuck 1 --backlog 8"),
        before=(programs.clients("--churn 40 --keep 0.1"),),
        settle_s=2.0,
        truth=due("reuseport_member_stuck", harmful=(*LONGER_QUEUE, "SO_REUSEPORT")),
        proofs=(queue_full(), queue_flat(), accepted_some(50)),
    ),
    *_host(
        name="no_descriptor_left",
        story="A server with 30 descriptors has none left; 60 clients knock.",
        server=programs.small("loop", "--backlog 128", nofile=30),
        before=(programs.clients("--open 60"),),
        truth=due("server_open_files", harmful=LONGER_QUEUE),
        proofs=(logged("^EMFILE"), waiting(20)),
    ),
    *_host(
        name="close_wait_leak",
        story="A server never closes what its clients closed: CLOSE_WAIT grows by 60 a second.",
        server=programs.small("loop", "--leak", nofile=2000),
        before=(programs.clients("--churn 60"),),
        truth=open_to("close_wait_leak"),
        proofs=(sockets("CLOSE-WAIT", 100),),
    ),
    *_host(
        name="ports_taken",
        story="A program of this host holds all of 301 local ports to one server, and fails to open more.",
        world=_FEW_PORTS,
        at="client",
        server=programs.small("loop"),
        before=(programs.clients("--open 320 --again"),),
        truth=due("ephemeral_port_exhaustion"),
        proofs=(sockets("ESTAB", 290, 301), logged("^failed EADDRNOTAVAIL", 20, program="clients")),
    ),
    Situation(
        name="limits_ports_taken",
        story="The same, asked for the limits towards that server: not one more can be had.",
        world=_FEW_PORTS,
        server=programs.small("loop"),
        before=(programs.clients("--open 320 --again"),),
        settle_s=1.0,
        command="limits {target}",
        truth=open_to(
            "ephemeral_port_exhaustion", quiet=True, exits=frozenset({1}), says=(r"ephemeral_ports.{0,40}met",)
        ),
        proofs=(sockets("ESTAB", 290, 301), logged("^failed EADDRNOTAVAIL", 5, program="clients")),
    ),
    *_host(
        name="ports_in_time_wait",
        story="A program of this host opens and closes 200 a second: its 301 ports stand in TIME_WAIT.",
        world=_FEW_PORTS,
        at="client",
        server=programs.small("loop"),
        before=(programs.clients("--churn 200"),),
        settle_s=3.0,
        truth=due("time_wait_port_exhaustion", "ephemeral_port_exhaustion"),
        proofs=(logged("^failed EADDRNOTAVAIL", 50, program="clients"),),
    ),
    *_host(
        name="client_of_a_filtered_server",
        story="A program of this host connects to a port that a firewall on the way drops.",
        world=World(shape="routed", nft={"router": filtered("tcp dport 8080")}),
        at="client",
        server=programs.small("loop"),
        before=(programs.clients("--churn 10 --timeout 3"),),
        settle_s=2.0,
        truth=open_to("path_filtered", "path_syn_loss"),
        proofs=(ruled("met", 20), sockets("SYN-SENT", 10, at="client")),
    ),
    *_host(
        name="client_of_an_absent_neighbour",
        story="A program of this host connects to an address of the subnet that nobody has.",
        world=World(shape="wire"),
        at="client",
        before=(programs.clients("--churn 5 --timeout 5", target="10.1.0.77:8080"),),
        settle_s=2.0,
        truth=open_to("neighbour_unresolved"),
        proofs=(sockets("SYN-SENT", 5, at="client"),),
    ),
    *_host(
        name="client_refused_by_its_own_filter",
        story="A program of this host is refused by this host's own OUTPUT chain.",
        world=World(shape="wire", nft={"client": filtered("tcp dport 8080", "reject", hook="output")}),
        at="client",
        server=programs.small("loop"),
        before=(programs.clients("--churn 20"),),
        truth=open_to("own_firewall"),
        proofs=(ruled("met", 20, at="client"), logged("^failed ECONNREFUSED", 20, program="clients")),
    ),
    *_host(
        name="proxy_without_backend",
        story="A proxy of this host accepts from others and finds its backend's port closed.",
        server=programs.small("proxy", "--backend 127.0.0.1:9000"),
        before=(programs.clients("--churn 20 --keep 0.2"),),
        truth=open_to("proxy_backend_unreachable"),
        proofs=(logged("Connection refused", 20), counted("TcpAttemptFails", 20)),
    ),
    *_host(
        name="healthy_under_load",
        story="60 connections a second come and go, and 30 stay.",
        server=programs.small("loop"),
        before=(programs.clients("--churn 60 --open 30 --keep 0.05"),),
        truth=healthy(),
        proofs=(accepted_some(100), *calm()),
    ),
    *_host(
        name="healthy_bursts",
        story="A program accepts all that wait each 300 ms; its queue of 1,024 has room.",
        server=programs.small("blocking", "--backlog 1024 --burst-every 0.3 --do close"),
        before=(programs.clients("--churn 80 --keep 0.5"),),
        truth=healthy(),
        proofs=(accepted_some(100), waiting(5), *calm()),
    ),
    *_host(
        name="healthy_long_after_an_overflow",
        story="The queue overflowed at the start, long before the looks; now all is calm.",
        server=programs.small("blocking", "--backlog 24 --burst-every 0.4 --do keep"),
        before=(programs.clients("--open 40"),),
        settle_s=4.0,
        truth=healthy(),
        proofs=(accepted_some(40), *calm()),
    ),
    *_host(
        name="healthy_idle_host",
        story="A server that nobody asks.",
        server=programs.small("aio"),
        truth=healthy(),
        proofs=(accepted(0), *calm()),
    ),
    Situation(
        name="recorded_overflow_in_between",
        story="A recording in whose middle a stopped server's queue overflowed; then it was restarted.",
        at="server",
        server=programs.small("loop", "--backlog 16"),
        before=(programs.clients("--churn 40"),),
        first=("observe --count 18 --interval 500ms --json {folder}/night.ndjson",),
        later=(
            Later(rises=100, signal=signal.SIGSTOP),  # 2.5 s: the recording has begun, on a busy machine too
            Later(after_s=2.2, signal=signal.SIGKILL),
            Later(after_s=0.2, start=programs.small("loop", "--backlog 16", name="restarted")),
        ),
        command="diagnose {folder}/night.ndjson",
        truth=due(*STOPPED, "accept_queue_overflow", "server_died"),
        proofs=(counted("TcpExtListenOverflows"), queue_full(), accepted_some(20, program="restarted")),
    ),
)
