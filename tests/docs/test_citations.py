"""What the code cites can be opened: each rule of docs/kernel.md by its number, each document and file by its path."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "docs", "benchmarks", "examples", "contrib")
CITING = sorted(
    path
    for folder in FOLDERS
    for ending in ("py", "pyi", "c", "h", "md", "yml", "toml", "sh")
    for path in (ROOT / folder).rglob(f"*.{ending}")
) + [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
RULES = {int(number) for number in re.findall(r"\{: #rule-(\d+) \}", (ROOT / "docs/kernel.md").read_text())}
CITED_RULES = re.compile(r"\b[Rr]ules?\s+((?:\d+(?:,\s+|\s+to\s+|\s+and\s+)?)+)")
CITED_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*[\w/](?=[^\w\\]|$)")
CITED_DOCUMENT = re.compile(r"(?<![\w./-])[A-Z][A-Z_]+\.md\b")
# What stands for any name: `docs/causes/X.md`, `report FILE.md`.
ANY_NAME = re.compile(r"(?:^|[/_])(?:X|FILE)(?:\.|$)")


def cited_rules(text: str) -> set[int]:
    """The numbers after "rule" and "rules", ranges in full."""
    numbers: set[int] = set()
    for listed in CITED_RULES.findall(text):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", listed):
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def test_the_rules_are_found() -> None:
    assert set(range(1, 32)) <= RULES
    assert cited_rules("rules 3 to 5, 7 and 9; rule 12") == {3, 4, 5, 7, 9, 12}


def lacking(path: Path) -> set[str]:
    """What a file cites that is not there."""
    text = path.read_text()
    cited = {*CITED_PATH.findall(text), *CITED_DOCUMENT.findall(text)}
    rules = {f"rule {number}" for number in cited_rules(text) - RULES}
    return rules | {name for name in cited if not ANY_NAME.search(name) and not (ROOT / name).exists()}


def test_what_files_cite_is_there() -> None:
    assert len(CITING) > 1000
    assert {str(path.relative_to(ROOT)): names for path in CITING if (names := lacking(path))} == {}
