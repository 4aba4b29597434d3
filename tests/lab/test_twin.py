"""The twin: runs recorded here and now, rebuilt, compared, and each remedy of their verdicts tried on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import servers
from tests.again import attempt
from tests.cli.terminal import assert_one_clear_line, called, estab, started
from tests.diagnose import runs
from tests.forked import forked
from tests.namespaces import in_namespace, until
from tests.processes import children

from estab.api.files import load_run
from estab.diagnose.advice import changes
from estab.diagnose.judge import judge
from estab.errors import ReadError, UsageError
from estab.lab.remedies.express import express
from estab.lab.remedies.outcome import came
from estab.lab.stage.build import lost_syns
from estab.lab.stage.scaling import descriptors, port_range, queue, scaled
from estab.lab.stage.setup import LoadSpec, Setup
from estab.lab.stage.setup import Path as Path_
from estab.lab.twin.path import losses, path_of
from estab.lab.twin.plan import plan
from estab.lab.twin.serving import pauses, serving
from estab.load.plan import OWN_DESCRIPTORS
from estab.records import Change, ChangeKind, Failure, Remedy, RunResult, TimelinePoint, encode
from estab.records.twin import TwinRemedy, TwinResult

WIDE = {"COLUMNS": "160", "LC_ALL": "C.UTF-8"}
Twins = Callable[[str], TwinResult]
HOLD = LoadSpec(command="hold", connections=200, duration_s=1, timeout_s=1, in_flight=100, ramp_per_s=400)


def record(file: Path, *arguments: str) -> str:
    done = estab("hold", *arguments, "--json", str(file), "--quiet")
    assert file.exists(), done.stderr
    return str(file)


def twin(*arguments: str, code: int = 0) -> TwinResult:
    done = estab("lab", "twin", *arguments, "--json", "-", timeout=120)
    assert done.returncode == code, (done.stderr, done.stdout)
    return msgspec.json.decode(done.stdout, type=TwinResult)


def remedy(result: TwinResult, words: str) -> TwinRemedy:
    return next(remedy for remedy in result.remedies if words in remedy.command)


def assert_near(result: TwinResult, *names: str) -> None:
    """These rows are within 10 % of the record."""
    rows = {row.what: row for row in result.rows}
    for name in names:
        share = rows[name].percent
        assert share is not None, result.rows
        assert abs(share) <= 10, result.rows


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A client of 300 connections with 200 ports."""
    file = tmp_path_factory.mktemp("twin") / "ports.json"
    arguments = ("-n", "300", "-d", "200ms", "--source", "127.0.0.1")
    narrow = {"net.ipv4.ip_local_port_range": "40000 40199"}
    return in_namespace(lambda: record(file, *arguments), sysctls=narrow)


def before_standing_nginx(folder: Path) -> str:
    """A run against an nginx whose workers are stopped."""
    folder.mkdir()
    with servers.standing_nginx(folder, backlog=5) as target:
        return record(folder / "run.json", target, "-n", "50", "--timeout", "1500ms", "-d", "200ms")


def without_descriptors(folder: Path) -> str:
    """A run against a program that has 40 descriptors."""
    with servers.asyncio_echo(nofile=40) as target:
        return record(folder / "descriptors.json", target, "-n", "100", "-d", "1500ms")


def as_if_elsewhere(narrow: str, folder: Path) -> str:
    """That record as if its target had been 20 ms away."""
    run = load_run(narrow)
    connect = run.latency.connect_us
    assert connect is not None
    elsewhere = run.replace(
        config={**run.config, "target": "192.0.2.1:5000", "sources": []},
        latency=run.latency.replace(connect_us=connect.replace(p50=20_000.0)),
    )
    file = folder / "elsewhere.json"
    file.write_bytes(encode(elsewhere))
    return str(file)


def slow_accepts(folder: Path) -> TwinResult:
    """200 at once at a queue of 16 from which 20 a second are taken."""
    slow = ("-n", "200", "--backlog", "16", "--accept-delay", "50ms", "-d", "500ms")
    # In a namespace of its own: counters are a namespace's, and other tests count there too.
    return twin(in_namespace(lambda: record(folder / "slow.json", *slow)))


