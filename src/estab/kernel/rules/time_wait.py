"""TIME_WAIT: when its port may be used again, and how many short connections a second that allows.

Rules 22 to 24 of docs/kernel.md. All of it is about the end that closes first.
"""

from __future__ import annotations

from estab.kernel.rules import timer_wheel
from estab.kernel.rules.inputs import at_least, one_of, within
from estab.kernel.rules.interval import Interval, exactly
from estab.kernel.rules.kernel_version import KernelVersion

TIMEWAIT_LEN_S = 60  # `include/net/tcp.h TCP_TIMEWAIT_LEN`; tcp_fin_timeout is about FIN_WAIT2 and does nothing here
DEFAULT_REUSE_DELAY_MS = 1000


def reuses(tcp_tw_reuse: int, *, loopback: bool, timestamps: bool = True, port_given: bool = False) -> bool:
    """Whether connect() may take over a port in TIME_WAIT towards the same target before the 60 s are over.

    `tcp_tw_reuse`: 0 never, 1 always, 2 where one of the addresses is loopback. `timestamps`: both ends used TCP
    timestamps on the old connection. `port_given`: the client itself binds that port, with SO_REUSEADDR on the old
    socket and the new one: then it is reused at once and the sysctl is not asked.
    Raises RuleInputError for another mode. Source: `net/ipv4/tcp_ipv4.c tcp_twsk_unique` (docs/kernel.md rule 22).
    """
    one_of("tcp_tw_reuse", tcp_tw_reuse, (0, 1, 2))
    if not timestamps:
        return False
    return port_given or tcp_tw_reuse == 1 or (tcp_tw_reuse == 2 and loopback)


def reuse_after_s(kernel: KernelVersion, tcp_tw_reuse_delay_ms: int | None = None) -> Interval:
    """How long after the close a port may be reused, where `reuses()` says that it may.

    Since 6.14: more than `net.ipv4.tcp_tw_reuse_delay` ms (1 to 60,000; None: the default of 1000), exactly. Before:
    as soon as the clock's second has changed since the last timestamp was stored, anything up to one second.
    Raises RuleInputError out of range. Source: `net/ipv4/tcp_ipv4.c tcp_twsk_unique` (docs/kernel.md rule 22, refined).
    """
    delay_ms = DEFAULT_REUSE_DELAY_MS if tcp_tw_reuse_delay_ms is None else tcp_tw_reuse_delay_ms
    within("tcp_tw_reuse_delay_ms", delay_ms, 1, TIMEWAIT_LEN_S * 1000)
    return exactly(delay_ms / 1000) if kernel.at_least(6, 14) else Interval(low=0, high=1)


def port_free_again(age_s: float, wait: Interval) -> bool | None:
    """Whether a port that entered TIME_WAIT `age_s` ago can be connected from again; None: cannot be known.

    `wait` is reuse_after_s() or lasts(). Reuse needs more than the delay, not as much. Source: as those two.
    """
    at_least("age_s", age_s, 0)
    if age_s <= wait.low:
        return False
    return None if wait.high is None or age_s <= wait.high else True


def lasts(hz: int = timer_wheel.HZ, kernel: KernelVersion | None = None) -> Interval:
    """How long TIME_WAIT lasts in seconds: 60, and what the timer wheel adds (up to 2 s at HZ=250).

    Source: `include/net/tcp.h TCP_TIMEWAIT_LEN`, `kernel/time/timer.c` (docs/kernel.md rules 17 and 23).
    """
    return timer_wheel.wait(TIMEWAIT_LEN_S, hz, kernel)


def short_connections_per_second(ports: int, wait: Interval | None = None) -> Interval:
    """The ceiling of connect-and-close cycles a second to one target, the client closing first: ports / wait.

    `ports`: from `ephemeral_ports.capacity`, 0 or more. `wait`: lasts() without reuse (the default), reuse_after_s()
    with it. Where the wait may be 0 there is no upper bound. tcp_fin_timeout changes nothing.
    Raises RuleInputError below 0. Source: arithmetic on the above (docs/kernel.md rule 23).
    """
    at_least("ports", ports, 0)
    span = wait or lasts()
    return Interval(low=0 if span.high is None else ports / span.high, high=None if span.low == 0 else ports / span.low)


def most_freed_by_resets(tcp_rfc1337: int, resets: int | None = None) -> int | None:
    """How many TIME_WAIT sockets may end before their time: one for each RST that comes to them; None: not known.

    The peer sends that RST when a duplicate of the last ACK finds its socket gone: where segments overtake each other
    (a loopback with two CPUs), or where a FIN was sent again. With `tcp_rfc1337` 1 such a RST changes nothing.
    `resets`: those that the peer sent, None for unknown. Measured on 6.18: 4,003 connects over 4,000 ports with 3 RSTs
    and `tcp_rfc1337` 0; 4,000 with 2 RSTs and 1.
    Raises RuleInputError out of range.
    Source: `net/ipv4/tcp_minisocks.c tcp_timewait_state_process` (RFC 1337, "TIME-WAIT assassination").
    """
    one_of("tcp_rfc1337", tcp_rfc1337, (0, 1))
    at_least("resets", resets or 0, 0)
    return 0 if tcp_rfc1337 else resets
