"""/proc/PID/mountinfo (proc_pid_mountinfo(5)): what is mounted where, and which network namespaces a mount keeps."""

from __future__ import annotations

import re

from estab.errors import ParseError

_ESCAPED = re.compile(rb"\\([0-7]{3})")
_NET = re.compile(r"net:\[(\d+)\]")


def mounts(data: bytes) -> list[tuple[bytes, list[bytes], tuple[str, str]]]:
    """Of each mount: type, options of its file system, mount point and what stands there.

    Raises ParseError where a line has no separator or too few fields.
    """
    offset, found = 0, []
    for line in data.splitlines(keepends=True):
        before, separator, after = line.partition(b" - ")
        fields, kind = before.split(), after.split()
        if not separator or len(fields) < 6 or not kind:
            raise ParseError(f"not a line of mountinfo: {line[:40]!r}", offset)
        found.append((kind[0], kind[-1].split(b","), (_path(fields[4]), _path(fields[3]))))
        offset += len(line)
    return found


def network_namespaces(data: bytes) -> list[tuple[int, str]]:
    """The inode and the mount point of each network namespace that is bound to a file (`fs/nsfs.c`), as runtimes do.

    Raises ParseError as `mounts`.
    """
    bound = ((_NET.fullmatch(root), at) for kind, _, (at, root) in mounts(data) if kind == b"nsfs")
    return [(int(match[1]), at) for match, at in bound if match]


def _path(raw: bytes) -> str:
    return _ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 8) & 0xFF]), raw).decode("utf-8", "surrogateescape")
