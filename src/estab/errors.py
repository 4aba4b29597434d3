"""The errors that estab raises on purpose, each with the exit code that the command line gives it.

What lives here: one base class and its few children. What never may: messages (they belong where the value is known).
A message says what, where, which value, and what to do next, in one line.
"""

from __future__ import annotations


class EstabError(Exception):
    """Base of every error that estab raises on purpose. `exit_code` is what the command line exits with."""

    exit_code = 2


class UsageError(EstabError):
    """An argument that cannot be: an unknown host, port 70000, `-c 0`. Exit code 2."""

    exit_code = 2


class ReadError(EstabError):
    """A file, or bytes from elsewhere, that cannot be read as what they should be. Exit code 2."""

    exit_code = 2


class ParseError(ReadError):
    """Bytes that do not follow their format. `offset` is where, in bytes from the start.

    Raised by `estab.kernel.formats` only; every parser there raises this and nothing else on any input.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        self.offset = offset
        super().__init__(message if offset is None else f"{message} (at byte {offset})")


class MachineError(EstabError):
    """This machine can't do it: a missing tool, permission or kernel feature. Says how to get it. Exit code 3."""

    exit_code = 3


class CommandError(EstabError):
    """A command that can't be started: not found (exit code 127) or not executable (126), as a shell says it."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)
