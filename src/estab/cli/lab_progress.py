"""The status line of `estab lab run`: how many scenarios are over, and where each stands that runs."""

from __future__ import annotations

import shutil
from collections.abc import Collection

_OVER = "over"
_BETWEEN = "  ·  "


class Standing:
    """Where all of them stand. `names` are the scenarios; what else is told of, as the wire, is not counted."""

    def __init__(self, names: Collection[str]) -> None:
        self._names, self._over = names, 0
        self._stages: dict[str, str] = {}

    def told(self, name: str, stage: str) -> str:
        """The line, once `name` has come to `stage`. Those side by side share the width of the terminal."""
        self._stages[name] = stage
        if stage == _OVER:
            del self._stages[name]
            self._over += name in self._names
        if len(self._names) == 1:
            return _BETWEEN.join([name, stage])
        # Which remedy it is, is told where there is room: for one that is alone.
        words = [
            f"{name}: {stage if len(self._stages) == 1 else _short(stage)}" for name, stage in self._stages.items()
        ]
        counted = f"{self._over} of {len(self._names)} over"
        return _BETWEEN.join([counted, *_shared(words, shutil.get_terminal_size().columns - len(counted) - 1)])


def _short(stage: str) -> str:
    return stage.partition(":")[0]


def _shared(words: list[str], columns: int) -> list[str]:
    """Each cut to its share of so many columns; what a short one leaves is for the others."""
    cut = dict.fromkeys(words, "")
    left = columns
    for number, text in enumerate(sorted(words, key=len)):
        share = max(8, left // (len(words) - number) - len(_BETWEEN))
        cut[text] = text if len(text) <= share else text[: share - 1] + "…"
        left -= len(cut[text]) + len(_BETWEEN)
    return [cut[text] for text in words]
