"""What there was too little of, memory or threads and processes, and which limit says so.

What lives here: telling such errors from all others, and the limits in /proc and the cgroups. It imports next to
nothing, and reads a file by system calls alone, since it is wanted where there is no memory for more.
"""

from __future__ import annotations

import errno
import os

# As Python and the dynamic loader (dl_open) say it where there is no errno.
_NO_MEMORY = ("MemoryError", "failed to map segment from shared object", "annot allocate memory")
_NO_TASK = ("can't start new thread", "Resource temporarily unavailable")
_STACK_BYTES = 8 << 20  # of a thread, where RLIMIT_STACK is not smaller (pthread_create(3))
_FULL_BYTES = 8 << 20  # so close to the limit, the next library that is loaded or the next arena of objects is too much
_NEAR = 4  # so many tasks below a limit: those that failed are gone by the time that it is asked
_FILE_BYTES = 8192


def _reserve() -> list[bytearray]:
    try:
        return [bytearray(2 << 20)]
    except MemoryError:
        return []


_spare = _reserve()  # address space, given up to say what is lacking


def explain(error: BaseException, root: str = "/") -> str | None:
    """The limit that an error met, and what to do, in one line; None: it is no shortage of memory, threads, processes.

    Of an error that nobody expected, near the end of the address space, the shortage is the cause: where memory is
    lacking, modules are loaded in part and extensions fail in ways of their own. `root` is where `proc` and `sys` are.
    """
    _spare.clear()
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return _memory(root)
    if isinstance(error, BlockingIOError):  # fork(2): EAGAIN
        return _tasks(root)
    if isinstance(error, OSError):
        return None
    return explain_words(str(error), root) or (_memory(root) if _is_full(root) else None)


def explain_words(said: str, root: str = "/") -> str | None:
    """As `explain`, by what another process of ours, under the same limits, said of its error."""
    if any(words in said for words in _NO_TASK):
        return _tasks(root)
    return _memory(root) if any(words in said for words in _NO_MEMORY) else None


def memory_is_limited(root: str = "/") -> bool:
    """Whether a limit of this process's own address space or data may be met."""
    return any(_rlimit(root, name) is not None for name in ("Max address space", "Max data size"))


def _read(path: str) -> str:
    """The start of a file; empty where it can't be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(file, _FILE_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None  # "max", "unlimited", and what could not be read


def _rlimit(root: str, name: str) -> int | None:
    """A soft limit by its name in /proc/PID/limits (proc_pid_limits(5)); None: unlimited."""
    for line in _read(f"{root}/proc/self/limits").splitlines():
        if line.startswith(name):
            return _number(line[len(name) :].split()[0])
    return None


def _memory(root: str) -> str:
    for name, limit, option in (("Max address space", "RLIMIT_AS", "-v"), ("Max data size", "RLIMIT_DATA", "-d")):
        size = _rlimit(root, name)
        if size is not None:
            return f"out of memory: {limit} is {size // 1024:,} kB; raise it (`ulimit {option}`)"
    for path, size in _cgroup(root, "memory", ("memory.max", "memory.limit_in_bytes")):
        if size < 1 << 60:  # version 1 has a number where there is no limit
            return f"out of memory: {path} is {size // 1024:,} kB; raise it"
    if _read(f"{root}/proc/sys/vm/overcommit_memory").strip() == "2":
        return "out of memory: vm.overcommit_memory is 2, and vm.overcommit_ratio grants no more; raise it"
    return "out of memory: no limit of this process is in the way; end other programs, or use a larger machine"


def _tasks(root: str) -> str:
    """A thread or a process can't be had (pthread_create(3), fork(2))."""
    space, used = _rlimit(root, "Max address space"), _address_space(root, "VmSize:")
    if space is not None and used + min(_rlimit(root, "Max stack size") or _STACK_BYTES, _STACK_BYTES) > space:
        return f"no thread can be started: RLIMIT_AS is {space // 1024:,} kB; raise it (`ulimit -v`)"
    for path, most in _cgroup(root, "pids", ("pids.max",)):
        here = path.removesuffix("pids.max")
        if (_number(_read(f"{here}pids.current").strip()) or 0) + _NEAR >= most:
            return f"no thread or process can be started: {path} is {most:,}; raise it"
    most_own = _rlimit(root, "Max processes")
    if most_own is not None and os.geteuid() != 0 and _own_tasks(root) + _NEAR >= most_own:
        return f"no thread or process can be started: RLIMIT_NPROC is {most_own:,}; raise it (`ulimit -u`)"
    every = _number(_read(f"{root}/proc/loadavg").partition("/")[2].partition(" ")[0]) or 0
    for name in ("threads-max", "pid_max"):
        most_here = _number(_read(f"{root}/proc/sys/kernel/{name}").strip())
        if most_here is not None and every + _NEAR >= most_here:
            return f"no thread or process can be started: kernel.{name} is {most_here:,}; raise it"
    return (
        "no thread or process can be started: look at RLIMIT_NPROC (`ulimit -u`), RLIMIT_AS (`ulimit -v`) "
        "and pids.max of this cgroup"
    )


def _cgroup(root: str, controller: str, names: tuple[str, ...]) -> list[tuple[str, int]]:
    """The limits of this process's cgroup and of those above it, by path; both versions (cgroups(7))."""
    limits = []
    for line in _read(f"{root}/proc/self/cgroup").splitlines():
        _number_of, controllers, at = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = f"{root}/sys/fs/cgroup" + (f"/{controllers}" if controllers else "")
        while True:
            for name in names:
                path = f"{top}{at.rstrip('/')}/{name}".replace("//", "/")
                limit = _number(_read(path).strip())
                limits += [(path, limit)] if limit is not None else []
            if at in ("", "/"):
                break
            at = os.path.dirname(at)
    return limits


def _is_full(root: str) -> bool:
    space = _rlimit(root, "Max address space")
    return space is not None and _address_space(root, "VmPeak:") + _FULL_BYTES > space


def _address_space(root: str, field: str) -> int:
    """VmSize or VmPeak of this process, in bytes (proc_pid_status(5))."""
    for line in _read(f"{root}/proc/self/status").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def _own_tasks(root: str) -> int:
    """Threads of this user, which RLIMIT_NPROC counts (getrlimit(2))."""
    count, user = 0, os.geteuid()
    for pid in os.listdir(f"{root}/proc"):
        try:
            if pid.isdigit() and os.stat(f"{root}/proc/{pid}").st_uid == user:
                count += len(os.listdir(f"{root}/proc/{pid}/task"))
        except OSError:  # it is gone
            continue
    return count
