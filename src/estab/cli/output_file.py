"""Where an option's output goes: a file, checked before the work so that no result is lost to a bad path, or `-`."""

from __future__ import annotations

import os
import sys

from estab.errors import UsageError


class OutputFile:
    """What `option` names: a path, `-` for standard output, or None where it was not given.

    Raises UsageError, at once and when it is written, for a path that can't be written.
    """

    def __init__(self, option: str, path: str | None) -> None:
        self.option, self.path = option, path
        if path is None or path == "-":
            return
        if not path:
            raise UsageError(f"{option} is empty; give it a file, or - for standard output")
        folder = os.path.dirname(path) or "."
        if os.path.isdir(path):
            raise UsageError(f"can't write {option} {path}: it is a directory")
        if not os.path.isdir(folder):
            raise UsageError(f"can't write {option} {path}: there is no directory {folder}")
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise UsageError(f"can't write {option} {path}: permission denied")

    def write(self, data: bytes) -> None:
        """Writes `data`; nothing where the option was not given."""
        if self.path is None:
            return
        if self.path == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            return
        try:
            with open(self.path, "wb") as file:
                file.write(data)
        except OSError as error:
            raise UsageError(f"can't write {self.option} {self.path}: {error.strerror}") from error
