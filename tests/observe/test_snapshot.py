from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from estab.observe import cgroups, host, processes, sysctls
from estab.observe.gaps import Gaps
from estab.observe.snapshot import take
from estab.records import CgroupCpu, Snapshot, decode, encode


@pytest.mark.namespace
def test_a_whole_snapshot() -> None:
    with (
        socket.create_server(("127.0.0.1", 8001), backlog=4),
        socket.create_server(("127.0.0.1", 8002), backlog=5),
        socket.create_connection(("127.0.0.1", 8001)),
    ):
        taken = take(toward=("127.0.0.1", 8001))
    assert decode(encode(taken), Snapshot, "estab.snapshot/1") == taken
    assert {(listener.port, listener.depth, listener.limit) for listener in taken.listeners or []} == {
        (8001, 1, 4),
        (8002, 0, 5),
    }
    owners = {owner.pid for listener in taken.listeners or [] for owner in listener.owners or []}
    assert owners == {os.getpid()}
    assert taken.states == {"LISTEN": 2, "ESTAB": 2}
    assert taken.server_sockets is None
    assert taken.port_use is not None
    assert (taken.port_use.used, taken.port_use.capacity) == (1, 28232)
    assert taken.sysctls is not None
    assert taken.sysctls["net.core.somaxconn"] == [4096]
    assert taken.sysctls["net.ipv4.ip_local_port_range"] == [32768, 60999]
    assert taken.host.netns_inode == os.stat("/proc/thread-self/ns/net").st_ino
    missing = {gap.field.removeprefix("sysctls.") for gap in taken.unobserved if gap.field.startswith("sysctls.")}
    assert missing | taken.sysctls.keys() == set(sysctls.NAMES)


@pytest.mark.namespace
def test_one_port_only() -> None:
    with (
        socket.create_server(("127.0.0.1", 8001), backlog=4) as server,
        socket.create_server(("127.0.0.1", 8002)),
        socket.create_connection(("127.0.0.1", 8001)),
        server.accept()[0],
    ):
        taken = take(port=8001, owner_pids=[])
    assert [listener.port for listener in taken.listeners or []] == [8001]
    assert [listener.owners for listener in taken.listeners or []] == [None]
    assert "listeners.owners" in {gap.field for gap in taken.unobserved}
    assert taken.server_sockets is not None
    assert (taken.server_sockets.queued, taken.server_sockets.accepted) == (0, 1)


def test_missing_sysctls_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysctls, "NAMES", ("net.core.somaxconn", "net.ipv4.no_such_thing"))
    gaps = Gaps()
    assert list(sysctls.read(gaps)) == ["net.core.somaxconn"]
    (gap,) = gaps.found
    assert (gap.field, gap.why) == (
        "sysctls.net.ipv4.no_such_thing",
        "this kernel has no net.ipv4.no_such_thing",
    )


def test_facts_of_the_host() -> None:
    facts = host.facts()
    assert facts.kernel == os.uname().release
    assert facts.cores == len(os.sched_getaffinity(0))
    assert facts.memory_bytes is not None
    shown = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert facts.memory_bytes == int(shown["MemTotal"].split()[0]) * 1024


def test_a_process() -> None:
    mine = processes.process(os.getpid())
    assert mine is not None
    assert mine.fds == len(os.listdir("/proc/self/fd")) - 1
    assert mine.nofile_soft == host.own_open_files()[0]
    assert mine.rss_bytes is not None
    assert mine.rss_bytes > 1_000_000
    assert processes.process(2**22 + 1) is None
    assert processes.fd_count(2**22 + 1) is None


def test_descriptors_are_counted_where_the_kernel_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        st_size = 0

    own = len(os.listdir("/proc/self/fd")) - 1  # without the one that the listing takes itself
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as other:
        assert other.stdin
        assert other.stdout
        other.stdin.write(b".")
        assert other.stdout.read(1) == b"."  # it has loaded its libraries, of which one would be open meanwhile
        with monkeypatch.context() as patch:
            patch.setattr(processes.os, "stat", lambda _: Old)
            assert processes.fd_count(os.getpid()) == own + 2  # the pipes to the other
            assert processes.fd_count(other.pid) == 3


def test_owners_of_a_shared_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = os.fstat(server.fileno()).st_ino
        code = "import sys; print(flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[server.fileno()],
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            found = processes.owners({inode, 1}).by_inode
            assert processes.owners({inode}, [child.pid]).by_inode == {inode: [child.pid]}
            child.kill()
        assert {key: sorted(pids) for key, pids in found.items()} == {inode: sorted([os.getpid(), child.pid])}
        assert processes.owners(set()) == processes.Owners(by_inode={}, hidden=0)


UNPRIVILEGED = """
import os, socket, sys
from estab.observe.snapshot import take
from estab.records import encode

server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
if os.fork() == 0:
    server.close()
    try:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    except OSError:
        os._exit(77)
    os.write(1, encode(take(port=port)))
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_without_root_what_is_hidden_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", UNPRIVILEGED], check=False, capture_output=True)
    if done.returncode == 77:
        pytest.skip("root may not change its user here")
    assert (done.returncode, done.stderr) == (0, b"")
    taken = decode(done.stdout, Snapshot, "estab.snapshot/1")
    assert [listener.owners for listener in taken.listeners or []] == [None]
    assert [listener.limit for listener in taken.listeners or []] == [128]
    why = {gap.field: gap.why for gap in taken.unobserved}
    assert "may not be read: run as root" in why["listeners.owners"]
    assert taken.counters is not None
    assert {gap.field.split(".")[0] for gap in taken.unobserved} <= {
        "listeners",
        "sysctls",
        "security",
        "cgroup",
        "conntrack",
    }
    assert taken.security is not None
    assert taken.security.nft_rules is None
    assert "run as root" in why["security.nft_rules"]


def test_a_process_closely() -> None:
    awake, asleep = threading.Event(), threading.Event()
    sleeper = threading.Thread(target=lambda: (awake.set(), asleep.wait()))
    sleeper.start()
    awake.wait()
    try:
        seen = processes.process(os.getpid(), closely=True)
    finally:
        asleep.set()
        sleeper.join()
    assert seen is not None
    assert seen.threads is not None
    assert {os.getpid(), sleeper.native_id} <= {thread.tid for thread in seen.threads}
    assert sum((seen.thread_states or {}).values()) >= 2
    assert next(thread for thread in seen.threads if thread.tid == os.getpid()).ran_ns > 0
    assert [thread.ran_ns for thread in seen.threads] == sorted(
        (thread.ran_ns for thread in seen.threads), reverse=True
    )


def test_the_cpu_of_a_cgroup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two groups, both with a quota: what stopped the process longest counts."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for group, quota, throttled in ((inner, 50_000, 3), (inner.parent, 20_000, 40)):
        (group / "cpu.max").write_text(f"{quota} 100000\n")
        (group / "cpu.stat").write_text(
            f"usage_usec 1\nnr_periods 50\nnr_throttled {throttled}\nthrottled_usec {throttled * 1000}\n"
        )
    monkeypatch.setattr(cgroups, "groups_with", lambda *_: [str(inner), str(inner.parent), str(tmp_path)])
    assert cgroups.cpu_of(os.getpid()) == CgroupCpu(
        path=str(inner.parent), cores=0.2, periods=50, throttled=40, throttled_us=40_000
    )
    assert cgroups.cpu_of(2**22 + 1) is None
