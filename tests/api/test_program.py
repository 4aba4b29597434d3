"""Programs that estab did not write, watched from outside: each with the cause that it meets, as root and without."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from tests import namespaces

import estab
from estab import CommandError, RunResult, UsageError
from estab.api import program
from estab.observe.connect_trace import ConnectTrace
from estab.observe.traced_connects import TracedConnects
from estab.pytest_plugin import Estab

assert program  # loaded while all of it may be read, as the codec that getaddrinfo() wants is
"host".encode("idna")

PORT = 8080
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable  # that of all users
# A client in a process of its own: `connects` sockets at once, then it waits for so long.
CLIENT = """
import resource, socket, sys, time
port, connects, nofile, seconds, patience = (float(word) for word in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (int(nofile), int(nofile)))
held = []
for _ in range(int(connects)):
    try:
        one = socket.socket()
        held.append(one)
        if patience:
            one.settimeout(patience)
        else:
            one.setblocking(False)
        one.connect(("127.0.0.1", int(port)))
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno in (24, 99):
            break
time.sleep(seconds)
"""


def client(connects: int, *, nofile: int = 1000, seconds: float = 0.4, patience: float = 0) -> list[str]:
    return [PYTHON, "-S", "-c", CLIENT, *map(str, (PORT, connects, nofile, seconds, patience))]


def listen(backlog: int, *, accepts: bool = True) -> socket.socket:
    server = socket.create_server(("127.0.0.1", PORT), backlog=backlog)
    kept = []

    def accept() -> None:
        while accepts:
            kept.append(server.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return server


def healthy() -> RunResult:
    with listen(100):
        return estab.run(client(20))


def backlog_too_small() -> RunResult:
    with listen(2, accepts=False):
        return estab.run(client(12))


def no_descriptor() -> RunResult:
    with listen(100):
        return estab.run(client(60, nofile=30))


def no_port() -> RunResult:
    with listen(100):
        return estab.run(client(80))


def closed_port() -> RunResult:
    return estab.run(client(3, seconds=0), to=f"127.0.0.1:{PORT}")


def filtered() -> RunResult:
    with listen(100):
        return estab.run(client(1, seconds=0, patience=1.6))


def drop_at_the_server() -> None:
    rules = (
        "add table ip t\nadd chain ip t i { type filter hook input priority 0; }\nadd rule ip t i tcp dport 8080 drop"
    )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root traces, and can become another user")


def watched(play: Callable[[], RunResult], prepare: Callable[[], None] = lambda: None, *, uid: int = 0) -> RunResult:
    """The record of a situation, played in a namespace of its own, as this user or as an ordinary one."""

    def work() -> RunResult:
        prepare()
        if uid:
            os.setresuid(uid, uid, uid)
        return play()

    return namespaces.in_namespace(work)


def few_ports() -> None:
    namespaces.sysctl("net.ipv4.ip_local_port_range", "40000 40049")


SITUATIONS: dict[str, tuple[Callable[[], RunResult], Callable[[], None], str | None]] = {
    "healthy": (healthy, lambda: None, None),
    "backlog": (backlog_too_small, lambda: None, "accept_queue_overflow"),
    "descriptors": (no_descriptor, lambda: None, "client_open_files"),
    "ports": (no_port, few_ports, "ephemeral_port_exhaustion"),
    "closed port": (closed_port, lambda: None, "nobody_listening"),
    "filter": (filtered, drop_at_the_server, "path_filtered"),
}
USERS = [pytest.param(0, id="as it is"), pytest.param(65534, id="nobody", marks=ROOT_ONLY)]


@pytest.mark.namespace
@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_cause_is_named(situation: str, uid: int) -> None:
    play, prepare, cause = SITUATIONS[situation]
    run = watched(play, prepare, uid=uid)
    assert run.diagnosis is not None
    assert run.cause == cause, run.diagnosis.summary
    assert run.program is not None
    assert run.program.exit == 0
    traced = os.geteuid() == 0 and not uid
    assert run.program.seen == ("traced" if traced else "sampled"), run.program.why_sampled
    wanted = {"closed port": "ECONNREFUSED at connect", "filter": "given up by the program at connect"}
    if traced:
        wanted |= {"descriptors": "EMFILE at connect", "ports": "EADDRNOTAVAIL at connect"}
        wanted["backlog"] = wanted["filter"]  # what had no answer when the client ended
    assert [failure.kind.words for failure in run.failures] == [
        kind for name, kind in wanted.items() if name == situation
    ]


@pytest.mark.namespace
def test_what_the_record_says_of_a_healthy_one() -> None:
    run = watched(healthy)
    assert (run.funnel.attempted, run.funnel.connected, run.funnel.accepted) == (20, 20, 20)
    assert run.config["target"] == f"127.0.0.1:{PORT}"
    assert run.program is not None
    assert [(target.address, target.port, target.most_open) for target in run.program.targets] == [
        ("127.0.0.1", PORT, 20)
    ]
    assert run.client.processes is not None
    assert run.client.processes[0].nofile_soft == 1000
    assert run.timeline[-1].connected == 20


@ROOT_ONLY
@pytest.mark.namespace
def test_traced_connects_are_counted_one_by_one() -> None:
    script = f"""
