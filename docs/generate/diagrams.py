"""The diagrams of the site, each in a light and a dark form, from one drawing with names for its colours.

Material shows the one whose address ends in `#only-light` or `#only-dark`.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

DRAWINGS = Path(__file__).with_name("diagrams")
_NAMES = ("ink", "muted", "line", "box", "accent", "warn")
THEMES = {
    "light": dict(zip(_NAMES, ("#1c2326", "#566268", "#9aa7ad", "#eef2f3", "#00897b", "#b3341f"), strict=True)),
    "dark": dict(zip(_NAMES, ("#e7ecee", "#a9b6bc", "#6c7a81", "#2a3338", "#4db6ac", "#ff8a75"), strict=True)),
}


def pages() -> dict[str, str]:
    """Each drawing in each theme, by its path below `docs`."""
    return {
        f"images/{drawing.stem}-{theme}.svg": Template(drawing.read_text(encoding="utf-8")).substitute(colours)
        for drawing in sorted(DRAWINGS.glob("*.svg"))
        for theme, colours in THEMES.items()
    }
