"""What is drawn while `estab lab run` works: how many scenarios are over, and where each stands that runs."""

from __future__ import annotations

from collections.abc import Collection

from estab.report.layout import Glyphs, bar
from estab.report.progress import Line

_OVER = "over"
_BAR = 24


class Standing:
    """Where all of them stand. `names` are the scenarios; what else is told of, as the wire, is not counted."""

    def __init__(self, names: Collection[str], glyphs: Glyphs) -> None:
        self._names, self._over, self._glyphs = names, 0, glyphs
        self._stages: dict[str, str] = {}

    def told(self, name: str, stage: str) -> list[Line]:
        """The lines, once `name` has come to `stage`: one for each that runs, and where there are several how far."""
        self._stages[name] = stage
        if stage == _OVER:
            del self._stages[name]
            self._over += name in self._names
        width = max(map(len, self._stages), default=0)
        running: list[Line] = [[(f"  {name:<{width}}  ", "dim"), (words, "")] for name, words in self._stages.items()]
        return running if len(self._names) == 1 else [self._counted(), *running]

    def _counted(self) -> Line:
        drawn = bar(self._over / len(self._names), _BAR, self._glyphs)
        return [
            (drawn, "cyan"),
            (self._glyphs.track * (_BAR - len(drawn)), "dim"),
            (f" {self._over} of {len(self._names)} scenarios", ""),
        ]
