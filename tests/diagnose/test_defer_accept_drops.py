from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.records import Ghosts, RunResult


def held(**fields: object) -> RunResult:
    """hold -n 400 in silence: the clients have them all, the server's program none."""
    silent = runs.deferred().server
    return runs.run(**{"funnel": runs.funnel(400, 400, accepted=0), "server": silent, **fields})


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.deferred(), "confirmed"),
        (runs.deferred(0), "ruled_out"),
        (runs.deferred(399), "possible"),  # 400 waited in vain: one of them for another reason
        (runs.deferred(config={"size_bytes": 64}), "possible"),  # they spoke, and that brings a connection to accept()
        (runs.deferred(failures=[]), "ruled_out"),
        (held(), "possible"),  # held in silence: nothing failed
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
        (held(ghosts=Ghosts(count=0, client_established=400, server_established=400)), "ruled_out"),
        (runs.deferred(server=runs.local(deltas={})), "not_observed"),
        (runs.deferred(server=runs.remote()), "not_observed"),
    ],
)
def test_deferred_accept(run: RunResult, expected: str) -> None:
    assert alone("defer_accept_drops", run).verdict == expected
