"""Each connect of some processes, as the kernel's trace events tell of it, by a process of its own (`connect_tracer`).

Where it can be had (root of the host, tracefs) it is exact: begun, connected, failed with which errno, given up, how
long it took. A connect() that failed before it had a route is known by its errno, and its target is not. What it can't
see: calls of 32-bit programs and of io_uring that failed before TCP did anything; requests and answers.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterable

from estab import interpreter
from estab.observe import traced_connects
from estab.observe.connect_tracer import BUFFER_KB
from estab.observe.traced_connects import TracedConnects

_READY_WITHIN_S, _RESULT_WITHIN_S = 10.0, 20.0
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h: the events name pids as there


class ConnectTrace:
    """A trace that has begun, or `why` it can't. `follow` processes, then `end`; `close` it in any case."""

    def __init__(self, *, wanted: bool = True, buffer_kb: int = BUFFER_KB) -> None:
        self._buffer_kb = buffer_kb
        self._process: subprocess.Popen[bytes] | None = None
        self.why = _why_not() if wanted else "it was not asked for"
        if self.why is None:
            self._start()

    @property
    def pid(self) -> int | None:
        """The tracing process; None where there is none."""
        return self._process.pid if self._process is not None else None

    def follow(self, pids: Iterable[int]) -> None:
        """Count the calls of these processes, and of all that they start from now on."""
        self._write(b"".join(b"follow %d\n" % pid for pid in pids))

    def end(self) -> TracedConnects | None:
        """All that was seen. None where there was no trace, or where the tracing process died: `why` says it then."""
        if self._process is None:
            return None
        self._write(b"end\n")
        traced = self._read(_RESULT_WITHIN_S)
        self.close()
        if traced is None or traced.why is not None:
            self.why = traced.why if traced is not None else "the tracing process was killed"
            _sweep()
            return None
        return traced

    def close(self) -> None:
        """End the tracing process, which removes what it made. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            interpreter.command("estab.observe.connect_tracer", str(self._buffer_kb), bare=True),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        began = self._read(_READY_WITHIN_S)
        if began is None or began.why is not None:
            self.why = began.why if began is not None else "the tracing process did not begin"
            self.close()

    def _write(self, data: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(data)
            except BrokenPipeError:
                self.why = "the tracing process was killed"

    def _read(self, within_s: float) -> TracedConnects | None:
        assert self._process is not None
        assert self._process.stdout is not None
        told = b""
        while len(told) < 4 or len(told) < 4 + int.from_bytes(told[:4], sys.byteorder):
            in_time = select.select([self._process.stdout], [], [], within_s)[0]
            data = os.read(self._process.stdout.fileno(), 1 << 20) if in_time else b""
            if not data:
                return None
            told += data
        return traced_connects.read(told[4:])


def _sweep() -> None:
    """Remove what a tracing process left that was killed."""
    command = [sys.executable, "-P", "-m", "estab.observe.tracer", "sweep"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "tracing takes root"
    try:
        initial = os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        initial = False
    return None if initial else "the trace events name processes as the host does, and this is a container"
