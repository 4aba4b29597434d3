"""What scenarios are made of, piece by piece: a wire that holds, a load that is starved or looked at, timelines."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from tests import namespaces as ns

from estab.api.bench import bench
from estab.api.hold import hold
from estab.api.recorder import Progress
from estab.errors import UsageError
from estab.kernel.rules.interval import Interval
from estab.kernel.rules.kernel_version import parse
from estab.lab.parts import one_port, syn_times
from estab.lab.parts.figures import lost_on_the_way
from estab.lab.parts.scenario import find
from estab.lab.parts.settings import sizes
from estab.lab.parts.unread import unread
from estab.lab.process.isolation import descendants
from estab.lab.run.session import lab
from estab.lab.stage import running
from estab.lab.stage.hosts import PORT, SERVER
from estab.lab.stage.load import SETTLED
from estab.lab.stage.runner import Runner
from estab.lab.stage.setup import LoadSpec, Setup
from estab.lab.stage.stage import Stage, until
from estab.lab.wire.spec import PassedSyn, WireReport, WireSpec


def syn(port: int, at_s: float = 0.0, *, arrived: bool = True) -> PassedSyn:
    return PassedSyn(at_s=at_s, source_port=port, target_port=PORT, arrived=arrived)


# -- the wire and what runs at its ends --------------------------------------------------------------------------------


@pytest.mark.namespace
def test_a_wire_that_holds_lets_nothing_out() -> None:
    def work() -> tuple[dict[str, int], dict[str, int]]:
        with Stage() as stage:
            stage.serve()
            assert stage.wire is not None
            stage.wire.hold(True)
            with stage.client.entered():
                client = socket.socket()
            client.setblocking(False)
            client.connect_ex((SERVER, PORT))
            until(stage.syns, 5, "the SYN came to the wire")
            stage.quiet()
            held = stage.client_states()
            stage.wire.hold(False)
            until(lambda: stage.client_states().get("ESTAB"), 5, "the SYN was answered")
            states = held, stage.client_states()
            client.close()
            return states

    held, let_go = ns.in_namespace(work)
    assert held.get("SYN-SENT") == 1
    assert "ESTAB" not in held
    assert let_go.get("ESTAB") == 1


@pytest.mark.namespace
def test_a_starved_load_stands_still_and_goes_on() -> None:
    def work() -> tuple[set[str], set[str], int]:
        with Stage() as stage:
            server = stage.serve()
            load = stage.load(lambda progress: hold(stage.target, connections=5, duration_s=0.2, progress=progress))
            load.begun()
            workers = descendants(load.child.pid)
            with load.starved():
                until(lambda: {_state(pid) for pid in workers} == {"T"}, 5, "all workers stand still")
                stopped = {_state(pid) for pid in workers}
            going = {_state(pid) for pid in workers}
            return stopped, going, stage.finish(server, load).funnel.connected

    stopped, going, connected = ns.in_namespace(work)
    assert stopped == {"T"}
    assert going
    assert "T" not in going
    assert connected == 5


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


@pytest.mark.namespace
def test_nothing_is_closed_before_the_other_end_was_looked_at() -> None:
    """Held for a moment only, and all the same the server's end is seen with every connection: no ghost."""

    def work() -> list[tuple[int, int]]:
        found = []
        for _ in range(5):
            with Stage() as stage:
                server = stage.serve()
                run = stage.run(
                    server, lambda progress: hold(stage.target, connections=20, duration_s=0.2, progress=progress)
                )
                assert run.ghosts is not None
                found.append((run.ghosts.count, run.ghosts.server_established))
        return found

    assert ns.in_namespace(work) == [(0, 20)] * 5


@pytest.mark.namespace
def test_a_load_of_a_unix_socket_is_settled_once() -> None:
    """Whose connections can't be told apart by address; told so again, it would wait again to be looked at."""

    def work() -> tuple[str | None, str | None]:
        with Stage(None) as stage:
            stage.meet_at_unix_socket()
            stage.serve()
            load = stage.load(
                lambda progress: hold(stage.target, connections=5, duration_s=0.5, progress=progress)
            ).child
            first = load.wait_for(lambda message: bool(message == SETTLED))
            load.send("looked")
            return first, load.wait_for(lambda message: bool(message == SETTLED))

    assert ns.in_namespace(work) == (SETTLED, None)


@pytest.mark.namespace
@pytest.mark.parametrize(("fit", "ghosts"), [(20, 0), (5, 15)])
def test_the_server_is_looked_at_once_the_last_acks_have_come(fit: int, ghosts: int) -> None:
    """Connected is a client that sends its ACK: on a long wire the server has not one of them by then."""

    def work() -> tuple[int | None, int | None, int | None, int]:
        with Stage(WireSpec(rtt_s=0.4), server={"net.ipv4.tcp_syncookies": 1}) as stage:
            server = stage.serve(backlog=fit - 1, kind="stall")
            assert stage.wire is not None
            # Together: each is answered, by a cookie where need be, while nobody waits for accept() yet.
            stage.wire.gather(20)
            run = stage.run(
                server, lambda progress: hold(stage.target, connections=20, duration_s=0.1, progress=progress)
            )
            assert run.ghosts is not None
            assert run.server.listener is not None
            return run.ghosts.count, run.ghosts.server_established, run.server.listener.queued_at_end, fit

    assert ns.in_namespace(work) == (ghosts, fit, fit, fit)


