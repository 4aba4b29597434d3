"""Snapshots from elsewhere: a command that prints them is run, and each line is checked.

`ssh host estab observe`, `nsenter …`, `kubectl exec …`. The command is split as a shell would, but no shell runs it.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import IO

from estab.errors import MachineError, ReadError, UsageError
from estab.records import SNAPSHOT_SCHEMA, Snapshot, decode

PATIENCE_S = 20.0
MARK = "ESTAB_VIA"  # in the environment of the command, and so of what it leaves running: whose it is
_PORT = "{port}"
_MOST_LINE_BYTES = 64 << 20
_MOST_SAID = 200


def split(command: str, option: str = "") -> list[str]:
    """The command's words, as a shell splits them. Raises UsageError, with the option, for what can't be split."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"can't split {option}{command!r} into words: {error}") from error


def words_of(command: str, port: int | None = None) -> list[str]:
    """The command's words with `{port}` replaced. Raises UsageError for what can't be split, is empty or lacks it."""
    words = split(command)
    if not words:
        raise UsageError("the command that prints snapshots is empty; write it as 'ssh HOST estab observe'")
    if port is None and any(_PORT in word for word in words):
        raise UsageError(f"{command!r} wants a port in {_PORT}; give it as `port`")
    return [word.replace(_PORT, str(port)) for word in words]


def snapshots(command: str, port: int | None = None, *, within_s: float = PATIENCE_S) -> list[Snapshot]:
    """All that the command prints until it ends. Raises what `stream` raises; MachineError for no snapshot."""
    printed = list(stream(command, port, within_s=within_s))
    if not printed:
        raise MachineError(
            f"{command!r} succeeded but printed no snapshot; it should print what `estab observe` prints"
        )
    return printed


def stream(
    command: str, port: int | None = None, *, within_s: float | None = None, stop: int | None = None
) -> Iterator[Snapshot]:
    """Each snapshot as it is printed. It ends when the descriptor `stop` becomes readable; the command is then killed.

    Raises UsageError for a command that can't be, MachineError where it can't be run, fails or takes more than
    `within_s` seconds in all, ReadError where it prints something else.
    """
    words = words_of(command, port)
    with os.fdopen(os.memfd_create("said"), "w+b") as said:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, MARK: str(os.getpid())},
            )
        except OSError as error:
            raise MachineError(f"can't run {words[0]!r}: {error.strerror}") from error
        assert process.stdout is not None
        try:
            deadline = None if within_s is None else time.monotonic() + within_s
            for number, line in enumerate(_lines(process.stdout, command, deadline, stop), 1):
                yield _read(line, number, command)
            if stop is None or not select.select([stop], [], [], 0)[0]:
                _check(process.wait(), said, command)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _lines(stdout: IO[bytes], command: str, deadline: float | None, stop: int | None) -> Iterator[bytes]:
    """Lines as they come, empty ones left out; ends with the output, or when `stop` becomes readable."""
    waiting = [stdout.fileno(), *([] if stop is None else [stop])]
    pending = b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select(waiting, [], [], left)[0]
        if stop in ready:
            return
        if not ready:
            raise MachineError(f"{command!r} did not end in time and was killed")
        chunk = os.read(stdout.fileno(), 1 << 16)
        *lines, pending = (pending + chunk).split(b"\n")
        if not chunk:
            lines.append(pending)
        yield from (line for line in lines if line.strip())
        if not chunk:
            return
        if len(pending) > _MOST_LINE_BYTES:
            raise ReadError(f"{command!r} printed a line of more than {_MOST_LINE_BYTES:,} bytes")


def _read(line: bytes, number: int, command: str) -> Snapshot:
    try:
        return decode(line, Snapshot, SNAPSHOT_SCHEMA)
    except ReadError as error:
        start = line[:60].decode("utf-8", "replace")
        raise ReadError(f"{command!r} printed no snapshot in line {number}: {start!r}: {error}") from error


def _check(status: int, said: IO[bytes], command: str) -> None:
    if status == 0:
        return
    said.seek(0)
    lines = [line.strip() for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    last = f"; it said: {lines[-1][:_MOST_SAID]}" if lines else ""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit code {status}"
    raise MachineError(f"{command!r} {how}{last}")
