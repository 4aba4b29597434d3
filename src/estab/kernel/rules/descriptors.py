"""File descriptors: how many more sockets a process, and the whole system, may open, and which error comes first.

Rule 25 of docs/kernel.md and the limits around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least

Binding = Literal["nofile_soft", "file_max"]
Errno = Literal["EMFILE", "ENFILE"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptors:
    """How many more descriptors can be opened.

    `available`: 0 or more; None where nothing is known. `binding`: which limit comes first, None where unknown.
    `errno`: what the call after that gets. `reachable`: what `available` becomes with the soft limit raised to the
    hard one, which the process may do itself.
    """

    available: int | None
    binding: Binding | None
    errno: Errno | None
    reachable: int | None


def available(
    nofile_soft: int | None,
    used: int | None,
    nofile_hard: int | None = None,
    file_max: int | None = None,
    file_used: int | None = None,
    *,
    privileged: bool = False,
) -> Descriptors:
    """What a process with `used` open descriptors may still open; all counts, None where not known.

    Descriptor *numbers* must be below the soft RLIMIT_NOFILE: EMFILE. All open files of the system must stay below
    `fs.file-max` (`file_used`: the first number of `fs.file-nr`): ENFILE, but not for CAP_SYS_ADMIN (`privileged`).
    EMFILE is tested first.
    Raises RuleInputError below 0.
    Source: `fs/file.c alloc_fd`, `fs/file_table.c alloc_empty_file` (docs/kernel.md rule 25; getrlimit(2)).
    """
    for name, value in (
        ("nofile_soft", nofile_soft),
        ("used", used),
        ("nofile_hard", nofile_hard),
        ("file_max", file_max),
        ("file_used", file_used),
    ):
        at_least(name, 0 if value is None else value, 0)
    own = _left(nofile_soft, used)
    system = None if privileged else _left(file_max, file_used)
    reachable = _smaller(_left(nofile_hard, used), system)
    if own is None and system is None:
        return Descriptors(available=None, binding=None, errno=None, reachable=reachable)
    if system is None or (own is not None and own <= system):
        return Descriptors(available=own, binding="nofile_soft", errno="EMFILE", reachable=reachable)
    return Descriptors(available=system, binding="file_max", errno="ENFILE", reachable=reachable)


def connections(free_descriptors: int, per_connection: int = 1) -> int:
    """How many connections fit `free_descriptors`: one each, two for a proxy or where both ends are one process.

    Raises RuleInputError below 0, or below 1 per connection. Source: one socket, one descriptor (socket(2)).
    """
    at_least("free_descriptors", free_descriptors, 0)
    at_least("per_connection", per_connection, 1)
    return free_descriptors // per_connection


def _left(limit: int | None, used: int | None) -> int | None:
    return None if limit is None or used is None else max(0, limit - used)


def _smaller(first: int | None, other: int | None) -> int | None:
    known = [value for value in (first, other) if value is not None]
    return min(known) if first is not None and known else None
