"""Run a function in a network namespace of its own: for tests that ask the running kernel.

What lives here: making namespaces, joining two by a veth pair, writing sysctls inside them, and reading what the
kernel says there. What never may: a write to a sysctl of the namespace that the tests were started in; `sysctl()`
refuses. Everything runs in a forked child, so a namespace ends with its child, whatever happened in it.

Python 3.11 has no `os.unshare` and no `os.setns`: both come from libc by ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCETHTOOL = 0x8913, 0x8914, 0x8946
_IFF_UP = 0x1
_ETHTOOL_STXCSUM, _ETHTOOL_STSO, _ETHTOOL_SGSO = 0x17, 0x1F, 0x24

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceRefused(RuntimeError):
    """This machine does not let the tests make a network namespace. The message says why and what to do."""


class ChildFailed(AssertionError):
    """The function that ran in the namespace raised. The message is its traceback."""


def _namespace_inode() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


# The namespace that must never be written to: the one in which this module was first loaded.
_HOST_INODE = _namespace_inode()


def in_the_starting_namespace() -> bool:
    """Whether this thread is in the network namespace in which the tests were started, where nothing is changed."""
    return _namespace_inode() == _HOST_INODE


# -- namespaces -------------------------------------------------------------------------------------------------------


def enter_new_namespace(*, as_root: bool = True) -> None:
    """Move this process into a fresh network namespace with lo up. Without root, into a user namespace as well.

    There it is root, or keeps its uid where `as_root` is False: then what it executes has no capability.
    Raises NamespaceRefused with the reason where the kernel says no. Call it in a child only.
    """
    _unshare(_CLONE_NEWNET, as_root=as_root)
    _small_table_of_its_own()
    link_up("lo")


def _small_table_of_its_own() -> None:
    """Go on in a further namespace with a small table of sockets: each look at them walks through all of the table.

    It keeps the defaults that go by the table's size (`tcp_set_hashinfo` in net/ipv4/tcp_ipv4.c, from 6.1 on).
    """
    with contextlib.suppress(OSError):  # it is for speed alone
        sysctl("net.ipv4.tcp_child_ehash_entries", 4096)
        defaults = {name: sysctl(name) for name in ("net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_syn_backlog")}
        if _libc.unshare(_CLONE_NEWNET) == 0:
            for name, value in defaults.items():
                sysctl(name, value)


def go_on_as_process_1() -> None:
    """Go on in a fork that is process 1 of a PID namespace, with a /proc, mounts and a network namespace of its own.

    The process that called waits, and ends with the exit code. What process 1 started ends with it, and it with the one
    that called. Raises NamespaceRefused. Call it in a child only.
    """
    from estab.lab.process import linux

    _unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
    linux.mounts_private()
    waiting = os.pidfd_open(os.getpid())
    if pid := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    linux.die_with(waiting)
    os.close(waiting)
    linux.mount_proc()


def _unshare(flags: int, *, as_root: bool = True) -> None:
    """Leave namespaces of this process; without root by a user namespace. Raises NamespaceRefused with the reason."""
    flags |= 0 if os.geteuid() == 0 else _CLONE_NEWUSER
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise NamespaceRefused(
            f"unshare(CLONE_NEWNET) as uid {uid} failed with {os.strerror(error)}: these tests need a network "
            "namespace. Run them as root, or allow unprivileged user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1, user.max_net_namespaces > 0; in a container: CAP_SYS_ADMIN)."
        )
    if flags & _CLONE_NEWUSER:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{0 if as_root else uid} {uid} 1")
        _write("/proc/self/gid_map", f"{0 if as_root else gid} {gid} 1")


def in_namespace(work: Callable[[], T], *, sysctls: Mapping[str, int | str] | None = None, timeout_s: float = 60) -> T:
    """What `work()` returns when it is run in a fresh network namespace with lo up and `sysctls` set there.

    It runs in a forked child: what it returns must pickle. Raises ChildFailed with the child's traceback,
    NamespaceRefused where no namespace can be had, TimeoutError (and kills the child) after `timeout_s`.
    """
    return start_in_namespace(work, sysctls=sysctls).result(timeout_s)


class Running:
    """A child at work in its namespace. `result()` waits for it."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid: int | None = pid
        self._pipe = pipe
        self._outcome: tuple[str, Any] | None = None

    def fileno(self) -> int:
        """Readable once there is a result to take: for select()."""
        return self._pipe

    def result(self, timeout_s: float = 60) -> Any:
        """What the child returned; raises what in_namespace() raises. May be called again."""
        if self._outcome is None:
            self._outcome = self._collect(timeout_s)
        kind, value = self._outcome
        if kind == "returned":
            return value
        if kind == "refused":
            raise NamespaceRefused(value)
        raise ChildFailed(value)

    def _collect(self, timeout_s: float) -> tuple[str, Any]:
        deadline = time.monotonic() + timeout_s
        data = b""
        while select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(self._pipe, 65536)
            if not chunk:
                break
            data += chunk
        else:
            self.stop()
            raise TimeoutError(f"the child in the namespace gave no result in {timeout_s} s and was killed")
        self._reap()
        if not data:
            return "raised", "the child in the namespace died without a word"
        outcome: tuple[str, Any] = pickle.loads(data)
        return outcome

    def stop(self) -> None:
        """Kill the child if it still runs. Safe to call twice."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        if self._pid is not None:
            os.waitpid(self._pid, 0)
            self._pid = None
            os.close(self._pipe)


def start_in_namespace(work: Callable[[], Any], *, sysctls: Mapping[str, int | str] | None = None) -> Running:
    """Like in_namespace(), but does not wait: several children with long waits run side by side."""

    def prepared() -> Any:
        enter_new_namespace()
        for name, value in (sysctls or {}).items():
            sysctl(name, value)
        return work()

    return start_child(prepared)


def start_child(work: Callable[[], Any]) -> Running:
    """`work()` in a forked child of this process, in this process's namespace."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(work, writing)
    os.close(writing)
    return Running(pid, reading)


