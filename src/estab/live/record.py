"""The flight recorder: looks at this host, for days, into a directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from estab.errors import UsageError
from estab.live.sampling import Sampler, check_interval
from estab.load.conductor import Stop
from estab.load.plan import check_range
from estab.recording.writer import LEAST_BYTES, RecordingDirectory
from estab.records import Snapshot

SHARE = 0.001  # of a core, for what goes through all sockets
LEAST_KEPT_S = 60.0


def recorder(directory: str, *, keep_s: float, max_bytes: int) -> RecordingDirectory:
    """What writes into `directory`. Raises UsageError for bounds that can't be, and where it can't be written."""
    check_range("keep_s", keep_s, LEAST_KEPT_S, 10 * 366 * 86_400)
    if max_bytes < LEAST_BYTES:
        raise UsageError(f"`max_bytes` is {max_bytes:,}; it is {LEAST_BYTES:,} (1M) or more")
    return RecordingDirectory(directory, keep_s=keep_s, max_bytes=max_bytes)


def looks(
    interval_s: float, stop: Stop, *, count: int = 0, netns: str | None = None, all_netns: bool = False
) -> Iterator[list[Snapshot]]:
    """What is recorded: a round of snapshots every `interval_s` until `stop`, `count` of them (0: no end)."""
    check_interval(interval_s)
    return Sampler(netns=netns, all_netns=all_netns, share=SHARE).rounds(interval_s, stop, count)


def record(
    rounds: Iterator[Sequence[Snapshot]],
    into: RecordingDirectory,
    *,
    show: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Writes all of `rounds`; `show` is called after each. `tell` is told in a line when no more can be written, and
    when it can again.
    """
    failed = None
    for together in rounds:
        into.write(together)
        if into.failed != failed:
            tell(f"{into.failed}; going on when it can" if into.failed else f"recording to {into.path} again")
        failed = into.failed
        show()
