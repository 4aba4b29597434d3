from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import Ghosts, RunResult


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.deferred(), "confirmed"),
        (runs.deferred(0), "ruled_out"),
        (runs.deferred(1), "confirmed"),
        # By design: everybody who spoke was served.
        (runs.run(server=runs.local(runs.watch(drops=50), deltas=runs.deltas(TCPDeferAcceptDrop=50))), "ruled_out"),
        # Another listener's.
        (runs.run(server=runs.local(runs.watch(drops=0), deltas=runs.deltas(TCPDeferAcceptDrop=50))), "ruled_out"),
        # Something broke, but nothing says that it was this.
        (
            runs.healthy_bench(runs.local(runs.watch(drops=50), deltas=runs.deltas(TCPDeferAcceptDrop=50))).replace(
                failures=[runs.failure("read", "own_timeout", 5)]
            ),
            "possible",
        ),
        (runs.deferred(ghosts=Ghosts(count=0, client_established=400, server_established=400)), "ruled_out"),
        (runs.deferred(server=runs.local(deltas={})), "not_observed"),
        (runs.deferred(server=runs.remote()), "not_observed"),
    ],
)
def test_deferred_accept(run: RunResult, expected: str) -> None:
    assert alone("defer_accept_drops", run).verdict == expected
