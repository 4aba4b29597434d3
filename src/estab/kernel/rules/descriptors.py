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


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptShortage:
    """accept() without a descriptor: `errno`, and what becomes of the connection and of its queue's depth."""

    errno: Errno
    stays_queued: bool
    looks_like: str


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


def hard_may_become(asked: int, nofile_hard: int, nr_open: int, *, privileged: bool) -> int | None:
    """What setrlimit() makes of a hard RLIMIT_NOFILE of `asked`: that, or None where it is refused with EPERM.

    Over `fs.nr_open` nobody may go, over the present hard limit only CAP_SYS_RESOURCE (`privileged`).
    Raises RuleInputError below 0. Source: `kernel/sys.c do_prlimit` (getrlimit(2)).
    """
    for name, value in (("asked", asked), ("nofile_hard", nofile_hard), ("nr_open", nr_open)):
        at_least(name, value, 0)
    return asked if asked <= nr_open and (privileged or asked <= nofile_hard) else None


def accept_without_descriptor(errno: Errno = "EMFILE") -> AcceptShortage:
    """accept() takes the descriptor before the connection, so that the connection stays in the accept queue.

    The queue then fills as if the server did not accept: judge EMFILE before an overflow.
    Source: `net/socket.c do_accept`, `__sys_accept4_file` (docs/kernel.md rule 25).
    """
    return AcceptShortage(errno=errno, stays_queued=True, looks_like="accept_queue_overflow")


def _left(limit: int | None, used: int | None) -> int | None:
    return None if limit is None or used is None else max(0, limit - used)


def _smaller(one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return min(known) if one is not None and known else None
