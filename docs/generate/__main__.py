"""`python -m docs.generate`: writes the generated pages, and removes those whose command is gone."""

from __future__ import annotations

from pathlib import Path

from docs.generate import pages

DOCS = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write what differs."""
    made = pages()
    for old in {*(DOCS / "commands").glob("*.md"), *(DOCS / "reference").glob("*.md")}:
        if str(old.relative_to(DOCS)) not in made:
            old.unlink()
    for name, text in made.items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


main()
