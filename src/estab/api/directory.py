"""A directory that a caller named for files to be written into."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from estab.errors import UsageError


def make_directory(name: str | Path, what: str) -> Path:
    """The directory that `what` is to be written into: made where it is not there, though not those above it.

    Raises UsageError where nothing can be written into it.
    """
    if not str(name):
        raise UsageError(f"{what} is empty; give it a directory")
    path, where = Path(name), f"can't write {what} to {name}"
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{where}: it is no directory") from error
    except OSError as error:
        hint = "; make its parent directory first" if error.errno == errno.ENOENT else ""
        raise UsageError(f"{where}: {error.strerror}{hint}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{where}: permission denied; give a directory of your own")
    return path
