from __future__ import annotations

import contextlib
import shlex
import socket
import sys

import pytest

from estab.errors import MachineError
from estab.observe.server_via import ViaServer
from estab.observe.watch import Watch
from estab.records import HostFacts, Listener, ServerSockets, Snapshot

TARGET = ("127.0.0.1", 8001)
OBSERVE = shlex.join([sys.executable, "-P", "-m", "estab", "observe"]) + " --port {port}"


@pytest.mark.namespace
def test_a_server_seen_by_a_command() -> None:
    with (
        socket.create_server(TARGET, backlog=3) as server,
        contextlib.closing(Watch(*TARGET, server_via=OBSERVE)) as watch,
    ):
        watch.start()
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(socket.create_connection(TARGET))
            with socket.socket() as late:
                late.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    late.connect(TARGET)
            stack.enter_context(server.accept()[0])
            watch.settled()
            observed = watch.finish()
    seen = observed.server
    assert (seen.observed, seen.via, seen.why) == (True, OBSERVE, None)
    assert seen.deltas is not None
    assert seen.deltas["TcpExt.ListenOverflows"] >= 1
    assert seen.listener is not None
    assert (seen.listener.limit, seen.listener.worst_depth) == (3, 3)
    assert seen.looks is not None
    # Once more for what waits, if the command did not take long enough to tell a pause anyway.
    assert seen.listener.samples == len(seen.looks) == (4 if seen.looks[2].t_s - seen.looks[1].t_s < 1.2 else 3)
    assert (seen.listener.queued_at_end, seen.listener.accepted_at_end) == (3, 1)
    assert seen.listener.drops is not None
    assert seen.listener.drops >= 1
    assert seen.processes
    assert watch.server_sockets is not None
    assert observed.ghosts is not None
    assert (observed.ghosts.count, observed.ghosts.client_established) == (0, 4)


@pytest.mark.namespace
@pytest.mark.parametrize(("command", "said"), [("false", "exit code 1"), ("echo x", "no snapshot in line 1")])
def test_a_command_that_fails(command: str, said: str) -> None:
    with socket.create_server(TARGET), contextlib.closing(Watch(*TARGET, server_via=command)) as watch:
        watch.start()
        assert watch.sample().queue_depth is None
        watch.settled()
        observed = watch.finish()
    assert not observed.server.observed
    assert observed.server.why is not None
    assert said in observed.server.why
    assert observed.ghosts is None
    assert observed.client.after is not None


def test_a_command_that_fails_later() -> None:
    first = Snapshot(taken_at_s=1.0, host=HostFacts())
    answers = iter([[first]])

    def run(_command: str, _port: int) -> list[Snapshot]:
        for answer in answers:
            return answer
        raise MachineError("gone")

    server = ViaServer("ssh x", "10.0.0.1", 80, run)
    assert server.look() is first
    assert server.settled() is None
    side = server.result()
    assert (side.observed, side.before, side.after) == (False, first, None)
    assert side.why == "the server was not seen: gone"


@pytest.mark.parametrize(("queued", "looks"), [(18, 3), (0, 2)])
def test_what_waits_when_all_is_settled_is_looked_at_again_while_the_load_goes_on(queued: int, looks: int) -> None:
    sockets = ServerSockets(port=80, states={"ESTAB": 20}, queued=queued, accepted=20 - queued)
    listener = Listener(family=4, address="10.0.0.1", port=80, depth=queued, limit=128)
    now_s = 0.0
    taken: list[Snapshot] = []

    def run(_command: str, _port: int) -> list[Snapshot]:
        taken.append(Snapshot(taken_at_s=now_s, host=HostFacts(), listeners=[listener], server_sockets=sockets))
        return taken[-1:]

    server = ViaServer("ssh x", "10.0.0.1", 80, run, clock=lambda: now_s)
    server.look()
    server.settled()
    for tenth in range(30):
        now_s = tenth / 10
        server.meanwhile()
    assert len(taken) == looks
    assert [look.load_open for look in server.result().looks] == [False] + [True] * (looks - 1)
    assert [look.t_s for look in server.result().looks] == [0.0, 0.0, 1.0][:looks]


def test_what_is_due_to_be_looked_at_again_is_not_once_all_is_closed() -> None:
    sockets = ServerSockets(port=80, states={"ESTAB": 20}, queued=18, accepted=2)
    now_s = 0.0

    def run(_command: str, _port: int) -> list[Snapshot]:
        return [Snapshot(taken_at_s=now_s, host=HostFacts(), server_sockets=sockets)]

    server = ViaServer("ssh x", "10.0.0.1", 80, run, clock=lambda: now_s)
    server.look()
    server.settled()
    now_s = 2.0
    server.closing()
    server.meanwhile()
    server.finished()
    assert [look.load_open for look in server.result().looks] == [False, True, True, False]


@pytest.mark.parametrize(("last_s", "slept_s"), [(0.5, [0.7]), (1.5, [])])
def test_what_waits_at_the_end_is_looked_at_again_unless_it_was_seen_for_long_enough(
    last_s: float, slept_s: list[float]
) -> None:
    listener = Listener(family=4, address="10.0.0.1", port=80, depth=1, limit=128)
    taken_at_s = iter([0.0, last_s, 1.2])
    slept: list[float] = []

    def run(_command: str, _port: int) -> list[Snapshot]:
        return [Snapshot(taken_at_s=next(taken_at_s), host=HostFacts(), listeners=[listener])]

    server = ViaServer("ssh x", "10.0.0.1", 80, run)
    server.look()
    server.finished(slept.append)
    assert slept == pytest.approx(slept_s)
    assert len(server.result().looks) == 2 + len(slept_s)
