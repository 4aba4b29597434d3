"""For mkdocs: the pages of causes and of commands enter the navigation, whichever there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docs.generate.causes import SIDES

from estab.diagnose.suspects import CAUSES


def on_config(config: Any) -> Any:
    """The causes by side, in a connection's order; the pages below `commands` in the last section."""
    sections = {title: entry for section in config.nav for title, entry in section.items()}
    sections["Causes"] += [
        {heading: [f"causes/{cause.id}.md" for cause in CAUSES if cause.side == side]}
        for side, heading in SIDES.items()
    ]
    commands = sorted(path.stem for path in Path(config.docs_dir, "commands").glob("*.md") if path.stem != "index")
    sections["Reference"][1:1] = [{f"estab {name}": f"commands/{name}.md"} for name in commands]
    return config