import socket
for _ in range(3000):
    socket.create_connection(("127.0.0.1", {PORT})).close()
for _ in range(7):
    socket.socket().connect_ex(("127.0.0.1", 81))
"""

    def play() -> RunResult:
        with listen(4096):
            return estab.run([PYTHON, "-S", "-c", script])

    run = watched(play)
    assert run.program is not None
    assert run.program.lost_events == 0
    told = {
        target.port: (target.attempted, target.connected, [(each.errno, each.count) for each in target.failures or []])
        for target in run.program.targets
    }
    assert told == {PORT: (3000, 3000, []), 81: (7, 0, [("ECONNREFUSED", 7)])}
    assert run.latency.connect_us is not None
    assert run.latency.connect_us.count == 3000
    assert run.cause == "nobody_listening"
    assert (run.config["target"], run.funnel.attempted) == ("127.0.0.1:81", 7)


# What no event of TCP tells: no route, UDP that has none either, a full UNIX queue, and accept() by a forked worker.
CALLS = f"""
import os, socket, threading
for family, address in ((2, ("203.0.113.1", 80)), (10, ("2001:db8::1", 80))):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        assert socket.socket(family, kind).connect_ex(address) == 101
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0estab-test-calls")
listener.listen(0)
clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(3)]
assert [each.connect_ex("\\0estab-test-calls") for each in clients] == [0, 11, 11]
listener.accept()
server = socket.create_server(("127.0.0.1", {PORT}))
try:
    socket.socket().bind(("127.0.0.1", {PORT}))
except OSError as error:
    assert error.errno == 98
if os.fork() == 0:
    for _ in range(9):
        server.accept()
    import time; time.sleep(0.4)  # a look meets the listener
    os._exit(0)
threads = [threading.Thread(target=socket.create_connection, args=[("127.0.0.1", {PORT})]) for _ in range(9)]
[each.start() for each in threads]
os.wait()
"""


@ROOT_ONLY
@pytest.mark.namespace
def test_what_only_system_calls_tell() -> None:
    run = watched(lambda: estab.run([PYTHON, "-S", "-c", CALLS]))
    assert run.program is not None
    assert [(each.errno, each.count) for each in run.failures] == [("ENETUNREACH", 2)]
    assert (run.funnel.attempted, run.funnel.connected) == (11, 9)
    accepts = {each.listener: each.accepted for each in run.program.accepts or ()}
    assert accepts == {f"127.0.0.1:{PORT}": 9, "unix:@estab-test-calls": 1}
    assert [(each.errno, each.count) for each in run.program.bind_failures or ()] == [("EADDRINUSE", 1)]
    assert run.program.unix_connects == 3
    assert [(each.errno, each.count) for each in run.program.unix_failures or ()] == [("EAGAIN", 2)]


# A proxy: for each connection it connects to a UNIX socket at which nobody accepts, and closes.
PROXY = f"""
import socket
backend = socket.socket(socket.AF_UNIX)
backend.bind("\\0estab-test-backend")
backend.listen(8)
server = socket.create_server(("127.0.0.1", {PORT}))
print("ready", flush=True)
kept = []
while True:
    with server.accept()[0]:
        kept.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        kept[-1].connect_ex("\\0estab-test-backend")
