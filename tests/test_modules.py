"""Which modules a package has."""

from __future__ import annotations

from pathlib import Path

import pytest

from estab import modules


def test_modules_are_named_in_order_and_what_is_private_is_not(tmp_path: Path) -> None:
    for name in ("second.py", "first.py", "__init__.py", "_shared.py", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "__pycache__").mkdir()
    assert modules.names([str(tmp_path)]) == ["first", "second"]


def test_a_folder_that_cannot_be_listed_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        modules.names([str(tmp_path / "none")])
