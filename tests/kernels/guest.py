"""A guest: a kernel made ready to be booted, again and again. `uml.py` and `qemu.py` make them; `run` boots one.

A guest has a directory of its own on the host. In it stands its order, a shell script; into it come the order's output
and whatever it writes to `OUT`. It ends by itself when its time is over; on Ctrl-C its process group is killed.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = Path(__file__).resolve().parent / "guest"
OUT = Path("/run/out")  # where a guest writes its results
_BOOT_S = 120.0  # the longest that a guest may take beside its order: to start, to write, to end


@dataclass(frozen=True)
class Guest:
    """`package` is what it comes of, in words. `command(directory)` boots it for one run.

    `environment` and `cwd` are of that process. `collect(directory)` brings what it wrote into the directory, where it
    can't write there itself. `out` is that directory as the guest calls it, None: by the same name.
    """

    package: str
    command: Callable[[Path], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = REPOSITORY
    collect: Callable[[Path], None] = lambda _directory: None
    out: Path | None = OUT


def host_itself() -> Guest:
    """The kernel that runs here, which needs no boot."""
    script = 'cd "$0" && sh ./order.sh >stdout 2>stderr; echo $? >code'
    return Guest("what runs here", lambda directory: ["unshare", "-n", "sh", "-c", script, str(directory)], out=None)


class Lost(Exception):
    """A guest that did not come up, or ended before its order was over. The message says how far it came."""


def write_order(directory: Path, command: Sequence[str], seconds: float) -> None:
    """What the guest runs, for `seconds` at most."""
    text = f"cd {shlex.quote(str(REPOSITORY))}\nexec timeout -k 5 {seconds:.0f} {shlex.join(command)}\n"
    (directory / "order.sh").write_text(text, encoding="utf-8")


class Boots:
    """The guests that run now: `run` boots one and waits for its end, `stop` kills all of them."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, guest: Guest, directory: Path, seconds: float) -> float:
        """Boots `guest` with the order in `directory` and waits for its end. The CPU time it took. Raises Lost."""
        environment = [f"{name}={value}" for name, value in guest.environment.items()]
        with (directory / "console").open("wb") as console, self._lock:
            if self._stopped:
                raise Lost("interrupted")
            process = subprocess.Popen(
                ["env", *environment, *guest.command(directory)],
                cwd=guest.cwd, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            self._running.add(process.pid)
        try:
            if not _ends(process.pid, seconds + _BOOT_S):
                raise Lost(f"not over within {seconds:.0f} s")
        finally:
            cpu_s = self._end(process)
        guest.collect(directory)
        if not (directory / "code").exists():
            raise Lost(f"it ended before its order was over: {_last_words(directory / 'console')}")
        if (code := (directory / "code").read_text(encoding="utf-8").strip()) != "0":
            raise Lost(f"its order ended with {code}: {_last_words(directory / 'stderr')}")
        return cpu_s

    def stop(self) -> None:
        """Kill what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
            for pid in self._running:
                os.killpg(pid, signal.SIGKILL)

    def _end(self, process: subprocess.Popen[bytes]) -> float:
        """The CPU time it took. Whatever is left of its process group is killed: user-mode Linux has many processes."""
        with self._lock:
            self._running.discard(process.pid)
            os.killpg(process.pid, signal.SIGKILL)  # not waited for yet: the number is still its own
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_utime + used.ru_stime


def _ends(pid: int, seconds: float) -> bool:
    """Whether a child ends within `seconds`; it is not waited for."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _last_words(file: Path) -> str:
    """The last line, or that of a panic."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    panics = [line for line in said if "panic" in line.lower()]
    return (panics or said or ["it said nothing"])[-1][:200]
