"""For mkdocs: the generated pages of the commands enter the navigation, whichever there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Appends the pages below `commands` to the last section."""
    found = sorted(Path(config.docs_dir, "commands").glob("*.md"))
    pages = [f"commands/{path.name}" for path in found if path.stem != "index"]
    config.nav[-1]["Reference"][1:1] = [{f"estab {Path(name).stem}": name} for name in pages]
    return config
