"""The pages, or their parts, that are made from the program itself: commands from their help, the library from its
docstrings, the lists of causes from what each declares, the settings of programs from their data.

`python -m docs.generate` writes them. A test makes them again and compares, so they are never out of date.
"""

from __future__ import annotations

from docs.generate import causes, commands, diagrams, kernels, library, scenarios, settings


def pages() -> dict[str, str]:
    """Each generated page: its path below `docs`, and its text."""
    return {
        **causes.pages(),
        **commands.pages(),
        **diagrams.pages(),
        **kernels.pages(),
        **library.pages(),
        **scenarios.pages(),
        **settings.pages(),
    }
