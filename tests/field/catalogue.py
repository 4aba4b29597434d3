"""All situations, by name: what the modules of `situations/` list."""

from __future__ import annotations

import importlib
import pkgutil

from tests.field import situations
from tests.field.situation import Situation


def _collected() -> dict[str, Situation]:
    entries: dict[str, Situation] = {}
    for info in pkgutil.iter_modules(situations.__path__):
        for situation in importlib.import_module(f"{situations.__name__}.{info.name}").SITUATIONS:
            if situation.name in entries:
                raise ValueError(f"two situations are called {situation.name}")
            entries[situation.name] = situation
    return entries


SITUATIONS = _collected()