"""
ASKS_30_TIMES = f"""
import socket, time
for _ in range(30):
    socket.create_connection(("127.0.0.1", {PORT})).recv(1)
    time.sleep(0.02)
"""


@pytest.mark.namespace
@pytest.mark.parametrize(
    "sampled", [pytest.param(False, id="traced", marks=ROOT_ONLY), pytest.param(True, id="sampled")]
)
def test_a_server_that_finds_its_backends_unix_queue_full(sampled: bool) -> None:
    def play() -> RunResult:
        with subprocess.Popen([PYTHON, "-S", "-c", PROXY], stdout=subprocess.PIPE) as proxy:
            assert proxy.stdout is not None
            assert proxy.stdout.readline() == b"ready\n"
            try:
                return estab.run([PYTHON, "-S", "-c", ASKS_30_TIMES], sampled=sampled)
            finally:
                proxy.kill()

    run = watched(play)
    assert run.program is not None
    assert run.diagnosis is not None
    queues = run.program.unix_queues or []
    assert [(each.address, each.limit, each.worst_depth, each.own) for each in queues] == [
        ("unix:@estab-test-backend", 8, 9, False)
    ]
    assert queues[0].full_looks > 0
    suspect = next(each for each in run.diagnosis.suspects if each.cause == "unix_accept_queue_overflow")
    if sampled:
        assert (run.cause, suspect.verdict) == (None, "possible")
        return
    assert [each.count for each in run.program.unix_refused or ()] == [21]
    assert run.cause == "unix_accept_queue_overflow"
    assert "unix:@estab-test-backend" in run.diagnosis.summary
    assert "21 connects of python" in run.diagnosis.summary


@ROOT_ONLY
@pytest.mark.namespace
def test_events_that_did_not_fit_are_counted() -> None:
    script = f"""
import socket
for _ in range(2000):
    socket.create_connection(("127.0.0.1", {PORT})).close()
"""

    def play() -> TracedConnects | None:
        with listen(4096), contextlib.closing(ConnectTrace(buffer_kb=8)) as trace:
            assert trace.why is None
            assert trace.pid is not None
            os.kill(trace.pid, signal.SIGSTOP)  # it empties no buffer meanwhile
            with subprocess.Popen([PYTHON, "-S", "-c", script]) as process:
                trace.follow([process.pid])
            os.kill(trace.pid, signal.SIGCONT)
            return trace.end()

    traced = namespaces.in_namespace(play)
    assert traced is not None
    assert traced.lost > 1000
    assert sum(target.attempted for target in traced.targets) < 2000


@ROOT_ONLY
@pytest.mark.namespace
def test_a_connect_that_a_program_gives_up_says_after_how_long() -> None:
    run = watched(filtered, drop_at_the_server)
    assert run.program is not None
    [target] = run.program.targets
    assert 1.4 < (target.worst_give_up_s or 0) < 30
    assert run.syn_retransmits == {"1": 1}


@ROOT_ONLY
@pytest.mark.namespace
@pytest.mark.parametrize("sampled", [True, False])
def test_a_command_that_goes_into_another_namespace(sampled: bool) -> None:
    connect = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 81)))"
    inside = f'ip link set lo up; sleep 0.4; {PYTHON} -S -c "{connect}"'

    run = watched(lambda: estab.run(["unshare", "-n", "sh", "-c", inside], sampled=sampled))
    assert (run.funnel.attempted, [(each.errno, each.count) for each in run.failures]) == (1, [("ECONNREFUSED", 1)])


@ROOT_ONLY
@pytest.mark.namespace
def test_sampled_where_that_is_asked_for() -> None:
    def play() -> RunResult:
        with listen(100):
            return estab.run(client(5), sampled=True)

    run = watched(play)
    assert run.program is not None
    assert (run.program.seen, run.program.why_sampled) == ("sampled", "it was not asked for")


@pytest.mark.namespace
def test_the_own_listener_of_a_server_under_somebody_elses_load() -> None:
    server = f"import socket, time; s = socket.create_server(('127.0.0.1', {PORT}), backlog=1); time.sleep(0.6)"

    def load() -> None:
        namespaces.until(lambda: namespaces.census(PORT).get("LISTEN"), why="it listens")
        kept = [socket.socket() for _ in range(8)]
        for one in kept:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", PORT))
        time.sleep(1.2)

    def play() -> RunResult:
        threading.Thread(target=load, daemon=True).start()
        return estab.run([sys.executable, "-S", "-c", server])

    run = watched(play)
    assert run.cause == "accept_queue_overflow"
    assert run.program is not None
    assert run.program.listens_on == [f"127.0.0.1:{PORT}"]
    assert run.program.targets == []


# A command for `server_via` that prints a snapshot, and leaves a process behind as ssh's ControlPersist does.
LEAVES = f"sh -c '{sys.executable} -P -m estab observe --port {{port}}; setsid sleep 5 >/dev/null 2>&1 &'"


@pytest.mark.namespace
@pytest.mark.parametrize("server_via", [None, LEAVES], ids=["by itself", "beside a command for snapshots"])
def test_a_double_fork_is_followed(server_via: str | None) -> None:
    twice = f"""
