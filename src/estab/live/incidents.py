"""When a listener got into distress: the moments of a recording, and the worst that was seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from estab.live.columns import process_words, where
from estab.live.judgement import DISTRESS
from estab.live.namespace import NamespaceModel
from estab.live.view import HostView, ListenerRow
from estab.records import NamespaceId, Snapshot


@dataclass
class WorstSeen:
    """The listener in the greatest distress of all looks, the first of those alike, and how many looks there were."""

    row: ListenerRow | None = None
    at_s: float = 0.0
    looks: int = 0

    def note(self, view: HostView) -> None:
        """One more look."""
        self.looks += 1
        row = max(view.rows, key=lambda each: each.distress, default=None)
        if row is not None and (self.row is None or row.distress > self.row.distress):
            self.row, self.at_s = row, view.at_s

    def words(self) -> tuple[str, str] | None:
        """The listener with its owner, and what was the matter with it. None: nothing was."""
        if self.row is None or self.row.judgement.severity < DISTRESS:
            return None
        return f"{where(self.row.address, self.row.port)} ({process_words(self.row)})", self.row.judgement.says


def begins(rounds: Iterable[Sequence[Snapshot]]) -> list[int]:
    """At which rounds, counted from 1, distress began where there was none in the round before."""
    models: dict[NamespaceId, NamespaceModel] = {}
    starts: list[int] = []
    calm = True
    for number, together in enumerate(rounds, 1):
        fed = [models.setdefault(taken.namespace, NamespaceModel(taken.namespace)) for taken in together]
        for model, taken in zip(fed, together, strict=True):
            model.feed(taken)
        worst = max((row.judgement.severity for model in fed for row in model.rows), default=0)
        if worst >= DISTRESS and calm:
            starts.append(number)
        calm = worst < DISTRESS
    return starts
