"""Twins of snapshots: a queue that nobody empties and ports that are used up, as `estab observe` recorded them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.again import attempt
from tests.cli.terminal import estab
from tests.namespaces import in_namespace, sysctl

from estab.api.files import read_record
from estab.errors import ReadError, UsageError
from estab.lab.twin.from_snapshots import judged, plan
from estab.lab.twin.overrides import Overrides
from estab.lab.twin.session import twin
from estab.observe import snapshot
from estab.records import encode
from estab.records.twin import TwinRemedy, TwinResult

BACKLOG, CLIENTS, SPAN_S = 16, 40, 1.2
FULL = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 5005), backlog=int(sys.argv[1]))
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.socket())
    held[-1].setblocking(False)
    held[-1].connect_ex(("127.0.0.1", 5005))
print("ready", flush=True)
sys.stdin.read()
"""


def observed(count: int, backlog: int, clients: int) -> list[bytes]:
    """What `estab observe` prints beside a listener that never accepts."""
    command = [sys.executable, "-c", FULL, str(backlog), str(clients)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        done = estab("observe", "--count", str(count), "--interval", f"{SPAN_S}s")
        assert process.stdin
        process.stdin.close()
    return done.stdout.encode().splitlines()


def recorded() -> bytes:
    return b"\n".join(in_namespace(lambda: observed(2, BACKLOG, CLIENTS)))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two snapshots of a full queue, one a line."""
    file = tmp_path_factory.mktemp("snapshots") / "full.ndjson"
    file.write_bytes(recorded())
    return file


GIVEN: dict[str, dict[str, Any]] = {"two": {}, "one": {"connections": 30, "rtt_s": 0.005}, "ports": {}}


def rebuilt(name: str, full: bytes, folder: Path) -> TwinResult:
    """The twin of two snapshots of a full queue, of the first of them, or of ports that are used up."""
    file = folder / f"{name}.ndjson"
    file.write_bytes({"two": lambda: full, "one": lambda: full.splitlines()[0], "ports": in_used_up}[name]())
    return twin(file, **GIVEN[name])


@pytest.fixture(scope="module")
def twins(full: Path) -> dict[str, TwinResult]:
    """Three twins, side by side: most of their time is waiting."""
    with ThreadPoolExecutor(3) as pool:
        found = {name: pool.submit(rebuilt, name, full.read_bytes(), full.parent) for name in GIVEN}
    return {name: future.result() for name, future in found.items()}


@pytest.fixture
def twin_of(
    twins: dict[str, TwinResult], request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], TwinResult]:
    """One of them; for a later attempt made anew, alone."""

    def of(name: str) -> TwinResult:
        return twins[name] if attempt(request.node) == 1 else rebuilt(name, recorded(), tmp_path)

    return of


def remedy(result: TwinResult, words: str) -> TwinRemedy:
    return next(remedy for remedy in result.remedies if words in remedy.command)


@pytest.mark.namespace
@pytest.mark.long
def test_two_snapshots_of_a_full_queue(twin_of: Callable[[str], TwinResult]) -> None:
    result = twin_of("two")
    assert result.recorded_cause == result.cause == "server_not_accepting"
    rows = {row.what: row for row in result.rows}
    assert rows["waiting in the accept queue"].twin == BACKLOG + 1
    for name in ("ListenOverflows a second", "ListenDrops a second"):
        percent = rows[name].percent
        assert percent is not None
        assert abs(percent) <= 15, rows[name]
    assert any(f"{CLIENTS} clients" in assumption and "--connections" in assumption for assumption in result.assumed), (
        result.assumed
    )
    assert any("--rtt" in assumption for assumption in result.assumed)


@pytest.mark.namespace
@pytest.mark.long
def test_its_remedies_are_tried(twin_of: Callable[[str], TwinResult]) -> None:
    result = twin_of("two")
    assert remedy(result, "call accept()").came in ("works", "works_with")  # 40 at once, and 17 fit
    assert remedy(result, "a bigger backlog").came != "works"  # nothing was accepted: a longer queue only holds more
    assert remedy(result, "tcp_max_syn_backlog").came == "does_nothing"


@pytest.mark.namespace
@pytest.mark.long
def test_one_snapshot_with_what_it_cannot_know_given(twin_of: Callable[[str], TwinResult]) -> None:
    result = twin_of("one")
    assert result.recorded_cause == result.cause == "accept_queue_overflow"
    assert result.run is not None
    assert result.run.funnel.attempted == 30
    assert any("30 connections, as given" in said for said in result.assumed)
    assert any("round-trip time 5.00 ms" in said for said in result.built)
    assert any("stands still while they come" in said for said in result.assumed)


def in_used_up() -> bytes:
    return in_namespace(used_up)


def used_up() -> bytes:
    """A client whose range of 50 ports is full, towards one target."""
    sysctl("net.ipv4.ip_local_port_range", "40000 40049")
    command = [sys.executable, "-c", FULL, "128", "50"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        taken = snapshot.take(toward=("127.0.0.1", 5005))
        assert process.stdin
        process.stdin.close()
    return encode(taken)


@pytest.mark.namespace
@pytest.mark.long
def test_a_snapshot_of_a_range_that_is_used_up(twin_of: Callable[[str], TwinResult]) -> None:
    result = twin_of("ports")
    assert result.recorded_cause == result.cause == "ephemeral_port_exhaustion"
    rows = {row.what: row for row in result.rows}
    assert rows["local ports in use"].twin == 50
    assert remedy(result, "ip_local_port_range").came == "works"


def test_what_no_snapshot_shows_is_said(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text('{"schema":"estab.snapshot/1","taken_at_s":1,"host":{}}')
    with pytest.raises(ReadError, match="no listener"):
        twin(file)


@pytest.mark.parametrize(("connections", "rtt_s"), [(0, None), (10**7, None), (None, -1.0), (None, float("nan"))])
def test_what_cannot_be_given(connections: int | None, rtt_s: float | None) -> None:
    with pytest.raises(UsageError, match=r"`(connections|rtt_s)` is .*, out of range"):
        Overrides(connections, rtt_s)


@pytest.mark.namespace
@pytest.mark.long
def test_a_queue_that_fell_is_no_overflow(full: Path) -> None:
    found = read_record(full)
    assert isinstance(found, list)
    healthy = [one.replace(listeners=[each.replace(depth=0, drops=0) for each in one.listeners or []]) for one in found]
    planned = plan(judged([one.replace(counters=found[0].counters) for one in healthy]))
    assert planned.setup.accepts
    assert not planned.setup.pauses
