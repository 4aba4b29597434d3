"""The engine built anew for the tests: with sanitizers, with faults to inject, or with both.

What lives here: the compiler's command line, and a copy of the installed package that uses what was built. Nothing is
written outside the folder that the caller gives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "src" / "estab" / "_engine"
NAME = "_engine.abi3.so"
# Undefined behaviour traps, and ASan reports the trap: libubsan beside libasan writes to stderr alone, where a worker's
# words would be lost.
SANITIZERS = (
    "-fsanitize=address,undefined,float-cast-overflow,float-divide-by-zero",
    "-fno-sanitize-recover=all",
    "-fsanitize-undefined-trap-on-error",
)
# The calls that faults.c stands between the engine and libc.
WRAPPED = (
    "accept4", "bind", "calloc", "clock_nanosleep", "close", "connect", "epoll_create1", "epoll_ctl", "epoll_wait",
    "fcntl", "free", "getpeername", "getsockname", "getsockopt", "malloc", "mmap", "munmap", "poll", "prctl", "read",
    "realloc", "recv", "send", "sendmsg", "setsockopt", "sigaction", "socket", "syscall",
)  # fmt: skip


def compiler() -> str:
    """The C compiler. Raises FileNotFoundError that says how to get one."""
    found = shutil.which(os.environ.get("CC", "gcc"))
    if not found:
        raise FileNotFoundError("no gcc here: apt-get install gcc")
    return found


def compiled(folder: Path, *, sanitize: bool) -> list[Path]:
    """Compiles the engine's files into `folder`, for `linked`. Raises AssertionError with what the compiler said."""
    _compile(folder, sanitize, ["-c", *map(str, sorted(SOURCES.rglob("*.c")))])
    return sorted(folder.glob("*.o"))


def linked(folder: Path, objects: Sequence[Path], *, sanitize: bool, faults: bool = False) -> Path:
    """The engine in `folder`, with faults to inject where it is asked for. Its path. Raises as `compiled`."""
    wrapped = [*(f"-Wl,--wrap={name}" for name in WRAPPED), str(HERE / "faults.c")] if faults else []
    _compile(folder, sanitize, ["-shared", *wrapped, *map(str, objects), "-lm", "-lrt", "-o", NAME])
    return folder / NAME


def build(folder: Path, *, sanitize: bool, faults: bool = False) -> Path:
    """Both at once."""
    with tempfile.TemporaryDirectory() as objects:
        return linked(folder, compiled(Path(objects), sanitize=sanitize), sanitize=sanitize, faults=faults)


def _compile(folder: Path, sanitize: bool, arguments: Sequence[str]) -> None:
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE", "-O1", "-g", "-fPIC", "-Wall", "-Wextra"]
    flags += [f"-DPy_LIMITED_API={0x030B0000:#x}", f"-I{sysconfig.get_path('include')}"]
    if sanitize:
        flags += [*SANITIZERS, "-fno-omit-frame-pointer"]
    done = subprocess.run([compiler(), *flags, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def package(folder: Path, installed: Path) -> Path:
    """A copy of the package `installed`, without its engine, in `folder`. Returns where an engine belongs.

    With what is compiled of it: to compile it again takes seconds under the sanitizers.
    """
    copy = folder / "estab"
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("_engine*.so", "*.c", "*.h"))
    return copy


def _library(name: str) -> str:
    done = subprocess.run([compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return str(Path(done.stdout.strip()).resolve())


def sanitizer_environment(folder: Path) -> dict[str, str]:
    """The environment in which a Python that was not built for it runs the sanitized engine.

    What a sanitizer finds goes to a file `found.PID` in `folder`, whatever process it is in. Python never gives back
    all of its memory, so leaks are not looked for here: faults.c counts the engine's own.
    """
    options = "exitcode=99:detect_leaks=0:detect_stack_use_after_return=1:handle_sigill=1"
    return {
        **os.environ,
        "LD_PRELOAD": _library("libasan.so"),
        "ASAN_OPTIONS": f"log_path={folder}/found:{options}",
    }


def findings(folder: Path) -> str:
    """What the sanitizers found, as they said it; empty where nothing."""
    return "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("found*")))


def run(arguments: Sequence[str], environment: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """This interpreter with `arguments`, from the top of the tree."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE.parents[1], env=environment, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip
