"""A search for the highest rate in which a worker of ours dies: that attempt says so, and does not blame the server."""

from __future__ import annotations

from tests.diagnose import runs

from estab.api.highest_rate import _step


def test_an_attempt_that_lost_a_worker_says_so() -> None:
    run = runs.run(client={"workers": [runs.worker(exit=-9, lost="died of signal 9")]})
    assert _step(run, 1000.0, 99.0, 5000.0).why == "a worker of ours died of signal 9: this tells nothing of the server"
