"""What people change about it that changes nothing, and why. Data, in the order in which people try it.

The end of docs/kernel.md. `accept_queue.delay_of_overflow_s` has the arithmetic of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import RuleInputError

Id = Literal[
    "raise_tcp_max_syn_backlog",
    "raise_somaxconn_only",
    "raise_backlog_only",
    "lower_tcp_fin_timeout",
    "host_somaxconn_for_container",
    "tcp_tw_reuse_on_server",
    "tcp_abort_on_overflow",
    "bigger_backlog_without_descriptors",
    "bigger_backlog_for_slow_accept",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Futile:
    """One change. `when`: where it does nothing. `why`: the kernel's reason. `instead`: what does work.

    `rules`: the numbers in docs/kernel.md.
    """

    id: Id
    change: str
    when: str
    why: str
    instead: str
    rules: list[int]


FUTILE: tuple[Futile, ...] = (
    Futile(
        id="raise_tcp_max_syn_backlog",
        change="sysctl -w net.ipv4.tcp_max_syn_backlog=…",
        when="net.ipv4.tcp_syncookies is 1 or 2",
        why="with cookies on, the kernel never asks tcp_max_syn_backlog: the listener's backlog bounds the SYN queue",
        instead="raise the backlog that the server gives to listen(), and net.core.somaxconn with it",
        rules=[11],
    ),
    Futile(
        id="raise_somaxconn_only",
        change="sysctl -w net.core.somaxconn=…",
        when="the server is not restarted or does not call listen() again",
        why="the limit is fixed at listen(); sockets that listen already keep theirs",
        instead="restart the server, or make it call listen() again on the same socket",
        rules=[1],
    ),
    Futile(
        id="raise_backlog_only",
        change="a bigger backlog in the server's configuration",
        when="it is above net.core.somaxconn",
        why="listen() cuts the backlog to somaxconn without an error",
        instead="raise net.core.somaxconn first, then restart the server",
        rules=[1],
    ),
    Futile(
        id="lower_tcp_fin_timeout",
        change="sysctl -w net.ipv4.tcp_fin_timeout=…",
        when="ports are held by TIME_WAIT",
        why="TIME_WAIT lasts a fixed 60 s (TCP_TIMEWAIT_LEN); tcp_fin_timeout is about FIN_WAIT2",
        instead="keep connections open (a pool), use more source addresses or ports, or tcp_tw_reuse on the client",
        rules=[23],
    ),
    Futile(
        id="host_somaxconn_for_container",
        change="sysctl -w net.core.somaxconn=… on the host",
        when="the server runs in a container or another network namespace",
        why="every network namespace has its own, and a new one starts at the default, not at the host's value",
        instead="set it for the container (docker run --sysctl, a pod's securityContext.sysctls) and restart it",
        rules=[1],
    ),
    Futile(
        id="tcp_tw_reuse_on_server",
        change="sysctl -w net.ipv4.tcp_tw_reuse=1 on the server",
        when="the server does not itself connect out",
        why="it is asked by connect() alone, when it picks a local port; a listener never runs out of ports",
        instead="set it on the client that gets EADDRNOTAVAIL, or let that client keep its connections",
        rules=[22],
    ),
    Futile(
        id="tcp_abort_on_overflow",
        change="sysctl -w net.ipv4.tcp_abort_on_overflow=1",
        when="SYNs are dropped, or SYN cookies were sent",
        why="it turns the dropped final ACK of a half-open connection into RST; SYNs and cookies' ACKs stay as before",
        instead="a bigger backlog for bursts, a faster accept() for steady load",
        rules=[7],
    ),
    Futile(
        id="bigger_backlog_without_descriptors",
        change="a bigger backlog",
        when="accept() fails with EMFILE or ENFILE",
        why="accept() needs a descriptor before it takes a connection: the queue fills however long it is",
        instead="raise the server's RLIMIT_NOFILE (LimitNOFILE= in its unit), or close what it leaks",
        rules=[25],
    ),
    Futile(
        id="bigger_backlog_for_slow_accept",
        change="a bigger backlog",
        when="connections arrive faster than the server accepts them, all the time",
        why="it delays the overflow by (B' - B) / (arrivals - accepts) seconds, and no more",
        instead="accept faster: more accepting threads or SO_REUSEPORT processes, less work before accept()",
        rules=[2],
    ),
)


def futile(which: str) -> Futile:
    """The entry with that id. Raises RuleInputError for one that does not exist, with those that do."""
    for entry in FUTILE:
        if entry.id == which:
            return entry
    raise RuleInputError(f"no entry {which!r}: there are {', '.join(entry.id for entry in FUTILE)}")
