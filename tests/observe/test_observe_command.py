"""`estab observe` as a user runs it: rounds, namespaces, another host's command, and what is not permitted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import estab
from tests.forked import forked
from tests.namespaces import until
from tests.ordinary_user import GIVE_UP
from tests.processes import children

from estab.records import Snapshot, decode

ESTAB = [sys.executable, "-P", "-m", "estab"]
OBSERVE = shlex.join([*ESTAB, "observe"])
ROOT = os.geteuid() == 0
TRACING = Path("/sys/kernel/tracing")  # where tracefs is mounted, if it is


def snapshots(*options: str) -> list[dict[str, Any]]:
    done = estab("observe", *options)
    assert (done.stderr, done.returncode) == ("", 0)
    for line in done.stdout.splitlines():
        decode(line.encode(), Snapshot, "estab.snapshot/1")
    return [json.loads(line) for line in done.stdout.splitlines()]


def fails(*options: str) -> tuple[int, str]:
    done = estab("observe", *options)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


def why(taken: dict[str, Any]) -> dict[str, str]:
    return {gap["field"]: gap["why"] for gap in taken["unobserved"]}


def test_rounds_and_the_worst_depth() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=3) as server:
        port = server.getsockname()[1]
        command = forked("observe", "--count", "0", "--interval", "50ms", "--port", str(port))
        with subprocess.Popen(**command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            with socket.create_connection(("127.0.0.1", port)) as client:
                queued: dict[str, Any] = {}
                while not queued or queued["listeners"][0]["depth"] == 0:
                    queued = json.loads(process.stdout.readline())
                assert {"local_address": "127.0.0.1", "local_port": port, "remote_address": "127.0.0.1"} | {
                    "remote_port": client.getsockname()[1]
                } in queued["connections"]
                server.accept()[0].close()
            after = queued
            while after["listeners"][0]["depth"]:
                after = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait() == 130
    assert [one["worst_depth"] for one in after["listeners"]] == [1]
    for line in rest.splitlines():
        decode(line.encode(), Snapshot, "estab.snapshot/1")


def test_toward_and_a_file(tmp_path: Path) -> None:
    target = tmp_path / "taken.json"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        with socket.create_connection(server.getsockname()):
            assert snapshots("--toward", address, "--json", str(target)) == []
    taken = decode(target.read_bytes(), Snapshot, "estab.snapshot/1")
    assert taken.port_use is not None
    assert taken.port_use.used == 1
    assert taken.census is not None
    assert taken.census.states == taken.states


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--port", "70000"), 2, "--port is 70000"),
        (("--count", "-1"), 2, "--count is -1"),
        (("--drops", "0"), 2, "--drops is 0"),
        (("--netns", "nope"), 2, "no /run/netns/nope"),
        (("--netns", "4194305"), 2, "is there such a process?"),
        (("--netns", "a/b"), 2, "neither a PID nor a name"),
        (("--netns", "1", "--all-netns"), 2, "exclude each other"),
        (("--via", ""), 2, "is empty"),
        (("--via", "echo '"), 2, "can't split"),
        (("--via", "echo {port}"), 2, "give it as --port"),
        (("--via", "echo", "--toward", "a:1"), 2, "--toward is for the command"),
        (("--via", "echo garbage"), 2, "no snapshot in line 1: 'garbage'"),
        (("--via", "no-such-program"), 3, "can't run 'no-such-program'"),
        (("--via", "sh -c 'echo oh no >&2; exit 7'"), 3, "exit code 7; it said: oh no"),
        (("--via", "sh -c 'kill -9 $$'"), 3, "killed by signal 9"),
        (("--via", "true"), 3, "printed no snapshot"),
    ],
)
def test_what_cannot_be(options: tuple[str, ...], status: int, said: str) -> None:
    code, message = fails(*options)
    assert code == status
    assert said in message


def test_via_passes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        (taken,) = snapshots("--via", OBSERVE + " --port {port}", "--port", port)
    assert [str(one["port"]) for one in taken["listeners"]] == [port]
    assert len(snapshots("--via", OBSERVE + " --count 2 --interval 0")) == 2
    assert len(snapshots("--via", OBSERVE + " --count 0 --interval 10ms", "--count", "3")) == 3


# -- other network namespaces -----------------------------------------------------------------------------------------


@pytest.fixture
def container() -> Iterator[int]:
    """The PID of a process in a network namespace of its own, with a port range of its own."""
    change = "echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range; echo ready; exec sleep 60"
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", change], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            pytest.skip("network namespaces are not permitted here")
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_another_namespace(container: int) -> None:
    (taken,) = snapshots("--netns", str(container))
    assert taken["netns"] == str(container)
    assert taken["host"]["netns_inode"] == os.stat(f"/proc/{container}/ns/net").st_ino
    assert taken["sysctls"]["net.ipv4.ip_local_port_range"] == [40000, 40009]
    assert "lo" in [nic["name"] for nic in taken["nics"]]
    assert taken["listeners"] == []
    both = snapshots("--all-netns")
    assert both[0]["netns"] is None
    inodes = [one["host"]["netns_inode"] for one in both]
    assert len(set(inodes)) == len(inodes)
    assert taken["host"]["netns_inode"] in inodes


def test_this_process_stays_where_it_is(container: int) -> None:
    from estab.observe import netns

    before = netns.own()
    seen = netns.inside(netns.find(str(container)), netns.own)
    assert seen.inode == os.stat(f"/proc/{container}/ns/net").st_ino
    until(lambda: namespaces_of_threads() == {before.inode})  # a thread that was joined may take a moment to be gone


def namespaces_of_threads() -> set[int]:
    found = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            found.add(os.stat(f"/proc/self/task/{task}/ns/net").st_ino)
    return found


# -- without root -----------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(ordinary_python: tuple[str, ...]) -> tuple[str, ...]:
    """What to put before ESTAB's options to run it as uid 65534."""
    return (*ordinary_python, "-P", "-m", "estab")


