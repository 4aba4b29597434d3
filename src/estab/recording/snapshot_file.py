"""One file that snapshots are written to, each in it at once: nothing but the last can be torn, whatever ends this."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from estab.errors import UsageError
from estab.recording.codec import LineEncoder
from estab.records import Snapshot, encode
from estab.words import plural

COMPRESSED = ".gz"
_LEVEL = 9


class SnapshotFile:
    """Snapshots as lines: each whole and plain, or, compressed, what changed. Owns `fd`. Methods raise OSError."""

    def __init__(self, path: str, fd: int, *, compressed: bool) -> None:
        self.path, self._fd = path, fd
        self.size = self.snapshots = 0
        self._lines = LineEncoder()
        self._member = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31) if compressed else None
        self._whole = False  # whether what was written last is all there: nothing can follow what is torn

    def write(self, taken: Snapshot) -> None:
        """One more snapshot, flushed: whoever reads along sees it, and no end of this process takes it away."""
        self._whole = False
        if self._member is None:
            self._append(encode(taken) + b"\n")
        else:
            self._append(self._member.compress(self._lines.line(taken)) + self._member.flush(zlib.Z_SYNC_FLUSH))
        self._whole = True
        self.snapshots += 1

    def close(self) -> None:
        """End it. May be called twice."""
        if self._fd < 0:
            return
        try:
            if self._whole and self._member is not None:
                self._append(self._member.flush(zlib.Z_FINISH))
        except OSError:
            pass  # what is whole is readable without an end
        finally:
            os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = os.write(self._fd, left)
            self.size += written
            left = left[written:]


class RecordingFile:
    """Writes rounds of snapshots to a file of one's own choice, compressed if its name ends in .gz. A context manager.

    A disk that is full ends the recording and nothing else: `failed` then says why.
    """

    def __init__(self, path: str) -> None:
        """Begins the file anew. Raises UsageError where it can't be written."""
        self.path = path
        self.failed: str | None = None
        if not path:
            raise UsageError("`path` is empty; give it a file")
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"can't write `path` {path}: {error.strerror}") from error
        self._file = SnapshotFile(path, opened, compressed=path.endswith(COMPRESSED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def snapshots(self) -> int:
        """How many are in it."""
        return self._file.snapshots

    def write(self, together: Sequence[Snapshot]) -> None:
        """One more round."""
        if self.failed is not None:
            return
        try:
            for taken in together:
                self._file.write(taken)
        except OSError as error:
            self.failed = f"recording to {self.path} ended after {plural(self.snapshots, 'snapshot')}: {error.strerror}"

    def through(self, rounds: Iterable[list[Snapshot]]) -> Iterator[list[Snapshot]]:
        """The rounds, each written before it is passed on."""
        for together in rounds:
            self.write(together)
            yield together
