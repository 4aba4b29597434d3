"""The pages that are made from the program itself: commands from their help, the library from its docstrings.

`python -m docs.generate` writes them. A test makes them again and compares, so they are never out of date.
"""

from __future__ import annotations

from docs.generate import commands, library, scenarios


def pages() -> dict[str, str]:
    """Each generated page: its path below `docs`, and its text."""
    return {**commands.pages(), **library.pages(), **scenarios.pages()}
