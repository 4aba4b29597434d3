"""The flight recorder: looks at this host, for days, into a directory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from estab.errors import UsageError
from estab.live.close_looks import CloseLooks
from estab.live.sampling import Sampler, check_interval
from estab.load.conductor import Stop
from estab.load.plan import check_range
from estab.recording.writer import LEAST_BYTES, RecordingDirectory
from estab.records import Snapshot

SHARE = 0.001  # of a core, for what goes through all sockets; beside close looks half of it
LEAST_KEPT_S = 60.0


def recorder(directory: str, *, keep_s: float, max_bytes: int, once_a_cause: bool = False) -> RecordingDirectory:
    """What writes into `directory`; `once_a_cause`: close looks too.

    Raises UsageError for bounds that can't be, and where it can't be written.
    """
    check_range("keep_s", keep_s, LEAST_KEPT_S, 10 * 366 * 86_400)
    if max_bytes < LEAST_BYTES:
        raise UsageError(f"`max_bytes` is {max_bytes:,}; it is {LEAST_BYTES:,} (1M) or more")
    return RecordingDirectory(directory, keep_s=keep_s, max_bytes=max_bytes, close=once_a_cause)


class SnapshotRecorder:
    """Looks every `interval_s`, of this thread's namespace, of one that is named, or of all, and with `once_a_cause`
    closely around each episode. Raises UsageError for what can't be, MachineError for what may not be seen.
    """

    def __init__(
        self, interval_s: float, *, netns: str | None = None, all_netns: bool = False, once_a_cause: bool = False
    ) -> None:
        check_interval(interval_s)
        self._interval_s, self._close = interval_s, once_a_cause
        share = SHARE / 2 if once_a_cause else SHARE
        self._sampler = Sampler(netns=netns, all_netns=all_netns, share=share, close_looks=once_a_cause)

    def record(
        self,
        into: RecordingDirectory,
        stop: Stop,
        *,
        count: int = 0,
        show: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Writes `count` looks (0: all until `stop`); `show` is called after each. `tell` is told in a line when no
        more can be written, and when it can again.
        """
        close = CloseLooks(into) if self._close else None
        failed = None
        try:
            for together in self._rounds(close, stop, count):
                into.write(together)
                if close is not None:
                    close.judged(together)
                if into.failed != failed:
                    tell(f"{into.failed}; going on when it can" if into.failed else f"recording to {into.path} again")
                failed = into.failed
                show()
        finally:
            if close is not None:
                close.close()

    def _rounds(self, close: CloseLooks | None, stop: Stop, count: int) -> Iterator[list[Snapshot]]:
        if close is None:
            return self._sampler.rounds(self._interval_s, stop, count)

        def look() -> None:
            for inode, queues in self._sampler.queues():
                close.looked(inode, queues)

        return self._sampler.rounds(self._interval_s, stop, count, between=look)
