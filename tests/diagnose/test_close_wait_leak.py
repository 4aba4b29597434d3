"""The server keeps what its clients closed: figures as Linux 6.18 gives them."""

from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.diagnose.suspects import close_wait_leak
from estab.records import Census, Listener, PortCount, Process, RunResult, Snapshot, Suspect


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.leaking(), "confirmed"),
        (runs.leaking(unclosed=64 + 17), "confirmed"),  # half of the 128 descriptors
        (runs.leaking(unclosed=63 + 17), "ruled_out"),
        (runs.leaking(fds=127), "ruled_out"),
        (runs.leaking(unclosed=17), "ruled_out"),  # clients that gave up, in the accept queue
        (runs.leaking().replace(server=runs.remote()), "not_observed"),
        (runs.run(), "ruled_out"),  # its sockets were not read, but it had descriptors to spare
        (runs.server_without_descriptors(), "not_observed"),
    ],
)
def test_connections_that_were_never_closed(run: RunResult, expected: str) -> None:
    assert alone("close_wait_leak", run).verdict == expected


@pytest.mark.parametrize(("unclosed", "expected"), [(17 + 130, "possible"), (17 + 121, "ruled_out")])
def test_a_leak_that_has_descriptors_to_spare_is_possible(unclosed: int, expected: str) -> None:
    assert alone("close_wait_leak", runs.leaking(unclosed=unclosed, fds=150, nofile=20_000)).verdict == expected
    held = runs.leaking(unclosed=unclosed, fds=150, nofile=20_000).replace(command="hold")
    assert alone("close_wait_leak", held).verdict == "ruled_out"


def test_what_the_clients_of_a_hold_closed_at_its_end_is_no_leak() -> None:
    held = runs.leaking().replace(command="hold")
    assert alone("close_wait_leak", held).verdict == "ruled_out"
    before = held.replace(server=held.server.replace(before=held.server.after))
    assert alone("close_wait_leak", before).verdict == "confirmed"


def test_it_is_named_in_place_of_what_it_brings_about() -> None:
    said = judge(runs.leaking())
    assert said.cause == "close_wait_leak"
    assert {s.cause: s.verdict for s in said.suspects}["server_open_files"] == "possible"


def host(at_s: float, unclosed: int, *, depth: int = 0, fds: int = 200, read: bool = True) -> Snapshot:
    owner = Process(pid=7, name="server", fds=fds, nofile_soft=1000, nofile_hard=1000)
    listener = Listener(family=4, address="0.0.0.0", port=5000, depth=depth, limit=128, inode=1, owners=[owner])
    states = {"CLOSE-WAIT": unclosed, "LISTEN": 1}
    census = Census(sockets=unclosed, states=states, ports=[PortCount(port=5000, states=states)], peers=[])
    return runs.snapshot(taken_at_s=at_s, listeners=[listener], census=census if read else None)


def of_hosts(before: Snapshot | None, after: Snapshot) -> Suspect:
    said = judge_snapshots(before, after)
    return next(suspect for suspect in said.suspects if suspect.cause == "close_wait_leak")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (host(1, 30), host(3, 90), "possible"),
        (host(1, 90), host(3, 90), "ruled_out"),
        (host(1, 5), host(3, 20), "ruled_out"),
        (host(1, 5), host(3, 21), "possible"),
        (host(1, 5), host(3, 60, depth=40), "ruled_out"),
        (None, host(3, 90), "not_observed"),
        (None, host(3, 500, fds=1000), "confirmed"),
        (None, host(3, 499, fds=1000), "not_observed"),
        (host(1, 30), host(3, 90, read=False), "not_observed"),
    ],
)
def test_two_looks_at_a_host(before: Snapshot | None, after: Snapshot, expected: str) -> None:
    assert of_hosts(before, after).verdict == expected


def test_how_long_the_descriptors_last_is_said() -> None:
    assert "800 spare descriptors last 27 s" in of_hosts(host(1, 30), host(3, 90)).summary


def test_a_higher_limit_is_no_remedy() -> None:
    (more,) = [r for r in close_wait_leak.remedies(runs.leaking()) if "prlimit" in r.command]
    assert (more.works, more.command) == (False, "prlimit --pid 4321 --nofile=512:512")
