from __future__ import annotations

import contextlib
import socket
from collections import Counter
from typing import Any

import pytest
from tests.namespaces import in_namespace

from estab.errors import ParseError
from estab.kernel.formats import inet_diag
from estab.observe import sysctls, targets
from estab.observe.gaps import Gaps
from estab.observe.sock_diag import SockDiag
from estab.records import PortUse


def packed(address: str) -> bytes:
    return inet_diag.mapped(inet_diag.AF_INET, socket.inet_aton(address))


def test_the_fullest_source_decides_and_the_rest_is_summed_up() -> None:
    a, b = packed("10.0.0.1"), packed("10.0.0.2")
    near, far, third = packed("10.0.1.1"), packed("10.0.1.2"), packed("10.0.1.3")
    used = Counter({(a, near, 80): 50, (b, near, 80): 50, (a, far, 443): 60, (a, third, 80): 3, (a, third, 81): 2})
    waiting = Counter({(a, near, 80): 7, (b, near, 80): 1, (a, third, 81): 2})
    found = targets.rank(used, waiting, 2, capacity=100, bound=5)
    assert found.busiest[0] == PortUse(
        address="10.0.1.2", port=443, used=60, time_wait=0, sources=1, worst_source_used=60, capacity=100, bound=5
    )
    assert (found.busiest[1].used, found.busiest[1].worst_source_used, found.busiest[1].time_wait) == (100, 50, 8)
    assert (found.others, found.others_used, found.others_time_wait) == (2, 5, 2)


def seen_in_a_namespace() -> dict[str, Any]:
    gaps = Gaps()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((host, 0))) for host in ("127.0.0.1", "127.0.0.2")]
        for number, server in enumerate(servers):
            for _ in range(3 + number):
                stack.enter_context(socket.create_connection(server.getsockname()))
                stack.enter_context(server.accept()[0])
        closing = socket.create_connection(servers[0].getsockname())
        stack.enter_context(servers[0].accept()[0])
        closing.close()
        diag = stack.enter_context(SockDiag())
        values = sysctls.read(gaps)
        return {
            "asked": [server.getsockname() for server in servers],
            "found": targets.busiest(diag, values, gaps, most=5, listeners=diag.listeners()),
            "with servers": targets.busiest(diag, values, gaps, most=50),
        }


@pytest.mark.namespace
def test_real_connections_without_the_servers_own_side() -> None:
    seen = in_namespace(seen_in_a_namespace)
    found = {(one.address, one.port): one.used for one in seen["found"].busiest}
    near, far = seen["asked"]
    assert found == {near: 4, far: 4}, "one is in FIN-WAIT-2: it has its port still"
    assert sum(one.used for one in seen["with servers"].busiest) == 16
    assert all(one.capacity == 28232 for one in seen["found"].busiest)


def test_a_port_range_that_is_none() -> None:
    with SockDiag() as diag, pytest.raises(ParseError):
        targets.busiest(diag, {}, Gaps(), most=1)
