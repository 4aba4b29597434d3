"""`estab limits` against servers as people run them: the backlog that the kernel granted each, and who cut it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import servers
from tests.cli.terminal import assert_one_clear_line, estab, serving
from tests.limits.ladders import rung, shown
from tests.limits.more_servers import http_server, redis

from estab import find_ceiling
from estab.records import HostFacts, Limits, Snapshot, encode


@contextlib.contextmanager
def _server(name: str, folder: Path) -> Iterator[str]:
    if name == "nginx":
        with servers.nginx(folder, "backlog=37") as (target, _master):
            yield target
    elif name == "redis":
        with redis(folder, 29) as target:
            yield target
    elif name == "node":
        with servers.node_echo() as target:
            yield target
    else:
        with http_server(folder) as (target, _pid):
            yield target


def _granted(found: Limits) -> int | None:
    return rung(found, "accept_queue").value


@pytest.mark.parametrize(
    ("name", "granted", "process", "raised_by"),
    [
        ("nginx", 37, "nginx", "nginx.conf"),
        ("redis", 29, "redis-server", "redis.conf"),
        ("node", 511, "", "listen"),
        ("http.server", 5, "python", "listen"),
    ],
)
def test_the_backlog_that_was_granted(name: str, granted: int, process: str, raised_by: str, tmp_path: Path) -> None:
    with _server(name, tmp_path) as target:
        done = estab("limits", target, "--json", "-")
        by_port = shown(estab("limits", "--listen", f":{target.rpartition(':')[2]}", "--json", "-"))
        said = estab("limits", target, "-v")
    limits = shown(done)
    assert done.returncode == 0, done.stderr
    assert limits.target == by_port.target == target
    assert _granted(limits) == _granted(by_port) == granted
    queue, files = rung(limits, "accept_queue"), rung(limits, "server_open_files")
    assert f"{granted + 1:,} may wait unaccepted" in (queue.note or "")
    assert "the program's own" in (queue.note or "")
    assert raised_by in (queue.raise_with or "")
    assert "server" in (queue.restart or "")
    assert process in (files.note or "")
    assert files.capacity_connections == (files.value or 0) - (files.used or 0)
    assert f"backlog granted {granted}" in said.stdout.replace("\n", " ")


def test_a_process_and_its_own_descriptors(tmp_path: Path) -> None:
    with http_server(tmp_path) as (target, pid):
        done = estab("limits", "--pid", str(pid), "--json", "-")
        open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    limits = shown(done)
    assert limits.target == target
    assert rung(limits, "server_open_files").used == open_now


def test_a_server_that_shares_its_listener_has_a_master(tmp_path: Path) -> None:
    with servers.nginx(tmp_path, workers=2) as (target, master):
        files = rung(shown(estab("limits", target, "--json", "-")), "server_open_files")
    assert f"pid {master.pid} is taken for a master" in (files.note or "")
    assert "the sum of 2 processes" in (files.note or "")


def test_a_full_queue_is_a_limit_that_is_met() -> None:
    """`stall` never accepts: six wait at a backlog of five."""
    port = servers.closed_port()
    with serving("stall", "--backlog", "5", listen=f"127.0.0.1:{port}"), contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(_connecting(port))
        done = estab("limits", f"127.0.0.1:{port}", "--json", "-")
        said = estab("limits", f"127.0.0.1:{port}")
    limits = shown(done)
    assert (done.returncode, said.returncode) == (1, 1)
    assert limits.binding == "accept_queue"
    assert rung(limits, "accept_queue").used == 6
    assert "not one connection more" in said.stdout


@contextlib.contextmanager
def _somebody_s_server() -> Iterator[None]:
    """A server of somebody else's on this host, with five descriptors to spare and a full accept queue."""
    program = (
        "import resource, socket, sys;"
        "listener = socket.create_server(('127.0.0.1', 0), backlog=0);"
        "held = [socket.create_connection(listener.getsockname())];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10));"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield
        process.kill()


def test_this_host_as_a_client_is_not_bound_by_a_server_that_happens_to_be_on_it() -> None:
    with _somebody_s_server():
        done = estab("limits", "--json", "-")
        predicted = find_ceiling(most=3)
    limits = shown(done)
    assert done.returncode == 0
    assert {limit.side for limit in limits.limits} <= {"client", "path"}
    assert limits.target is None
    assert (predicted.predicted_by, predicted.ceiling) == (limits.binding, 3)


@contextlib.contextmanager
def _connecting(port: int) -> Iterator[None]:
    import socket

    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        yield


# Not observed, and --server-via ------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    port = servers.closed_port()
    limits = shown(estab("limits", f"127.0.0.1:{port}", "--json", "-"))
    assert f"nothing listens on 127.0.0.1 port {port}" in (limits.why_server_unobserved or "")
    assert rung(limits, "accept_queue").why_unknown == limits.why_server_unobserved


def test_a_target_elsewhere() -> None:
    done = estab("limits", "192.0.2.1:80", "--json", "-")
    limits = shown(done)
    assert done.returncode == 0
    assert "--server-via" in (limits.why_server_unobserved or "")
    assert rung(limits, "path_flows").capacity_connections is None


def _there(tmp_path: Path, *lines: bytes) -> str:
    file = tmp_path / "there.ndjson"
    file.write_bytes(b"\n".join(lines))
    return f"cat {shlex.quote(str(file))}"


def test_server_via_takes_the_last_line(tmp_path: Path) -> None:
    def line(limit: int) -> bytes:
        snapshot = Snapshot(taken_at_s=1.0, host=HostFacts(hostname="there", kernel="6.1.0-18-amd64"))
        document = json.loads(encode(snapshot))
        document["sysctls"] = {"net.ipv4.tcp_syncookies": [1], "net.ipv4.tcp_max_syn_backlog": [128]}
        document["listeners"] = [
            {"family": 4, "address": "10.1.1.1", "port": 80, "depth": 0, "limit": limit, "from_a_later_version": 1}
        ]
        return json.dumps(document).encode()

    command = _there(tmp_path, line(7), line(128))
    limits = shown(estab("limits", "192.0.2.1:80", "--server-via", command, "--json", "-"))
    assert rung(limits, "accept_queue").value == 128
    assert "patch level" in (rung(limits, "syn_queue").note or "")


def test_server_via_without_that_port(tmp_path: Path) -> None:
    snapshot = encode(Snapshot(taken_at_s=1.0, host=HostFacts(hostname="there"), listeners=[]))
    limits = shown(estab("limits", "192.0.2.1:80", "--server-via", _there(tmp_path, snapshot), "--json", "-"))
    assert "no listener on port 80" in (limits.why_server_unobserved or "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("127.0.0.1",), 2, ("no port",)),
        (("127.0.0.1:0",), 2, ("port 0",)),
        (("no.such.host.invalid:80",), 2, ("unknown host",)),
        (("127.0.0.1:80", "--pid", "1"), 2, ("TARGET and --pid",)),
        (("--pid", "1", "--listen", ":80"), 2, ("--pid and --listen",)),
        (("--pid", "999999999"), 2, ("no process 999999999",)),
        (("--pid", str(sys.maxsize)), 2, ("no process",)),
        (("--pid", "-1"), 2, ("no process",)),
        (("--pid", "x"), 2, ("--pid",)),
        (("--listen", ":70000"), 2, ("70000",)),
        (("--listen", "1"), 2, ("nothing listens on 1", "ss -ltnp")),
        (("--listen", ":1"), 2, ("nothing listens on :1", "ss -ltnp")),
        (("--server-via", "true"), 2, ("TARGET",)),
        (("192.0.2.1:80", "--server-via", ""), 2, ("empty",)),
        (("192.0.2.1:80", "--server-via", "'"), 2, ("quot",)),
        (("192.0.2.1:80", "--server-via", "true"), 3, ("printed no snapshot",)),
        (("192.0.2.1:80", "--server-via", "echo cut"), 2, ("line 1", "cut")),
        (("192.0.2.1:80", "--server-via", "ls /no/such"), 3, ("/no/such",)),
        (("192.0.2.1:80", "--server-via", "no-such-program -x"), 3, ("no-such-program",)),
        (("--json", "/no/such/folder/x"), 2, ("/no/such/folder",)),
    ],
)
def test_bad_input(arguments: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert_one_clear_line(estab("limits", *arguments), code, *words)


def test_a_process_that_does_not_listen() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            assert_one_clear_line(estab("limits", "--pid", str(process.pid)), 2, str(process.pid), "no listening")
        finally:
            process.terminate()


def test_quiet_and_file(tmp_path: Path) -> None:
    done = estab("limits", "--quiet", "--json", str(tmp_path / "l.json"))
    assert (done.stdout, done.stderr) == ("", "")
    assert json.loads((tmp_path / "l.json").read_bytes())["schema"] == "estab.limits/1"


def test_the_library_gives_the_same() -> None:
    import estab as library

    limits = library.limits("192.0.2.1:80")
    assert limits.binding == limits.next_after[0][0]
