"""What each cause is rebuilt by in a twin, and which cannot be, with the reason. Pure."""

from __future__ import annotations

REBUILT: dict[str, str] = {
    "client_open_files": "RLIMIT_NOFILE of the client's processes",
    "bound_ports_poisoned": "sockets of another program that own as many ports by bind()",
    "time_wait_port_exhaustion": "the port range and the sysctls of TIME_WAIT, under the same short connections",
    "ephemeral_port_exhaustion": "the port range",
    "path_filtered": "a filter on the wire that drops, resets or prohibits, as the errors say",
    "path_flow_table_full": "a flow table on the wire of the size at which the record stopped",
    "path_syn_loss": "a wire that loses as many SYNs, first and later ones",
    "nobody_listening": "a host without a listener",
    "server_open_files": "RLIMIT_NOFILE of the server's processes",
    "server_not_accepting": "a server that never accepts, or stops when the record's did",
    "accept_thread_starved": "a program whose accepting thread shares one interpreter lock with threads that burn CPU",
    "defer_accept_drops": "a listener with TCP_DEFER_ACCEPT",
    "syn_queue_overflow": "the queue's bounds and sysctls, and SYNs that arrive together",
    "cookie_reset": "the queue's bounds, the record's pauses of accept(), and SYNs that arrive together",
    "abort_on_overflow": "the sysctl, the queue's bounds and the record's pauses of accept()",
    "short_connection_storm": "the queue's bounds, the timeout, and the record's pauses of accept()",
    "backlog_clamped": "somaxconn below the backlog that was asked for",
    "accept_queue_overflow": "the queue's bounds, and accepts at the record's rate or with its pauses",
}

NOT_ISOLATED: dict[str, str] = {
    "conntrack_full_local": (
        "the connection tracking table is bounded for the whole machine (nf_conntrack_max of the initial namespace)"
    ),
    "generator_saturated": "the CPU of the machine that ran the load is not this one's",
}
