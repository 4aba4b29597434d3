"""What a listener did over time: samples of it in, `ListenerWatch` out. Rule 2 of docs/kernel.md."""

from __future__ import annotations

from estab.kernel.rules.accept_queue import drops_since, fill, is_full
from estab.records import Listener, ListenerWatch, ServerSockets


class ListenerHistory:
    """One listener's figures, sample by sample. `drops_before`: its sk_drops before the first; None: not known."""

    def __init__(self, drops_before: int | None) -> None:
        self._drops_before = drops_before
        self._last: Listener | None = None
        self._fell = False
        self.worst_depth = 0
        self.samples = 0
        self.full_samples = 0
        self.drops: int | None = None

    def add(self, seen: Listener) -> None:
        """One sample. Its `worst_depth`, where it has one, is what was seen of it since the sample before."""
        self._fell |= self._last is not None and seen.depth < self._last.depth
        self._last = seen
        self.worst_depth = max(self.worst_depth, seen.depth, seen.worst_depth or 0)
        self.samples += 1
        self.full_samples += is_full(max(0, seen.depth), max(0, seen.limit))
        if seen.drops is not None and self._drops_before is not None:
            self.drops = drops_since(self._drops_before, seen.drops)

    @property
    def distress(self) -> tuple[float, int, int, int]:
        """Of two listeners the greater one is in greater distress: by depth over room, then by drops."""
        limit = self._last.limit if self._last else 0
        return fill(self.worst_depth, limit), self.full_samples, self.drops or 0, self.samples

    def watch(self, listeners: int, at_end: ServerSockets | None = None) -> ListenerWatch:
        """The record; `listeners` is how many there were at once. At least one sample must have been added.

        The limit is the last that was seen: listen() called again changes it. `rose_only` is False where nothing ever
        queued.
        """
        assert self._last is not None, "a listener that was never sampled has no record"
        return ListenerWatch(
            address=self._last.address,
            port=self._last.port,
            listeners=listeners,
            limit=self._last.limit,
            worst_depth=self.worst_depth,
            last_depth=self._last.depth,
            samples=self.samples,
            full_samples=self.full_samples,
            rose_only=self.worst_depth > 0 and not self._fell,
            drops=self.drops,
            queued_at_end=at_end.queued if at_end else None,
            accepted_at_end=at_end.accepted if at_end else None,
            inode=self._last.inode,
        )