def _child(work: Callable[[], Any], pipe: int) -> NoReturn:
    """Run `work`, send its outcome, and leave without pytest's own exit handlers."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed test run leaves no child and so no namespace
    try:
        outcome = ("returned", work())
    except NamespaceRefused as refusal:
        outcome = ("refused", str(refusal))
    except BaseException:
        outcome = ("raised", traceback.format_exc())
    with open(pipe, "wb") as stream:
        pickle.dump(outcome, stream)
    os._exit(0)


# -- two namespaces ---------------------------------------------------------------------------------------------------


class Namespace:
    """A namespace held open by its file. Sockets made inside `with namespace:` stay in it."""

    def __init__(self) -> None:
        enter_new_namespace()
        self._file = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside within the block, and back where it was afterwards."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(self._file)
            yield
        finally:
            self._enter(before)
            os.close(before)

    @property
    def path(self) -> str:
        """A path that names it while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    @staticmethod
    def _enter(file: int) -> None:
        if _libc.setns(file, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


def joined(left: Namespace, left_address: str, right: Namespace, right_address: str, *, names: str = "veth") -> None:
    """Join two namespaces by a veth pair, `<names>0` in `left`, `<names>1` in `right`; addresses as "10.0.0.1/24".

    An empty address leaves that end without one, for a relay. Offloads are off: what passes has true checksums.
    """
    with left.entered():
        run("ip", "link", "add", f"{names}0", "type", "veth", "peer", "name", f"{names}1", "netns", right.path)
    for space, name, address in ((left, f"{names}0", left_address), (right, f"{names}1", right_address)):
        with space.entered():
            if address:
                run("ip", "address", "add", address, "dev", name)
            offloads_off(name)
            link_up(name)


def run(*command: str) -> str:
    """The command's stdout. Raises ChildFailed with its stderr where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise ChildFailed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def link_up(name: str) -> None:
    """Set a link up in this namespace, by ioctl (no iproute2 needed)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        asked = struct.pack("16sh14x", name.encode(), 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags | _IFF_UP))


