"""Rules 26 to 28 against the kernel that runs here: prediction equals measurement.

Each test runs in namespaces of its own. What this kernel is built without is said as the reason why it can't be asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import namespaces as ns
from tests.kernel.rules import packets
from tests.kernel.rules.kernel_probes import (
    KERNEL,
    PORT,
    begin_connects,
    has_sysctl,
    listener,
    lossless_default_route,
    states,
)

from estab.errors import MachineError, ParseError
from estab.kernel.formats import tracefs
from estab.kernel.rules import conntrack
from estab.observe import trace_instance

pytestmark = pytest.mark.namespace

# -- rule 26: connection tracking --------------------------------------------------------------------------------------

_LACKING = ("No such file or directory", "Operation not supported", "Protocol not supported")


def count_flows(over: int) -> None:
    """In a router's namespace: drop each new flow where there are `over` of them."""
    rule = f"ct state new ct count over {over} counter drop"
    try:
        ns.run("nft", "table ip t { chain c { type filter hook forward priority 0; " + rule + "; }; }")
    except ns.ChildFailed as refusal:
        if any(text in str(refusal) for text in _LACKING):
            raise Lacking("this kernel's nf_tables is built without IPv4, or without `ct count`") from None
        raise


class Lacking(Exception):
    """What this kernel is built without."""


def dropped() -> int:
    """What the rule's counter says."""
    match = re.search(r"counter packets (\d+)", ns.run("nft", "list", "table", "ip", "t"))
    assert match is not None
    return int(match[1])


def measure_router(over: int, more: int) -> tuple[tuple[int, int], int] | str:
    """`over` + `more` connects through a router that counts flows: their states, and how many packets were dropped.

    It is over when a datagram, a new flow of another protocol, was dropped too. Text says what this kernel lacks.
    """
    near, router, far = ns.Namespace(), ns.Namespace(), ns.Namespace()
    ns.joined(near, "10.3.1.2/24", router, "10.3.1.1/24", names="near")
    ns.joined(router, "10.3.2.1/24", far, "10.3.2.2/24", names="far")
    for host, gateway in ((near, "10.3.1.1"), (far, "10.3.2.1")):
        with host.entered():
            ns.run("ip", "route", "add", "default", "via", gateway)
    with router.entered():
        ns.sysctl("net.ipv4.ip_forward", 1)
        try:
            count_flows(over)
        except Lacking as lacking:
            return str(lacking)
    with contextlib.ExitStack() as stack:
        with far.entered():
            stack.enter_context(listener(over + more, "10.3.2.2"))
        with near.entered():
            clients = [stack.enter_context(one) for one in begin_connects(over + more, ("10.3.2.2", PORT))]
        with router.entered():
            ns.until(lambda: sum(states(clients)[:1]) == over and dropped() >= more, why="each SYN has its fate")
            connected, before = states(clients), dropped()
        with near.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
            another.sendto(b"", ("10.3.2.2", 9))
        with router.entered():
            ns.until(lambda: dropped() > before, why="a new flow of another protocol is dropped too")
    return connected, before


def test_rule_26_a_counted_table_holds_as_many_as_it_says() -> None:
    over, more = 20, 5
    measured = ns.in_namespace(lambda: measure_router(over, more))
    if isinstance(measured, str):
        pytest.skip(measured)
    assert measured[0] == (conntrack.fits_ct_count(over), more)


def test_rule_26_the_limit_of_another_namespace_cannot_be_set() -> None:
    def measure() -> bool | None:
        with contextlib.suppress(ns.ChildFailed):
            ns.run("nft", "table ip t { chain c { type filter hook input priority 0; ct state new accept; }; }")
        if not Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
            return None
        try:
            with open("/proc/sys/net/netfilter/nf_conntrack_max", "r+b"):  # nothing is written
                return True
        except PermissionError:
            return False

    writable = ns.in_namespace(measure)
    if writable is None:
        pytest.skip("this kernel tracks no connections here")
    assert not writable


# -- rule 27: what belongs to the whole machine ------------------------------------------------------------------------


def test_rule_27_no_namespace_has_its_own_tcp_mem_or_orphans() -> None:
    names = ("tcp_mem", "tcp_max_orphans")
    assert ns.in_namespace(lambda: [has_sysctl(name) for name in names]) == [False, False]


