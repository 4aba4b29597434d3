"""The page of each cause, as it was installed with the package: its title in words, its one sentence, its text.

The pages are those of docs/causes, which CMakeLists.txt installs below `estab/pages`. A checkout that is not installed
has them where they are written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import estab

_PACKAGE = Path(estab.__file__).parent
_PLACES = (_PACKAGE / "pages" / "causes", _PACKAGE.parents[1] / "docs" / "causes")
_HEAD = re.compile(r"---\n.*?\n---\n+# ([^\n]*)\n+`\w+`\n+", re.DOTALL)  # front matter, title, the cause's id


@dataclass(frozen=True)
class CausePage:
    """`title` says the cause in words, `sentence` in one sentence; `text` is the page's Markdown below its heading."""

    title: str
    sentence: str
    text: str


@cache
def page_of(cause: str) -> CausePage | None:
    """The page of a cause; None where there is none: a record may name what this version does not know."""
    path = next((place / f"{cause}.md" for place in _PLACES if (place / f"{cause}.md").is_file()), None)
    head = _HEAD.match(path.read_text(encoding="utf-8")) if path is not None and cause.isidentifier() else None
    if head is None:
        return None
    text = head.string[head.end() :]
    return CausePage(head[1], " ".join(text.partition("\n\n")[0].split()), text)
