"""Leaving the host for good: the namespaces of the lab's process, and the keeper outside that ends all that is inside.

```
 runner ── pipe ── keeper ── fork ── inside: process 1 of a PID namespace; its children, and theirs
```
The keeper ends when what is inside has ended, or when the runner hangs up, or is killed. Process 1 dies with it, and
with process 1 the kernel kills every process of its PID namespace (`kernel/pid_namespace.c zap_pid_ns_processes`): also
a daemon that left its session and its parent. It has a /proc of its own, in a mount namespace of its own.

Where the kernel allows no PID namespace, or no /proc in it, the keeper adopts orphans and kills them at the end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from estab import interpreter
from estab.errors import MachineError
from estab.lab.process import linux, namespace
from estab.observe import process_tree

_ALONE = linux.CLONE_NEWNS | linux.CLONE_NEWPID


@dataclass(frozen=True)
class Inside:
    """Where this process is now. `host_proc` is a descriptor of the host's /proc, in which outside numbers stand.

    `contained`: in a PID namespace, whose processes the kernel ends together. `as_user`: in a user namespace.
    """

    contained: bool
    as_user: bool
    host_proc: int

    def number_outside(self) -> int:
        """The number that this process, or the fork that asks, has in the host's PID namespace."""
        return int(os.readlink("self", dir_fd=self.host_proc))


def isolate() -> Inside:
    """Leaves the host's network for good: what is done from here on can't touch it.

    It returns in a new process. The one that called stays outside as the keeper, and ends with the status of the new
    one; its standard input says whether the runner is there. Raises MachineError where no network namespace can be had.
    """
    host_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    uid, gid = os.geteuid(), os.getegid()
    contained = _allowed(uid, gid)
    as_user = _unshare(linux.CLONE_NEWNET | (_ALONE if contained else 0), uid, gid)
    if contained:
        linux.mounts_private()
    else:
        linux.adopt_orphans()
        linux.outlive_parent()
    keeper = os.pidfd_open(os.getpid())
    inner = os.fork()
    if inner:
        _keep(inner, contained)
    linux.die_with(keeper)
    os.close(keeper)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if contained:
        linux.mount_proc()
    namespace.left_host()  # by its own /proc, where it has one: a container's may be read-only
    return Inside(contained, as_user, host_proc)


def why_no_namespaces() -> str | None:
    """Why the lab can't run on this machine; None where it can. Tried by a process of its own: nothing is changed."""
    command = interpreter.command(__name__, function="_ask")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return done.stdout.strip() or (done.stderr.strip().splitlines() or ["a process that asks for them ended"])[-1]


def _ask() -> None:
    """What that process runs."""
    try:
        _unshare(linux.CLONE_NEWNET, os.geteuid(), os.getegid())
    except MachineError as error:
        sys.stdout.write(str(error))
        sys.exit(error.exit_code)


def _allowed(uid: int, gid: int) -> bool:
    """Whether this kernel allows a PID namespace with a /proc of its own: tried by a process that ends with it."""
    asker = os.fork()
    if asker == 0:
        with contextlib.suppress(OSError, MachineError):
            _unshare(linux.CLONE_NEWNET | _ALONE, uid, gid)
            linux.mounts_private()
            first = os.fork()
            if first == 0:
                with contextlib.suppress(OSError):
                    linux.mount_proc()
                    os._exit(0)
                os._exit(1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) and 1)
        os._exit(1)
    return os.waitpid(asker, 0)[1] == 0


def _unshare(flags: int, uid: int, gid: int) -> bool:
    """Whether it took a user namespace, in which this process is root of what it makes."""
    if uid == 0:
        with contextlib.suppress(OSError):  # root in a container may lack CAP_SYS_ADMIN
            linux.unshare(flags)
            return False
    try:
        linux.unshare(linux.CLONE_NEWUSER | flags)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    except OSError as error:
        raise MachineError(
            f"the lab needs network namespaces, and this kernel refused ({error.strerror}, uid {uid}): run it as root, "
            "or allow them: sysctl -w user.max_user_namespaces=10000 user.max_net_namespaces=10000, "
            "kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); "
            "in a container: --cap-add SYS_ADMIN"
        ) from error
    return True


def _keep(inner: int, contained: bool) -> NoReturn:
    """The keeper's life. A hang-up of the terminal reaches it too: the runner's end is what counts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pidfd = os.pidfd_open(inner)
    if 0 in select.select([pidfd, 0], [], [])[0]:
        os.kill(inner, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
    if not contained:
        end_descendants()
    os._exit(status if status >= 0 else 128 - status)


def descendants(pid: int | None = None) -> list[int]:
    """The children of a process (this one), and theirs. Orphans are among them where it adopts them."""
    root = os.getpid() if pid is None else pid
    return [each for each in process_tree.descendants([root]) if each != root]


def end_descendants() -> None:
    """Kills every child of this process, theirs, and those that become its children meanwhile, until none is left.

    They become its children where it adopts orphans (`linux.adopt_orphans`).
    """
    while pids := descendants():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _end(pid)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _end(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [])
    finally:
        os.close(handle)