@pytest.fixture(scope="module")
def twins(narrow: str, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """By name. Two alone: how often SYNs are sent again is compared. The others side by side: they wait mostly."""
    folder = tmp_path_factory.mktemp("twins")
    alone = {
        "slow accepts": slow_accepts(folder),
        "nginx": twin(before_standing_nginx(folder / "nginx")),
    }
    made: dict[str, Callable[[], TwinResult]] = {
        "descriptors": lambda: twin(without_descriptors(folder)),
        "elsewhere": lambda: twin(as_if_elsewhere(narrow, folder)),
        "half": lambda: twin(narrow, "--scale", "0.5"),
        "ports": lambda: twin(narrow),
        "healthy": lambda: twin(record(folder / "healthy.json", "-n", "20", "-d", "100ms")),
    }
    with ThreadPoolExecutor(3) as pool:
        found = {name: pool.submit(make) for name, make in made.items()}
    return lambda name: alone[name] if name in alone else found[name].result()


@pytest.mark.namespace
@pytest.mark.long
def test_nginx_whose_worker_stands_still(twins: Twins) -> None:
    result = twins("nginx")
    assert result.recorded_cause == result.cause == "server_not_accepting"
    assert_near(result, "connected", "ListenOverflows a connect", "ListenDrops a connect")
    accepting = remedy(result, "call accept() again")
    assert "with a backlog of" in accepting.command  # 50 at once, and 6 fit
    assert accepting.came == "works"
    assert accepting.after.startswith("50 of 50 connected, 50 accepted")
    assert remedy(result, "strace").came == remedy(result, "py-spy").came == "looks"
    for futile in ("a bigger backlog", "tcp_max_syn_backlog"):
        assert remedy(result, futile).came == "does_nothing"


@pytest.mark.namespace
@pytest.mark.long
def test_a_backlog_too_small_for_slow_accepts(twins: Twins, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    result = twins("slow accepts") if attempt(request.node) == 1 else slow_accepts(tmp_path)
    assert result.recorded_cause == result.cause == "accept_queue_overflow"
    assert_near(result, "connected", "connects that sent SYN again")
    rows = {row.what: row for row in result.rows}
    # SYNs that a busy machine sends in two parts find room for a queue of 17 more, which get no cookie.
    cookies = rows["TCPReqQFullDoCookies a connect"]
    assert abs((cookies.recorded or 0) - (cookies.twin or 0)) <= 0.1, cookies
    # What was accepted by the look is no ghost any more: how many those are depends on when a busy machine looks.
    assert abs((rows["ghosts"].recorded or 0) - (rows["ghosts"].twin or 0)) <= 0.1 * (rows["connected"].recorded or 0)
    # A ghost's FIN overflows again each time that it is sent: how often depends on how fast a busy machine ends a run.
    overflows = next(row for row in result.rows if row.what == "ListenOverflows a connect")
    assert min(overflows.recorded or 0, overflows.twin or 0) > 0.8
    assert remedy(result, "--backlog").came == "works"
    assert remedy(result, "tcp_max_syn_backlog").came == "does_nothing"
    assert remedy(result, "the server left running").came == "does_nothing"
    assert remedy(result, "in a container").came == "not_expressed"


@pytest.mark.namespace
@pytest.mark.long
def test_a_client_out_of_ports(twins: Twins) -> None:
    result = twins("ports")
    assert result.recorded_cause == result.cause == "ephemeral_port_exhaustion"
    rows = {row.what: row for row in result.rows}
    assert rows["connected"].twin == 200
    assert remedy(result, "ip_local_port_range").came == "works"
    assert remedy(result, "source addresses").came == "works"
    assert remedy(result, "tcp_tw_reuse=1").came == "does_nothing"
    assert any("nf_conntrack_max" in one for one in result.not_isolated)


@pytest.mark.namespace
@pytest.mark.long
def test_a_healthy_run_has_a_healthy_twin(twins: Twins) -> None:
    result = twins("healthy")
    assert (result.recorded_cause, result.cause, result.remedies) == (None, None, [])
    assert all(row.percent == 0 for row in result.rows)


@pytest.mark.namespace
@pytest.mark.long
def test_a_foreign_server_out_of_descriptors(twins: Twins, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    result = twins("descriptors") if attempt(request.node) == 1 else twin(without_descriptors(tmp_path))
    assert (result.recorded_cause, result.cause) == ("server_open_files", "server_open_files"), result.summary
    assert remedy(result, "prlimit").came == "works"
    assert remedy(result, "a bigger backlog").came == "does_nothing"
    assert remedy(result, "fs.file-max").came == "not_expressed"


@pytest.mark.namespace
@pytest.mark.long
def test_a_scaled_twin_shows_the_same(twins: Twins) -> None:
    result = twins("half")
    assert result.cause == "ephemeral_port_exhaustion"
    rows = {row.what: row for row in result.rows}
    assert (rows["attempted"].recorded, rows["attempted"].twin, rows["connected"].twin) == (150, 150, 100)


@pytest.mark.namespace
@pytest.mark.long
def test_over_a_wire_where_the_record_had_a_path(twins: Twins) -> None:
    result = twins("elsewhere")
    assert "round-trip time 20.0 ms" in result.built
    assert result.run is not None
    assert result.run.latency.connect_us is not None
    assert (result.run.latency.connect_us.p50 or 0) >= 20_000
    assert remedy(result, "source addresses").came == "works"


@pytest.mark.namespace
def test_ctrl_c_leaves_what_was_seen(narrow: str, tmp_path: Path) -> None:
    file = tmp_path / "twin.json"
    process = started("lab", "twin", narrow, "--json", str(file), "--quiet")
    until(lambda: children(process.pid), why="the process of the namespaces is there")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130
    assert json.loads(file.read_bytes())["interrupted"] is True


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "not a record"),
        ('{"schema":"estab.snapshot/1","taken_at_s":1,"host":{}}', "no listener"),
        ('{"schema":"estab.run/2"}', "estab.run/2"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(content: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(content)
    assert_one_clear_line(called("lab", "twin", str(file)), 2, named)


def test_a_run_without_a_load_says_so(narrow: str) -> None:
    run = load_run(narrow)
    with pytest.raises(ReadError, match="estab serve"):
        plan(run.replace(command="serve"))
    with pytest.raises(ReadError, match="timeout_s"):
        plan(run.replace(config={**run.config, "timeout_s": "soon"}))


@pytest.mark.namespace
def test_what_a_user_reads(narrow: str) -> None:
    command = forked("lab", "twin", narrow, "-v", env={**os.environ, **WIDE})
    done = subprocess.run(**command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "same cause: ephemeral_port_exhaustion",
        'works: sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
        "does nothing: sysctl -w net.ipv4.tcp_tw_reuse=1",
        "Can't be isolated",
        "before: 200 of 300 connected",
    ):
        assert words in done.stdout


# -- pure -------------------------------------------------------------------------------------------------------------


@given(factor=st.floats(0.01, 10), backlog=st.integers(0, 60_000), nofile=st.integers(20, 100_000))
def test_scaling_keeps_every_bound_in_proportion(factor: float, backlog: int, nofile: int) -> None:
    assert abs(queue(backlog, factor) + 1 - (backlog + 1) * factor) <= 1
    room = (descriptors(nofile, factor) or 0) - OWN_DESCRIPTORS
    assert abs(room - (nofile - OWN_DESCRIPTORS) * factor) <= 1
    low, high = map(int, port_range("20000 24999", factor).split())
    assert low == 20000
    assert abs((high - low + 1) - min(45_536, 5000 * factor)) <= 1


def test_a_scaled_setup() -> None:
    sysctls = (
        ("net.core.somaxconn", 99),
        ("net.ipv4.ip_local_port_range", "40000 40999"),
        ("net.ipv4.tcp_tw_reuse", 2),
    )
    setup = Setup(load=HOLD, server=sysctls, client=sysctls, backlog=19, accept_delay_s=0.05, server_nofile=116)
    half = scaled(setup, 0.5)
    assert (half.load.connections, half.load.in_flight, half.load.ramp_per_s) == (100, 50, 200)
    assert (half.load.timeout_s, half.load.duration_s) == (1, 1)
    assert (half.backlog, half.accept_delay_s, half.server_nofile, half.client_nofile) == (9, 0.1, 66, None)
    assert dict(half.client) == {
        "net.core.somaxconn": 49,
        "net.ipv4.ip_local_port_range": "40000 40499",
        "net.ipv4.tcp_tw_reuse": 2,
    }
    assert scaled(setup, 1) == setup
    closed = replace(setup, bound=50).with_path(lost=(30, 0), flows=500, gather=400, lost_share=0.2)
    path = scaled(closed, 0.5).path
    assert (path.lost, path.flows, path.gather, path.lost_share) == ((15, 0), 250, 200, 0.2)
    assert scaled(closed, 0.5).bound == 25
    for wrong in (0, -1, float("nan"), 1000):
        with pytest.raises(UsageError):
            scaled(setup, wrong)


@pytest.mark.parametrize(("over_wire", "together"), [(True, 117), (False, 0)])
def test_syns_that_met_at_a_queue_meet_there_again_where_a_wire_is(over_wire: bool, together: int) -> None:
    run = runs.overflowed()
    counted = {**(run.server.deltas or {}), "TcpExt.TCPReqQFullDoCookies": 100}
    run = run.replace(server=run.server.replace(deltas=counted))
    run = run.replace(diagnosis=judge(run))
    assert run.cause == "accept_queue_overflow"
    assumed: list[str] = []
    assert path_of(run, assumed, over_wire=over_wire).gather == together  # 17 fit into its SYN queue
    assert len(assumed) == over_wire


def remedy_of(*changes: Change, works: bool = True) -> Remedy:
    return Remedy(command="as it may be worded", works=works, why="", changes=list(changes))


SMALL = Setup(load=HOLD, backlog=16, server=(("net.core.somaxconn", 128),), rtt_s=0.01, server_nofile=64)


def changed(*changes: Change, setup: Setup = SMALL, scale: float = 1) -> Setup:
    found = express(remedy_of(*changes), setup, scale)
    assert found.setup is not None, found.did
    assert found.did
    return found.setup


def test_every_kind_of_change_has_a_rule() -> None:
    for kind in get_args(ChangeKind):
        assert "are not known" not in express(remedy_of(Change(kind=kind, value=3)), SMALL, 1).did, kind
    later = express(remedy_of(Change(kind="of_a_later_version")), SMALL, 1)
    assert later.setup is None
    assert "of_a_later_version" in later.did
    assert express(Remedy(command="sysctl -w net.core.somaxconn=5", works=True, why=""), SMALL, 1).setup is None


def test_remedies_as_changes() -> None:
    assert (changed(changes.queue(512)).backlog, changed(changes.queue(512)).somaxconn) == (512, 512)
    assert changed(changes.queue(512), scale=0.5).backlog == 256
    assert (changed(changes.backlog(512)).backlog, changed(changes.backlog(512)).somaxconn) == (512, 128)
    late = changed(changes.late_sysctl("net.core.somaxconn", 65535))
    assert (late.backlog, late.late) == (16, (("net.core.somaxconn", 65535),))
    assert changed(changes.nofile(1024, "server")).server_nofile == 1024
    assert changed(changes.nofile(1024, "client")).client_nofile == 1024
    assert changed(changes.timeout(3)).load.timeout_s == 3
    assert changed(changes.LONGER_TIMEOUT).load.timeout_s == 2
    assert dict(changed(changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "client")).client)["net.ipv4.tcp_tw_reuse"] == 1
    assert dict(changed(changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "server")).server)["net.ipv4.tcp_tw_reuse"] == 1
    both = changed(changes.ACCEPT, changes.queue(512), setup=replace(SMALL, accepts=False))
    assert (both.accepts, both.backlog) == (True, 512)
    for nothing in (changes.LOOK, changes.program("another"), changes.sysctl("fs.file-max", 9), changes.POOL):
        assert express(remedy_of(nothing), SMALL, 1).setup is None


def test_what_stands_on_the_path_is_taken_away() -> None:
    closed = SMALL.with_path(closed="drop", flows=100)
    assert changed(changes.ALLOW, setup=closed).path == Path_(flows=100)
    assert changed(changes.flow_table(None), setup=closed).path.flows is None
    assert changed(changes.flow_table(1000), setup=closed, scale=0.5).path.flows == 500
    assert changed(changes.fewer(), setup=closed).load.connections == 100
    for without in (changes.flow_table(None), changes.fewer()):
        assert express(remedy_of(without), SMALL, 1).setup is None


def test_both_ends_of_one_command_have_one_limit_and_one_host_one_sysctl() -> None:
    setup = Setup(load=HOLD, one_shell=True, client_nofile=64, server_nofile=64)
    found = changed(changes.nofile(1024, "client"), setup=setup)
    assert (found.client_nofile, found.server_nofile) == (1024, 1024)
    there = changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "server")
    assert express(remedy_of(there, works=False), setup, 1).setup is None


@pytest.mark.parametrize(
    ("resent", "timeouts", "lost"),
    [({"0": 80, "1": 20}, 0, (20,)), ({"0": 70, "1": 20, "2": 10}, 0, (30, 10)), ({"0": 100}, 7, (7,))],
)
def test_how_many_lost_which_syn(resent: dict[str, int], timeouts: int, lost: tuple[int, ...], narrow: str) -> None:
    failures = [Failure(phase="connect", errno="own_timeout", count=timeouts)] if timeouts else []
    run = load_run(narrow).replace(syn_retransmits=resent, failures=failures)
    assert losses(run) == lost


def test_lost_syns_are_spread_evenly() -> None:
    setup = SMALL.with_load(connections=100).with_path(lost=(20, 10))
    numbers = lost_syns(setup)
    assert len(numbers) == 30
    assert sum(number <= 100 for number in numbers) == 20
    assert max(numbers) <= 120
    assert lost_syns(SMALL) == frozenset()
    assert {10, 20} < lost_syns(SMALL.with_path(lost_share=0.1))


def point(t_s: float, accepted: int, depth: int) -> tuple[TimelinePoint, int]:
    counts = dict.fromkeys(("attempted", "connected", "first_byte", "completed", "failed", "open", "requests"), 0)
    return TimelinePoint(t_s=t_s, accepted=accepted, queue_depth=depth, **counts), accepted


def test_pauses_of_accept_are_read_from_the_timeline() -> None:
    stood = [point(0.1, 0, 129), point(0.2, 0, 129), point(0.3, 0, 129), point(0.4, 400, 0)]
    assert pauses(stood) == ((0.0, pytest.approx(0.35)),)
    hiccup = [point(0.1, 50, 0), point(0.2, 90, 30), point(0.3, 90, 129), point(0.4, 300, 2), point(0.5, 400, 0)]
    assert pauses(hiccup) == ((0.2, pytest.approx(0.35)),)
    seen_as_it_began = [point(0.1, 0, 129), point(0.2, 0, 129), point(0.3, 2, 127), point(0.4, 129, 0)]
    assert pauses(seen_as_it_began) == ((0.0, pytest.approx(0.25)),)
    one_by_one = [point(n / 10, n // 2, 6 - n // 2) for n in range(8)]
    assert pauses(one_by_one) == ()
    slow = [point(n / 10, n, 17) for n in range(1, 20)]
    assert pauses(slow) == ()
    for_good = [point(n / 10, 0, 6) for n in range(1, 20)]
    assert pauses(for_good) == ()


def test_a_pause_that_ends_after_the_last_sample_ends_with_the_load() -> None:
    standing = [point(n / 10, 0, 17)[0] for n in range(1, 5)]
    watch = runs.watch(limit=16, worst_depth=17, last_depth=0, drops=340)
    run = runs.overflowed(
        timeline=standing, elapsed_s=0.5, server=runs.local(watch, deltas=runs.deltas(ListenDrops=340))
    )
    assert serving(run, SMALL, []).pauses == ((0.0, pytest.approx(0.45)),)


def test_works_only_where_nothing_is_wrong_any_more(narrow: str) -> None:
    run: RunResult = load_run(narrow)
    assert run.diagnosis is not None
    healthy = run.replace(
        failures=[], diagnosis=run.diagnosis.replace(cause=None), funnel=run.funnel.replace(connected=300, accepted=300)
    )
    assert came(run, healthy) == "works"
    assert came(run, run) == "does_nothing"
    assert came(run, healthy.replace(diagnosis=run.diagnosis)) == "helps"
    assert came(run, healthy.replace(failures=run.failures)) == "helps"
    assert came(run, run.replace(failures=[])) == "does_nothing"
