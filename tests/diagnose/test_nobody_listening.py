from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.records import Listener, RunResult

ELSEWHERE = Listener(family=4, address="127.0.0.1", port=22, depth=0, limit=128)


def some_refused(refused: int, connected: int, timed_out: int = 0, **fields: object) -> RunResult:
    failures = [runs.failure("connect", "ECONNREFUSED", refused)] if refused else []
    failures += [runs.failure("connect", "ETIMEDOUT", timed_out)] if timed_out else []
    total = refused + connected + timed_out
    return runs.run(**{"funnel": runs.funnel(total, connected), "failures": failures, **fields})


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (some_refused(0, 400), "ruled_out"),
        (some_refused(0, 0, 400), "ruled_out"),
        (some_refused(400, 0), "confirmed"),
        (some_refused(1, 0), "confirmed"),
        (some_refused(400, 0, server=runs.remote()), "confirmed"),  # the RST is the client's own evidence
        (some_refused(400, 1), "possible"),
        (some_refused(1, 399), "possible"),
        (some_refused(200, 0, 200), "possible"),  # half of them: something else is the matter as well
        (some_refused(201, 0, 200), "confirmed"),
        # It connected at first, and nothing listens there any more.
        (some_refused(300, 100, server=runs.local(after=runs.snapshot(listeners=[ELSEWHERE]))), "confirmed"),
        (some_refused(300, 100, server=runs.local(after=runs.snapshot(listeners=None))), "possible"),
        # It listens elsewhere than the client asked; or there, and the RSTs may be somebody else's.
        (runs.elsewhere(), "confirmed"),
        (runs.elsewhere(address="192.0.2.7"), "possible"),
    ],
)
def test_refused(run: RunResult, expected: str) -> None:
    assert alone("nobody_listening", run).verdict == expected


def over_unix(errno: str, connected: int = 0) -> RunResult:
    fields = {"failures": [runs.failure("connect", errno, 30)], "funnel": runs.funnel(30 + connected, connected)}
    return runs.unix_overflowed(0, **fields)


@pytest.mark.parametrize(
    ("run", "expected", "said"),
    [
        (over_unix("ENOENT"), "confirmed", "There is no unix:/run/app.sock: 30 of 30 connects got ENOENT."),
        (over_unix("ECONNREFUSED"), "confirmed", "unix:/run/app.sock is there and nobody listens on it"),
        (over_unix("ENOENT", connected=5), "possible", "came, went or began anew"),
        (over_unix("EACCES"), "ruled_out", "No connect to unix:/run/app.sock was refused."),
    ],
)
def test_a_unix_socket_that_is_not_there_or_left_behind(run: RunResult, expected: str, said: str) -> None:
    suspect = alone("nobody_listening", run)
    assert (suspect.verdict, said in suspect.summary) == (expected, True)
    assert not suspect.remedies or suspect.remedies[0].command.startswith("ss -lxp | grep -F /run/app.sock")


def test_an_abstract_socket_leaves_no_file_behind() -> None:
    run = over_unix("ECONNREFUSED")
    suspect = alone("nobody_listening", run.replace(config={**run.config, "target": "unix:@app"}))
    assert suspect.summary == "Nobody listens on unix:@app: 30 of 30 connects were refused."


def test_enoent_is_of_unix_sockets_alone() -> None:
    assert judge(over_unix("ENOENT")).cause == "nobody_listening"
    assert alone("nobody_listening", runs.run(failures=[runs.failure("connect", "ENOENT", 3)])).verdict == "ruled_out"


def test_a_server_that_listens_on_loopback_alone_is_no_filter() -> None:
    assert judge(runs.elsewhere()).cause == "nobody_listening"
    assert judge(runs.elsewhere(resets=0)).cause == "path_filtered"


def test_remedies_look_at_the_port() -> None:
    found = alone("nobody_listening", runs.refused()).remedies
    assert found[0].command.startswith("ss -ltnp 'sport = :5000'")
    assert {r.command for r in found if not r.works} >= {"a longer connect timeout, more SYN retries"}


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("nobody_listening", runs.run()).verdict == "ruled_out"
