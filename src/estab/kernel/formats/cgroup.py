"""cgroup v2: which group a process is in, where the hierarchy is mounted, and the limits of one group.

What lives here: /proc/PID/cgroup and /proc/PID/mountinfo (proc_pid_mountinfo(5)), and the files that
`Documentation/admin-guide/cgroup-v2.rst` names.
"""

from __future__ import annotations

import re

from estab.errors import ParseError
from estab.kernel.formats import words

_ESCAPED = re.compile(rb"\\([0-7]{3})")


def v2_path(data: bytes) -> str | None:
    """The process's group in /proc/PID/cgroup, as `/system.slice/x.service`; None where it is in no v2 hierarchy.

    Raises ParseError where a line is not `id:controllers:path`.
    """
    offset, found = 0, None
    for line in data.splitlines(keepends=True):
        parts = line.rstrip(b"\n").split(b":", 2)
        if len(parts) != 3 or not parts[2].startswith(b"/"):
            raise ParseError(f"not a line of /proc/PID/cgroup: {line[:40]!r}", offset)
        if parts[0] == b"0" and parts[1] == b"":
            found = parts[2].decode("utf-8", "surrogateescape")
        offset += len(line)
    return found


def v2_mount(data: bytes) -> tuple[str, str] | None:
    """Where /proc/PID/mountinfo says that cgroup2 is mounted: the mount point, and which group stands there.

    None where it is not mounted. Raises ParseError where a line has no separator or too few fields.
    """
    offset = 0
    for line in data.splitlines(keepends=True):
        before, separator, after = line.partition(b" - ")
        fields, kind = before.split(), after.split()
        if not separator or len(fields) < 6 or not kind:
            raise ParseError(f"not a line of mountinfo: {line[:40]!r}", offset)
        if kind[0] == b"cgroup2":
            return _path(fields[4]), _path(fields[3])
        offset += len(line)
    return None


def limit(data: bytes) -> int | None:
    """`memory.max`, `pids.max`: a number, or `max`, which is None: no limit. Raises ParseError."""
    word = data.strip()
    return None if word == b"max" else words.decimal(word, 0)


def cpu_cores(data: bytes) -> float | None:
    """`cpu.max` as cores: quota over period (microseconds); None: no limit. Raises ParseError."""
    parts = data.split()
    if len(parts) != 2:
        raise ParseError(f"cpu.max is not two words: {data[:40]!r}", 0)
    period = words.decimal(parts[1], 0)
    if period == 0:
        raise ParseError("cpu.max has a period of 0", 0)
    quota = limit(parts[0])
    return None if quota is None else quota / period


def _path(raw: bytes) -> str:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), raw).decode("utf-8", "surrogateescape")