import os, socket, time
if os.fork():
    time.sleep(0.8)
elif os.fork() == 0:
    os.setsid()
    kept = [socket.create_connection(("127.0.0.1", {PORT})) for _ in range(5)]
    time.sleep(0.5)
"""

    def play() -> RunResult:
        with listen(100):
            return estab.run([sys.executable, "-S", "-c", twice], server_via=server_via)

    run = watched(play)
    assert run.program is not None
    assert [target.most_open for target in run.program.targets] == [5]
    assert run.program.processes == 3
    assert run.program.left_running == 0


@pytest.mark.namespace
def test_what_already_runs() -> None:
    def play() -> list[RunResult]:
        with listen(100), subprocess.Popen(client(7, seconds=30)) as process:
            namespaces.until(lambda: namespaces.census(PORT).get("ESTABLISHED", 0) >= 7, why="it is connected")
            try:
                names = (str(process.pid), f"127.0.0.1:{PORT}", f":{PORT}")
                return [estab.attach(name, 0.3) for name in names]
            finally:
                process.kill()

    by_pid, by_target, by_listener = watched(play)
    assert {run.cause for run in (by_pid, by_target, by_listener)} == {None}
    assert [target.most_open for target in by_pid.program.targets] == [7]
    assert by_target.config["target"] == f"127.0.0.1:{PORT}"
    assert by_listener.program.listens_on == [f"127.0.0.1:{PORT}"]
    assert not by_pid.interrupted


@pytest.mark.namespace
def test_watching_in_a_block() -> None:
    def play() -> RunResult:
        with listen(2, accepts=False), estab.watching(port=PORT) as seen:
            with pytest.raises(RuntimeError, match="once the block is over"):
                _ = seen.run
            kept = [socket.socket() for _ in range(12)]
            for one in kept:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", PORT))
            time.sleep(0.3)
        return seen.run

    assert watched(play).cause == "accept_queue_overflow"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["no-such-command"], 127, "no-such-command: command not found"),
        (["/no/such/command"], 127, "/no/such/command: No such file or directory"),
        (["/etc/passwd"], 126, "/etc/passwd: Permission denied"),
        (["/etc"], 126, "/etc: "),
        (["a\0b"], 127, "null"),
    ],
)
def test_what_cannot_be_started(command: list[str], code: int, words: str) -> None:
    with pytest.raises(CommandError, match=words) as raised:
        estab.run(command)
    assert raised.value.exit_code == code


@pytest.mark.parametrize("subject", ["no-such.service", "999999999", ":1", "beef00c0ffee"])
def test_what_is_not_there(subject: str) -> None:
    with pytest.raises(
        UsageError, match=r"no unit, container or pod .* has one of the [\d,]+ processes that are seen here"
    ):
        estab.attach(subject, 0.1)


@pytest.mark.parametrize(("port", "pid"), [(None, None), (1, 1)])
def test_watching_takes_one_of_two(port: int | None, pid: int | None) -> None:
    with pytest.raises(UsageError, match="give `port` or `pid`"), estab.watching(port=port, pid=pid):
        pass


@pytest.mark.namespace
def test_the_fixture_keeps_what_it_watched() -> None:
    def play() -> tuple[int, str | None]:
        probe = Estab()
        with listen(100), probe.watching(pid=os.getpid()):
            socket.create_connection(("127.0.0.1", PORT)).close()
        return len(probe.runs), probe.runs[0].cause

    assert watched(play) == (1, None)