needs_root = pytest.mark.skipif(not ROOT or shutil.which("setpriv") is None, reason="needs root to give it up")


@needs_root
def test_without_root(nobody: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        (taken,) = snapshots_of([*nobody, "observe", "--drops", "100ms"])
    said = why(taken)
    assert taken["drop_reasons"] is None
    assert "run as root" in said["drop_reasons"]
    assert "run as root" in said["listeners.owners"]
    assert taken["security"]["nft_rules"] is None
    assert "security.nft_rules" in said
    done = subprocess.run([*nobody, "observe", "--netns", "1"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "run as root" in done.stderr


@pytest.mark.parametrize("who", ["this user", pytest.param("nobody", marks=needs_root)])
def test_in_a_user_namespace(who: str, request: pytest.FixtureRequest) -> None:
    command = tuple(ESTAB)
    give_up: tuple[str, ...] = ()
    if who == "nobody":
        command = request.getfixturevalue("nobody")
        give_up, command = command[: len(GIVE_UP)], command[len(GIVE_UP) :]
    if subprocess.run([*give_up, "unshare", "-Urn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("user namespaces are not permitted here")
    (taken,) = snapshots_of([*give_up, "unshare", "-Urn", *command, "observe", "--drops", "100ms"])
    assert taken["listeners"] == []
    assert taken["census"]["sockets"] == 0
    if who == "this user" and os.access(TRACING / "instances", os.W_OK):
        assert taken["drop_reasons"] is not None  # tracefs is there already, and asks for the user alone
    else:
        assert taken["drop_reasons"] is None
        assert re.search("may not be mounted here|run as root", why(taken)["drop_reasons"])


@needs_root
def test_proc_with_hidepid(nobody: tuple[str, ...]) -> None:
    mount = "mount -t proc -o hidepid=2 proc /proc && exec "
    inner = mount + shlex.join([*nobody, "observe", "--all-netns"])
    with socket.create_server(("127.0.0.1", 0)):
        taken = snapshots_of(["unshare", "-mpf", "--mount-proc", "sh", "-c", inner])
    (own,) = taken
    assert own["listeners"]
    assert all(one["owners"] is None for one in own["listeners"])
    assert "listeners.owners" in why(own)


def snapshots_of(command: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- drop reasons -----------------------------------------------------------------------------------------------------


@needs_root
def test_drop_reasons() -> None:
    # A connection that is refused: no socket, and a reset sent and received.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        command = forked("observe", "--drops", "1500ms")
        with subprocess.Popen(**command, stdout=subprocess.PIPE, text=True) as process:
            tracers: set[int] = set()
            while process.poll() is None:
                tracers.update(children(process.pid))
                with socket.socket() as client:
                    client.connect_ex(closed.getsockname())
                time.sleep(0.02)
            assert process.stdout is not None
            taken = json.loads(process.stdout.read())
    if taken["drop_reasons"] is None:
        pytest.skip(why(taken)["drop_reasons"])
    found = taken["drop_reasons"]
    assert found["kfree_skb"]["NO_SOCKET"] >= 5
    assert min(found["resets_sent"], found["resets_received"]) >= 5
    assert "makes no event" in why(taken)["drop_reasons.syn_drops"]
    assert tracers
    assert not any(instances(tracer) for tracer in tracers)


def instances(tracer: int) -> list[str]:
    """What is left of that process's tracing, seen from a mount namespace of its own. Others may trace meanwhile."""
    mount = f"mount --make-rprivate / && mount -t tracefs t {TRACING}"
    look = f"[ -d {TRACING}/instances ] || {{ {mount}; }} && ls {TRACING}/instances"
    done = subprocess.run(["unshare", "-m", "sh", "-c", look], check=True, capture_output=True, text=True)
    return [name for name in done.stdout.split() if re.fullmatch(rf"estab-\d+-{tracer}-\d+", name)]


@needs_root
@pytest.mark.parametrize("victim", ["estab", "tracer", "both"])
def test_nothing_is_left_behind_a_kill(victim: str) -> None:
    process = subprocess.Popen(
        **forked("observe", "--drops", "60"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: children(process.pid))
        (tracer,) = children(process.pid)
        until(lambda: len(instances(tracer)) == 1)
        if victim in ("estab", "both"):
            process.kill()
        if victim in ("tracer", "both"):
            os.kill(tracer, signal.SIGKILL)
        process.wait(20)
        if victim == "both":
            snapshots("--drops", "50ms")  # the next run removes what the dead left
        until(lambda: instances(tracer) == [])
    finally:
        process.kill()
        process.wait()
