"""Facts of this host, and what this process may open."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from estab.observe.gaps import Gaps
from estab.records import HostFacts

# Of the calling thread, not of the process's first one: a thread may have entered another namespace.
_NETNS = "/proc/thread-self/ns/net"
# Moves once a tick (`kernel/time/posix-timers.c posix_get_coarse_res`: KTIME_LOW_RES); not in Python 3.11.
_CLOCK_MONOTONIC_COARSE = 6


def facts(gaps: Gaps | None = None) -> HostFacts:
    """What this host is, seen from this thread's network namespace. What cannot be read is None and noted in `gaps`."""
    gaps = gaps if gaps is not None else Gaps()
    names = os.uname()
    return HostFacts(
        hostname=names.nodename,
        kernel=names.release,
        kernel_build=_build(names.version),
        hz=round(1 / time.clock_getres(_CLOCK_MONOTONIC_COARSE)),
        machine=names.machine,
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        netns_inode=gaps.read("host.netns_inode", lambda: os.stat(_NETNS).st_ino),
        euid=os.geteuid(),
    )


def _build(version: str) -> str:
    try:
        signature = Path("/proc/version_signature").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # Ubuntu's alone
        return version
    return f"{version} {signature}"


def own_open_files() -> tuple[int | None, int | None]:
    """This process's RLIMIT_NOFILE, soft and hard, in descriptors; None is unlimited."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        None if soft == resource.RLIM_INFINITY else soft,
        None if hard == resource.RLIM_INFINITY else hard,
    )


_CAP_SYS_ADMIN = 1 << 21


def open_files_left() -> int | None:
    """How many more files this process may open of all that the host may (fs.file-nr, fs.file-max).

    None where that is not read, or no bound: CAP_SYS_ADMIN is exempt (fs/file_table.c alloc_empty_file).
    """
    try:
        if _effective_capabilities() & _CAP_SYS_ADMIN:
            return None
        used, free, most = (int(word) for word in Path("/proc/sys/fs/file-nr").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return max(0, most - used + free)


def _effective_capabilities() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