def offloads_off(name: str) -> None:
    """Transmit checksums and segmentation done by the host, not put off to a device that a relay stands in for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for command in (_ETHTOOL_STXCSUM, _ETHTOOL_STSO, _ETHTOOL_SGSO):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            fcntl.ioctl(handle, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(value)))


# -- what the kernel says there ---------------------------------------------------------------------------------------


def sysctl(name: str, value: int | str | None = None) -> str:
    """Read `net.…`, or write it when `value` is given. Returns what stands there afterwards, stripped.

    Raises RuntimeError when asked to write in the namespace that the tests were started in.
    """
    path = "/proc/sys/" + name.replace(".", "/")
    if value is not None:
        if in_the_starting_namespace():
            raise RuntimeError(f"{name}: sysctls are written only inside a namespace that the test made")
        _write(path, str(value))
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()


def counters() -> dict[str, int]:
    """TcpExt of /proc/net/netstat and Tcp of /proc/net/snmp of this namespace, by name."""
    found: dict[str, int] = {}
    for path, section in (("/proc/thread-self/net/netstat", "TcpExt:"), ("/proc/thread-self/net/snmp", "Tcp:")):
        with open(path, encoding="ascii") as stream:
            rows = [line.split() for line in stream if line.startswith(section)]
        found.update(zip(rows[0][1:], map(int, rows[1][1:]), strict=True))
    return found


def deltas(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """The counters that moved."""
    return {name: value - before[name] for name, value in after.items() if value != before[name]}


# By the number that /proc/net/tcp shows (`include/net/tcp_states.h`).
_STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN_RECV",  # NEW_SYN_RECV, as a request socket
}


def census(local_port: int | None = None) -> dict[str, int]:
    """How many TCP sockets (IPv4) of this namespace are in each state; of one local port when it is given."""
    found: dict[str, int] = {}
    for row in _rows():
        if local_port is None or int(row[1].split(":")[1], 16) == local_port:
            state = _STATES[int(row[3], 16)]
            found[state] = found.get(state, 0) + 1
    return found


def time_wait_left_s() -> list[float]:
    """How long each socket in TIME_WAIT (IPv4) of this namespace still stays: `tm->when` of /proc/net/tcp."""
    return [int(row[5].split(":")[1], 16) / os.sysconf("SC_CLK_TCK") for row in _rows() if int(row[3], 16) == 6]


def accept_queue(port: int) -> int:
    """The depth of the accept queue of the listener on `port`: `rx_queue` of its row in /proc/net/tcp."""
    for row in _rows():
        if row[3] == "0A" and int(row[1].split(":")[1], 16) == port:
            return int(row[4].split(":")[1], 16)
    raise LookupError(f"nothing listens on port {port} in this namespace")


def _rows() -> list[list[str]]:
    with open("/proc/thread-self/net/tcp", encoding="ascii") as stream:
        next(stream)
        return [line.split() for line in stream]


def until(holds: Callable[[], object], *, within_s: float = 30, every_s: float = 0.002, why: str = "") -> None:
    """Poll `holds` until it is true, more seldom the longer that takes: to look again and again takes a processor.

    Raises TimeoutError that names `why` when `within_s` has passed.
    """
    began = time.monotonic()
    while not holds():
        waited_s = time.monotonic() - began
        if waited_s > within_s:
            raise TimeoutError(f"not within {within_s} s: {why or holds}")
        time.sleep(max(every_s, min(waited_s / 50, 0.02)))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def execute_in_new_namespace(command: list[str]) -> NoReturn:
    """Become `command`, in a fresh network namespace where one can be had and in this one otherwise."""
    with contextlib.suppress(NamespaceRefused, ChildFailed):
        start_child(lambda: enter_new_namespace(as_root=False)).result()
        enter_new_namespace(as_root=False)
    os.execv(command[0], command)


if __name__ == "__main__":
    execute_in_new_namespace(sys.argv[1:])