@pytest.mark.namespace
def test_what_is_to_come_together_is_waited_for_as_long_as_it_keeps_coming() -> None:
    """Ten clients that begin 50 ms apart, on a queue of five: together, five of them hold a cookie (rule 16)."""

    def work() -> tuple[int, int]:
        sysctls: dict[str, int | str] = {"net.ipv4.tcp_syncookies": 1}
        with Stage(WireSpec(rtt_s=0.02, gather_syns=10), server=sysctls) as stage:
            server = stage.serve(backlog=4, kind="stall")
            run = stage.run(server, lambda progress: hold(
                stage.target, connections=10, ramp_per_s=20, duration_s=0.1, progress=progress
            ))  # fmt: skip
            assert run.ghosts is not None
            return run.funnel.connected, run.ghosts.count

    assert ns.in_namespace(work) == (10, 5)


def test_what_is_held_is_told_of_before_it_is_closed() -> None:
    """However short the time: the stage counts on being told once with all of it open."""
    seen: list[Progress] = []
    for _ in range(3):
        seen.clear()
        assert hold(connections=20, duration_s=0.001, progress=seen.append).funnel.connected == 20
        assert [now.point.open for now in seen if now.stage == "running"][:1] == [20]


@pytest.mark.namespace
def test_syns_that_are_spread_come_apart_and_nothing_else_does() -> None:
    def work() -> tuple[int, list[float], float]:
        with Stage(WireSpec(rtt_s=0.002, syn_spread_s=0.3)) as stage:
            run = stage.run(
                stage.serve(), lambda progress: bench(stage.target, connections=40, duration_s=0.4, progress=progress)
            )
            assert run.latency.connect_us is not None
            assert run.latency.request_us is not None
            connects = run.latency.connect_us
            return run.funnel.connected, [connects.p50 or 0, connects.max or 0], run.latency.request_us.p50 or 0

    connected, (half, last), request = ns.in_namespace(work)
    assert connected == 40
    assert 50_000 < half < last
    assert last > 200_000
    assert request < half / 2


@pytest.mark.namespace
def test_a_fin_that_came_before_the_client_looked_is_not_missed() -> None:
    """The client gets no CPU while its kernel connects and the server closes: one event tells of both."""
    load = LoadSpec(
        command="churn", connections=20, attempts=20, size_bytes=0, first_close="server", duration_s=5, timeout_s=1,
        processes=1,
    )  # fmt: skip
    run = ns.in_namespace(lambda: running.run(Setup(load=load, rtt_s=0.0, starved_s=0.05)))
    assert (run.failures, run.funnel.completed) == ([], 20)


@pytest.mark.namespace
@pytest.mark.parametrize(("connections", "written"), [(1, b"x"), (3, b"x" * 90)])
def test_what_nobody_reads_stands_in_the_recv_q(connections: int, written: bytes) -> None:
    found = ns.in_namespace(lambda: unread(Runner("x"), backlog=5, connections=connections, written=written))
    assert found == [len(written)] * connections


# -- figures -----------------------------------------------------------------------------------------------------------


def test_what_was_lost_on_the_way() -> None:
    report = WireReport(syns=[syn(1), syn(2, arrived=False), syn(3, arrived=False), syn(2, arrived=False), syn(3)])
    assert report.stranded() == [syn(2, arrived=False), syn(2, arrived=False)]
    assert lost_on_the_way(report) == {
        "lost on the way": 1,
        "SYNs of those that left": 2,
        "SYNs of those that arrived": 0,
    }
    assert lost_on_the_way(WireReport())["lost on the way"] == 0


def test_the_timeline_has_room_for_the_timer_wheel_and_a_busy_machine() -> None:
    found = syn_times.predicted_times(1, 0)
    assert list(found) == ["SYN 2 after (s)", "ETIMEDOUT after (s)"]
    for figure, nominal in zip(found.values(), (1, 3), strict=True):
        assert isinstance(figure, Interval)
        assert nominal in figure
        assert nominal - 0.1 not in figure
        assert nominal + 1 not in figure


def test_the_timeline_is_that_of_the_connection_with_the_most_syns() -> None:
    run: Any = type("Run", (), {"failures": []})()
    found = syn_times.measured_times([syn(7, 1.0), syn(8, 1.5), syn(8, 2.5), syn(8, 4.5)], run)
    assert found == {"SYN 2 after (s)": 1.0, "SYN 3 after (s)": 3.0, "ETIMEDOUT after (s)": None}


@pytest.mark.parametrize(("version", "delays"), [("6.1.150", 0), ("6.13.9", 0), ("6.14.0", 2), ("6.18.0", 2)])
def test_the_delay_is_tried_where_the_kernel_has_it(version: str, delays: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_port, "KERNEL", parse(version))
    found = one_port.patterns()
    assert sum(one.delay_ms is not None for one in found) == delays
    assert {one.free_again() for one in found if one.reuse == 0} == {False}
    assert {one.free_again() for one in found if one.reuse and one.gap_s > 1} == {True}
    assert len({str(one) for one in found}) == len(found)


# -- the sweep of path_flow_table_full ---------------------------------------------------------------------------------


def test_sizes() -> None:
    assert sizes("sweep", "500") == (500,)
    assert sizes("sweep", "50, 100,200") == (50, 100, 200)


@pytest.mark.parametrize("text", ["", "0", "50,", "50,-1", "50,x", "1e3", "50 100", "²"])
def test_what_is_no_sweep_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"sweep='.*': give whole numbers above 0"):
        sizes("sweep", text)
    with pytest.raises(UsageError, match="sweep="):
        lab(["path_flow_table_full"], settings={"path_flow_table_full": {"sweep": text}})


def test_full_sweeps_bigger_tables() -> None:
    scenario: Any = find("path_flow_table_full")
    assert min(sizes("sweep", scenario.full["sweep"])) > max(sizes("sweep", scenario().sweep))
