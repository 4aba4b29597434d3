"""Each cause that a twin can rebuild: a run recorded in the lab; its twin gives the same cause and proves a remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.again import attempt

from estab.diagnose.cause import Rebuilt
from estab.diagnose.suspects import CAUSES
from estab.records import from_builtins
from estab.records.twin import TwinRemedy, TwinResult

pytestmark = pytest.mark.long
Twins = Callable[[str], TwinResult]
REBUILT = Path(__file__).with_name("rebuilt.py")


@dataclass(frozen=True)
class Case:
    """A scenario with settings that keep it short; a remedy that works, one that does nothing; rows within 10 %.

    `nothing` None: where the figures are shares of CPU, two plays differ by more than a remedy does.
    """

    settings: dict[str, float]
    works: str
    nothing: str | None
    near: tuple[str, ...]

    def tried(self) -> list[str]:
        """What stands in the commands of the remedies that are tried."""
        return [words for words in (self.works, self.nothing) if words]


CASES = {
    "path_filtered": Case({"connections": 20}, "nft insert", "a bigger backlog", ("timed out (--timeout) at connect",)),
    "path_flow_table_full": Case(
        {"flows": 100, "beyond": 20},
        "not tracked",
        "a longer connect",
        ("connected", "timed out (--timeout) at connect"),
    ),
    "path_syn_loss": Case({"connections": 50}, "", "a bigger backlog", ("connects that sent SYN again",)),
    "own_firewall": Case({}, "nft insert", "a longer connect", ("ECONNREFUSED at connect",)),
    "neighbour_unresolved": Case({}, "start that host", "a longer connect", ("timed out (--timeout) at connect",)),
    "no_route_back": Case({}, "ip route add", "a bigger backlog", ("timed out (--timeout) at connect",)),
    "reverse_path_filtered": Case({}, "rp_filter=2", "INTERFACE.rp_filter=0", ("timed out (--timeout) at connect",)),
    "close_wait_leak": Case({}, "close the connection", "tcp_fin_timeout", ()),
    "time_wait_refused_by_nat": Case({}, "the client closes first", "tcp_fin_timeout", ("attempted",)),
    "path_connection_limit": Case({}, "raise that number", "a bigger backlog", ()),
    "path_rate_limited": Case({}, "raise that limit", "a bigger backlog", ()),
    "path_data_loss": Case({}, "fix what loses it", "a longer request", ("connected", "timed out (--timeout) at read")),
    "path_mtu_blackhole": Case({}, "ip link set", "a longer request", ("connected", "timed out (--timeout) at read")),
    "path_idle_timeout": Case(
        {}, "in the clients' pool", "a longer read timeout", ("connected", "timed out (--timeout) at read")
    ),
    "peer_vanished": Case({}, "bring the host", "a longer request", ("connected", "timed out (--timeout) at read")),
    "first_address_dead": Case({}, "out of the name", "a longer connect", ("ECONNREFUSED at connect",)),
    "checksum_errors": Case({}, "ethtool -K", "a longer connect", ("timed out (--timeout) at connect",)),
    "conntrack_invalid_reset": Case({}, "be_liberal=1", "a bigger backlog", ("connected", "ECONNRESET at read")),
    "path_member_dead": Case({}, "take the dead member out", "a longer connect", ("attempted",)),
    "nat_ports_exhausted": Case(
        {}, "a wider range", "ip_local_port_range", ("connected", "timed out (--timeout) at connect")
    ),
    "listen_port_taken": Case({}, "ip_local_reserved_ports", "a bigger backlog", ("ECONNREFUSED at connect",)),
    "nobody_listening": Case({}, "start the server", "a longer connect", ("ECONNREFUSED at connect",)),
    "client_open_files": Case({}, "ulimit -n", "a bigger backlog", ("EMFILE at connect",)),
    "bound_ports_poisoned": Case({}, "IP_BIND_ADDRESS_NO_PORT", "tcp_tw_reuse", ("EADDRNOTAVAIL at connect",)),
    "defer_accept_drops": Case(
        {}, "no deferred", "a bigger backlog", ("timed out (--timeout) at read", "TCPDeferAcceptDrop a connect")
    ),
    "syn_queue_overflow": Case({}, "tcp_syncookies=1", "left running", ("timed out (--timeout) at connect",)),
    "cookie_reset": Case({}, "--backlog", "tcp_max_syn_backlog", ("TCPReqQFullDoCookies a connect",)),
    "unix_accept_queue_overflow": Case({}, "--backlog", "tcp_max_syn_backlog", ("connected", "EAGAIN at connect")),
    "server_not_accepting": Case({}, "call accept() again", "tcp_max_syn_backlog", ("connected",)),
    "server_accepts_too_slowly": Case({}, "less work before", "tcp_max_syn_backlog", ("attempted",)),
    "server_connection_limit": Case(
        {}, "limit of connections", "a bigger backlog", ("connected", "closed by the peer at read")
    ),
    "reuseport_member_stuck": Case({}, "tcp_migrate_req", "a bigger backlog", ("connected",)),
    "server_task_limit": Case({}, "--nproc", "a bigger backlog", ("connected", "closed by the peer at read")),
    "closed_with_data_unread": Case({}, "read each request", "a bigger backlog", ("ECONNRESET at read",)),
    "proxy_backend_unreachable": Case({}, "start the backend", "a longer connect", ("closed by the peer at read",)),
    "server_died": Case({}, "", "a longer timeout", ("connected", "closed by the peer at read")),
    "server_idle_close": Case({}, "a longer idle time", "tcp_keepalive_time", ("closed by the peer at read",)),
    "accept_thread_starved": Case({}, "in a process of its own", None, ("attempted",)),
    "time_wait_port_exhaustion": Case(
        {"attempts": 150, "ports": 100}, "ip_local_port_range", "tcp_fin_timeout", ("attempted",)
    ),
}


def rebuilt(names: Iterable[str]) -> Twins:
    """The twins of these causes' scenarios, each of a run that is recorded for it."""
    order = json.dumps({name: (CASES[name].settings, CASES[name].tried()) for name in names})
    with subprocess.Popen([sys.executable, REBUILT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(order.encode() + b"\n")
        process.stdin.flush()  # it stays open: at its end the lab ends
        twins = {name: (twin, error) for name, twin, error in map(json.loads, process.stdout)}

    def of(name: str) -> TwinResult:
        assert name in twins, f"its process ended before: status {process.returncode}"
        twin, error = twins[name]
        assert twin is not None, error
        return from_builtins(twin, TwinResult)

    return of


@pytest.fixture(scope="module")
def twins(request: pytest.FixtureRequest) -> Twins:
    """Those that tests of this session ask for."""
    asked = {
        item.callspec.params["cause"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    }
    return rebuilt(name for name in CASES if name in asked)


@pytest.fixture
def twin_of(request: pytest.FixtureRequest, twins: Twins) -> Twins:
    """What they share, at the first attempt of a test; at a later one a run and a twin of its own."""
    return twins if attempt(request.node) == 1 else lambda name: rebuilt([name])(name)


def remedy(result: TwinResult, words: str) -> TwinRemedy:
    return next(remedy for remedy in result.remedies if words in remedy.command)


@pytest.mark.namespace
@pytest.mark.parametrize("cause", CASES)
def test_the_twin_gives_the_same_cause(cause: str, twin_of: Twins) -> None:
    result, case = twin_of(cause), CASES[cause]
    assert (result.recorded_cause, result.cause) == (cause, cause), result.summary
    rows = {row.what: row for row in result.rows}
    for what in case.near:
        percent = rows[what].percent
        assert percent is not None
        assert abs(percent) <= 10, rows[what]


@pytest.mark.namespace
@pytest.mark.parametrize("cause", CASES)
def test_what_is_called_proved_was_shown(cause: str, twin_of: Twins) -> None:
    result, case = twin_of(cause), CASES[cause]
    if case.works:
        proved = remedy(result, case.works)
        assert proved.came in ("works", "works_with"), proved
        assert proved.after
    if case.nothing:
        assert remedy(result, case.nothing).came == "does_nothing"
    for one in result.remedies:
        assert one.did, one.command
        assert (one.came in ("works", "works_with", "helps", "does_nothing")) == bool(one.after), one
        assert one.claimed or one.came != "works", f"estab says it does nothing, the twin that it works: {one}"


def test_what_is_tried_here_is_what_is_declared_to_be_rebuilt() -> None:
    assert {cause.id for cause in CAUSES if isinstance(cause.twin, Rebuilt)} >= CASES.keys()
