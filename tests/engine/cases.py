"""Which call fails, with which errno, and when: every call that the engine makes, with what its manual page and the
kernel's code allow.

EINTR at every call is not here: no signal comes that often.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

SHORT = 0  # no error: send and recv move one byte

CLIENT = {
    "socket": ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM", "EACCES"),
    "setsockopt": ("ENOPROTOOPT", "ENOMEM", "EPERM"),
    "bind": ("EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "ENOMEM"),
    "connect": (
        "EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPERM", "EADDRNOTAVAIL", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT",
        "ENETUNREACH", "EHOSTUNREACH",
    ),
    "getsockopt": ("ENOBUFS", "ENOMEM", "EPERM"),
    "getsockname": ("ENOBUFS",),
    "send": (
        "SHORT", "EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "EPERM", "ECONNRESET", "EPIPE", "EIO", "ETIMEDOUT",
        "EHOSTUNREACH",
    ),
    "recv": (
        "SHORT", "EINTR", "EAGAIN", "ENOBUFS", "ENOMEM", "ECONNRESET", "EIO", "ETIMEDOUT", "EHOSTUNREACH",
    ),
    "close": ("EINTR", "EIO", "ENOSPC"),
    "epoll_create1": ("EMFILE", "ENFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC", "EPERM"),
    "epoll_wait": ("EINTR", "EPERM", "ENOMEM"),
    "epoll_pwait2": ("EINTR", "ENOSYS", "EPERM"),
    "poll": ("EINTR", "ENOMEM", "EINVAL"),
    "read": ("EINTR", "EAGAIN", "EIO"),
    "clock_nanosleep": ("EINTR", "EINVAL"),
    "prctl": ("EPERM", "EINVAL"),
    "fcntl": ("EPERM", "ENOMEM", "EINVAL"),
    "sigaction": ("EINVAL",),
    "timer_create": ("EAGAIN", "ENOMEM"),
    "timer_settime": ("EINVAL",),
    "malloc": ("ENOMEM",),
    "calloc": ("ENOMEM",),
    "mmap": ("ENOMEM", "EPERM", "EAGAIN"),
}  # fmt: skip
SERVER = {
    "accept4": (
        "EINTR", "EAGAIN", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM", "EPROTO", "ENETDOWN",
        "EHOSTUNREACH",
    ),
    "getpeername": ("ENOTCONN", "ENOBUFS"),
    "realloc": ("ENOMEM",),
    **{
        call: CLIENT[call]
        for call in (
            "setsockopt", "send", "recv", "close", "epoll_create1", "epoll_ctl", "epoll_wait", "poll", "read", "malloc",
            "calloc", "mmap", "fcntl", "sigaction",
        )
    },
}  # fmt: skip

# What a worker is asked to do; rig.py has the settings.
CLIENTS = ("rr", "rr_single", "flood", "hold", "churn", "churn_fin", "churn_rate", "rate", "http", "http_flood", "rest")
SERVERS = ("echo", "echo_single", "sink", "echo_slow", "echo_resets", "echo_pauses", "echo_spills")

# Where a call is made at all; others are made everywhere.
_OPEN_LOOP = ("churn_rate", "rate")
_CLOSED_LOOP = ("rr", "rr_single", "flood", "hold", "churn", "churn_fin", "http", "http_flood", "rest")
_ASKS = ("rr", "rr_single", "flood", "churn", "churn_fin", "churn_rate", "rate", "http", "http_flood", "rest")
_ECHOES = ("echo", "echo_single", "echo_slow", "echo_resets", "echo_pauses", "echo_spills")
# rr_single connects once, so that none but the first can fail.
WHERE = {
    ("client", "connect"): tuple(work for work in CLIENTS if work != "rr_single"),
    ("client", "send"): _ASKS,
    ("client", "recv"): _ASKS,
    ("client", "getsockname"): _ASKS,
    # Whoever asks at once learns from send() that a connect is complete, or that it failed.
    ("client", "getsockopt"): ("rr", "rr_single", "flood", "hold", "rate", "http", "http_flood", "rest"),
    ("client", "epoll_wait"): _CLOSED_LOOP,
    ("client", "epoll_pwait2"): _OPEN_LOOP,
    ("client", "prctl"): _OPEN_LOOP,
    ("server", "send"): _ECHOES,
    ("server", "setsockopt"): _ECHOES,
    ("server", "poll"): ("echo_pauses",),
    **{("client", call): ("rr_single",) for call in ("fcntl", "sigaction", "timer_create", "timer_settime")},
    **{("server", call): ("echo_single",) for call in ("fcntl", "sigaction")},
}
_MADE_ONCE = ("poll", "read", "clock_nanosleep", "prctl")

# (first, every): only the first call, only the third, every second, all.
WHEN = {"first": (1, 0), "second": (2, 0), "third": (3, 0), "twentieth": (20, 0), "half": (2, 2), "always": (1, 1)}

# A call that is made only after another failed: which, how, and when. Connects are then not complete at once.
ALSO = {
    "getsockopt": ("connect", errno.EALREADY, 2, 2),
    "getsockname": ("recv", errno.EIO, 3, 3),
    "getpeername": ("recv", errno.EIO, 3, 3),
}


@dataclass(frozen=True)
class Case:
    """One run with one fault."""

    role: str
    work: str
    call: str
    error: str
    when: str

    @property
    def code(self) -> int:
        """The errno; 0 for a short read or write."""
        return SHORT if self.error == "SHORT" else int(getattr(errno, self.error))

    def __str__(self) -> str:
        return f"{self.role} {self.work}: {self.call} {self.error} {self.when}"


def _is_plausible(call: str, error: str, when: str) -> bool:
    """No signal interrupts every call; a pipe that poll() calls readable is; and a short read drains (epoll(7)).

    Who it was is asked of the first failure of a kind alone.
    """
    if call in ("getsockname", "getpeername"):
        return when in ("first", "always")
    if error == "SHORT":
        return when not in ("half", "always") if call == "recv" else when != "always"
    return when != "always" or not (error == "EINTR" or (call == "read" and error == "EAGAIN"))


def _kinds() -> Iterator[tuple[str, tuple[str, ...], str, str]]:
    for role, works, calls in (("client", CLIENTS, CLIENT), ("server", SERVERS, SERVER)):
        for call, errors in calls.items():
            for error in errors:
                yield role, WHERE.get((role, call), works), call, error


def everything() -> Iterator[Case]:
    """The whole matrix."""
    for role, works, call, error in _kinds():
        for when in WHEN:
            if _is_plausible(call, error, when):
                yield from (Case(role, work, call, error, when) for work in works)


def some() -> Iterator[Case]:
    """A part of it: each call fails with each of its errors, once and as often as can be, at changing workloads."""
    turn = 0
    for role, works, call, error in _kinds():
        often = next(when for when in ("always", "half", "third") if _is_plausible(call, error, when))
        for when in ("first",) if call in _MADE_ONCE else ("first", often):
            turn += 1
            yield Case(role, works[turn % len(works)], call, error, when)
