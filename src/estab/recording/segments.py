"""What the files of a recording's directory are called, and which of them go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_SEGMENT = re.compile(r"estab-(?P<stamp>\d{8}T\d{6}\.\d{3})Z(?:-\d+)?\.ndjson\.gz")
_CLOSE = re.compile(r"close-(?P<stamp>\d{8}T\d{6}\.\d{3})Z-[a-z0-9_]+(?:-\d+)?\.ndjson\.gz")
_STAMP = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True, order=True)
class Segment:
    """A file of a recording. `from_s`: when it was begun (Unix time)."""

    from_s: float
    name: str
    size: int = 0


def name_of(from_s: float, again: int = 0, *, cause: str | None = None) -> str:
    """The name of a segment that is begun now, or of the close looks at a `cause`; `again` tells apart those of one
    millisecond.
    """
    stamp = datetime.fromtimestamp(from_s, UTC).strftime(_STAMP)[:-3]
    kind, of = ("estab", "") if cause is None else ("close", f"-{cause}")
    return f"{kind}-{stamp}Z{of}{f'-{again}' if again else ''}.ndjson.gz"


def segments(names: Iterable[tuple[str, int]], *, close: bool = False) -> list[Segment]:
    """Those of the files, each with its size, that are segments, or files of close looks; the oldest first."""
    form = _CLOSE if close else _SEGMENT
    known = ((form.fullmatch(name), name, size) for name, size in names)
    return sorted(Segment(_begun(match["stamp"]), name, size) for match, name, size in known if match)


def _begun(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def outdated(kept: Sequence[Segment], now_s: float, keep_s: float, max_bytes: int) -> list[Segment]:
    """Which of the finished segments, oldest first, go: those that end before `keep_s` ago, and those too many.

    A segment ends where the next begins; when the last one ended is not known, so that it goes only for its size.
    """
    ends = [*(segment.from_s for segment in kept[1:]), now_s]
    total = sum(segment.size for segment in kept)
    gone = []
    for segment, end_s in zip(kept, ends, strict=False):
        if now_s - end_s < keep_s and total <= max_bytes:
            break
        gone.append(segment)
        total -= segment.size
    return gone


def within(kept: Sequence[Segment], since_s: float | None, until_s: float | None) -> list[Segment]:
    """Those that may hold something from `since_s` to `until_s` (None: no bound)."""
    ends = [*(segment.from_s for segment in kept[1:]), float("inf")]
    return [
        segment
        for segment, end_s in zip(kept, ends, strict=False)
        if (since_s is None or end_s >= since_s) and (until_s is None or segment.from_s <= until_s)
    ]


def kept(directory: str, *, close: bool = False) -> list[Segment]:
    """The segments of a directory, or its files of close looks, the oldest first. Raises OSError."""
    with os.scandir(directory) as entries:
        files = [(entry.name, entry.stat().st_size) for entry in entries if entry.is_file()]
    return segments(files, close=close)
