"""What people change that changes nothing, and the kernel's reason. Data, in the order in which people try it.

The end of docs/kernel.md. `accept_queue.delay_of_overflow_s` has the arithmetic of the last one.
"""

from __future__ import annotations

from typing import Literal

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
    "tcp_settings_for_unix_sockets",
    "chmod_for_a_full_unix_queue",
]


WHY: dict[Id, str] = {
    # docs/kernel.md rule 11
    "raise_tcp_max_syn_backlog": (
        "with cookies on, the kernel never asks tcp_max_syn_backlog: the listener's backlog bounds the SYN queue"
    ),
    # docs/kernel.md rule 1
    "raise_somaxconn_only": "the limit is fixed at listen(); sockets that listen already keep theirs",
    # docs/kernel.md rule 1
    "raise_backlog_only": "listen() cuts the backlog to somaxconn without an error",
    # docs/kernel.md rule 23
    "lower_tcp_fin_timeout": "TIME_WAIT lasts a fixed 60 s (TCP_TIMEWAIT_LEN); tcp_fin_timeout is about FIN_WAIT2",
    # docs/kernel.md rule 1
    "host_somaxconn_for_container": (
        "every network namespace has its own, and a new one starts at the default, not at the host's value"
    ),
    # docs/kernel.md rule 22
    "tcp_tw_reuse_on_server": (
        "it is asked by connect() alone, when it picks a local port; a listener never runs out of ports"
    ),
    # docs/kernel.md rule 7
    "tcp_abort_on_overflow": (
        "it turns the dropped final ACK of a half-open connection into RST; SYNs and cookies' ACKs stay as before"
    ),
    # docs/kernel.md rule 25
    "bigger_backlog_without_descriptors": (
        "accept() needs a descriptor before it takes a connection: the queue fills however long it is"
    ),
    # docs/kernel.md rule 31
    "tcp_settings_for_unix_sockets": (
        "a connection over a UNIX socket has no handshake, no port and no packet, so that the kernel never asks it"
    ),
    # docs/kernel.md rule 31
    "chmod_for_a_full_unix_queue": "who may not connect gets EACCES; EAGAIN is the full queue's",
    # docs/kernel.md rule 2
    "bigger_backlog_for_slow_accept": "it delays the overflow by (B' - B) / (arrivals - accepts) seconds, and no more",
}