def test_rule_27_sockets_of_all_namespaces_are_counted_together() -> None:
    def tcp() -> dict[str, int]:
        """The TCP row of /proc/net/sockstat."""
        text = Path("/proc/thread-self/net/sockstat").read_text(encoding="ascii")
        words = next(line for line in text.splitlines() if line.startswith("TCP:")).split()[1:]
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    def measure() -> tuple[int, int]:
        here, there = ns.Namespace(), ns.Namespace()
        with contextlib.ExitStack() as stack:
            with here.entered():
                for _ in range(200):
                    stack.enter_context(socket.socket())
            with there.entered():
                return tcp()["inuse"], tcp()["alloc"]

    inuse, alloc = ns.in_namespace(measure)
    assert inuse == 0
    assert alloc >= 200


# -- rule 28: drop reasons ---------------------------------------------------------------------------------------------

SEGMENTS = 7
# By the first kernel known to say so: of a final ACK on a full queue, a cookie's ACK there, a second cookie segment.
REASONS = {
    (5, 17): ("NOT_SPECIFIED", "NOT_SPECIFIED", "NO_SOCKET"),
    (6, 12): ("NOT_SPECIFIED", "NO_SOCKET", "TCP_FLAGS"),
    (6, 16): ("TCP_LISTEN_OVERFLOW", "NO_SOCKET", "TCP_FLAGS"),
}
REFUSED = {"final ACK": (0, 0), "cookie's ACK": (2, 0), "second cookie segment": (2, 1400)}  # tcp_syncookies, shift


def refuse_segments(cookies: int, shift: int) -> None:
    """SEGMENTS of one client at a full accept queue."""
    lossless_default_route()
    ns.sysctl("net.ipv4.tcp_syncookies", cookies)
    with listener(2), contextlib.closing(packets.HandMade(PORT)) as peer:
        peer.syn()
        _fill = begin_connects(3)
        for _ in range(SEGMENTS):
            peer.ack(shift, b"x" if shift else b"")


def refuse_syns() -> None:
    """SEGMENTS SYNs at a full accept queue."""
    with listener(1):
        _clients = begin_connects(2 + SEGMENTS)


def reasons(do: Callable[[], object], *, of_all: bool) -> dict[str, int] | str | None:
    """The reasons of packets dropped meanwhile, by name: `of_all` the machine's tasks, for who handles a packet may be
    another. Where they have no reasons None; text says why this can't be asked."""
    try:
        with trace_instance.instance(trace_instance.tracefs()) as instance:
            folder = Path(instance)
            event = folder / "events" / "skb" / "kfree_skb"
            names = tracefs.parse_reasons((event / "format").read_bytes())
            (event / "filter").write_text("protocol == 2048")
            if not of_all:
                (folder / "set_event_pid").write_text(str(os.getpid()))
            (event / "enable").write_text("1")
            do()
            (event / "enable").write_text("0")
            events = map(tracefs.parse_line, (folder / "trace").read_bytes().splitlines())
            return dict(Counter(tracefs.reason_of(one, names) for one in events if one and tracefs.may_be_tcp(one)))
    except ParseError:
        return None
    except (MachineError, OSError) as error:
        return str(error)


@pytest.mark.parametrize("what", REFUSED)
def test_rule_28_names_of_a_refused_segment(what: str) -> None:
    seen = ns.in_namespace(lambda: reasons(lambda: refuse_segments(*REFUSED[what]), of_all=True))
    if isinstance(seen, str):
        pytest.skip(seen)
    if not KERNEL.at_least(5, 17):
        assert seen is None
        return
    assert seen is not None
    names = next(REASONS[since] for since in sorted(REASONS, reverse=True) if KERNEL.at_least(*since))
    name = names[list(REFUSED).index(what)]
    assert seen.get(name, 0) >= SEGMENTS, f"expected {name}, there were {seen}"


def test_rule_28_a_refused_syn_makes_no_event() -> None:
    seen = ns.in_namespace(lambda: reasons(refuse_syns, of_all=False))
    if isinstance(seen, str):
        pytest.skip(seen)
    assert seen == {} or not KERNEL.at_least(5, 17)
