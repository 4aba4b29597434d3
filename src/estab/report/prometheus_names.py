"""Names, help texts and label values of the metrics that Prometheus is given."""

from __future__ import annotations

from collections.abc import Iterable

from estab.kernel.formats.inet_diag import BOUND_INACTIVE, STATE_NAMES
from estab.records import Process, ServiceName

NAMESPACE = "namespace"  # the label that says which network namespace
OTHER = "other"
# A state in which no socket is has a known count: 0. Sockets that did bind() alone are not counted.
STATES = tuple(name for number, name in STATE_NAMES.items() if number != BOUND_INACTIVE)
_MOST_NAMES = 3
_LONGEST_LABEL = 253  # a name in Kubernetes is no longer
_LONGEST_NAME = 15  # TASK_COMM_LEN - 1: what the kernel keeps; a record from elsewhere may hold more

LISTENER_HELP = {
    "queue_depth": "Connections that wait to be accepted, at the fullest of the sockets that listen there.",
    "queue_limit": "The backlog that the kernel granted that socket: one more than this fits.",
    "queue_worst_depth": "The greatest depth sampled (ten times a second) since the last scrape, and within --window.",
    "sockets": "Sockets that listen there: more than one with SO_REUSEPORT.",
    "drops": "Packets that the listener turned away, since its sockets were made (sk_drops).",
    "owner": "1: what the process that listens there belongs to: systemd unit, container, pod (NAMESPACE/NAME).",
    "full_seconds": "Seconds for which the samples found the queue full (limit + 1 waiting), since estab began.",
}
PROCESS_HELP = {
    "open_fds": "Descriptors open in the process that owns a listener; of several of a name the nearest to its limit.",
    "max_fds": "RLIMIT_NOFILE (soft) of that process.",
}
TARGET_HELP = {
    "ports_used": "Local ports in use towards this destination, TIME-WAIT included, by the busiest source address.",
    "ports_limit": "Ports that one source address can use towards it: the range less reserved and bound ones.",
    "sockets": "Sockets towards this destination, all source addresses together, TIME-WAIT included.",
    "time_wait_sockets": "Those of them in TIME-WAIT.",
}
COUNTERS = {
    "TcpExt.ListenOverflows": (
        "estab_tcp_listen_overflows",
        "Packets that found an accept queue full",
    ),
    "TcpExt.ListenDrops": ("estab_tcp_listen_drops", "Packets that a listener dropped, for whatever reason"),
    "TcpExt.TCPReqQFullDrop": ("estab_tcp_syn_queue_full_drops", "SYNs dropped on a full SYN queue, cookies being off"),
    "TcpExt.TCPReqQFullDoCookies": (
        "estab_tcp_syn_queue_full_cookies",
        "SYNs answered by a cookie because the SYN queue was full",
    ),
    "TcpExt.SyncookiesSent": ("estab_tcp_syncookies_sent", "SYN cookies sent"),
    "TcpExt.SyncookiesRecv": ("estab_tcp_syncookies_received", "Valid SYN cookies that came back"),
    "TcpExt.SyncookiesFailed": ("estab_tcp_syncookies_failed", "Segments reset for a cookie that was not valid"),
    "TcpExt.EmbryonicRsts": ("estab_tcp_embryonic_resets", "Resets received for half-open connections"),
    "TcpExt.TCPDeferAcceptDrop": ("estab_tcp_defer_accept_drops", "Bare ACKs dropped for TCP_DEFER_ACCEPT"),
    "TcpExt.TCPTimeWaitOverflow": (
        "estab_tcp_time_wait_overflows",
        "Connections closed at once because tcp_max_tw_buckets was reached",
    ),
    "TcpExt.TCPAbortOnMemory": ("estab_tcp_aborts_on_memory", "Connections aborted for lack of memory or orphans"),
    "TcpExt.TCPSynRetrans": ("estab_tcp_syn_retransmits", "SYNs and SYN-ACKs sent again"),
    "TcpExt.TCPTimeouts": ("estab_tcp_timeouts", "Retransmission timers that expired"),
    "Tcp.ActiveOpens": ("estab_tcp_active_opens", "Connections opened from here"),
    "Tcp.PassiveOpens": ("estab_tcp_passive_opens", "Connections accepted by the kernel here"),
    "Tcp.AttemptFails": ("estab_tcp_attempt_failures", "Connection attempts that failed"),
    "Tcp.EstabResets": ("estab_tcp_established_resets", "Connections that a reset ended"),
    "Tcp.OutRsts": ("estab_tcp_resets_sent", "Resets sent"),
    "Tcp.RetransSegs": ("estab_tcp_retransmitted_segments", "Segments sent again"),
}


def process_names(owners: Iterable[Process]) -> str:
    """The owners' names in order, each once, at most three; empty where none is known.

    A process may call itself anything (prctl PR_SET_NAME): what is not printable, and the comma between two, is `?`.
    """
    names = sorted({_clean(owner.name) for owner in owners if owner.name})
    return ",".join([*names[:_MOST_NAMES], "..."] if len(names) > _MOST_NAMES else names)


def service_labels(service: ServiceName) -> tuple[str, str, str]:
    """Its systemd unit, its container and its pod by the names that outlive a restart, else by their ids."""
    container = service.container or (service.container_id or "")[:12]
    unit, pod = service.unit or "", service.pod or service.pod_uid or ""
    return _clean(unit, _LONGEST_LABEL), _clean(container, _LONGEST_LABEL), _clean(pod, _LONGEST_LABEL)


def _clean(name: str, most: int = _LONGEST_NAME) -> str:
    return "".join(character if character.isprintable() and character != "," else "?" for character in name[:most])
