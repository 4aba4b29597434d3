"""What could not be read, and why: readers note it here instead of failing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from estab.errors import EstabError
from estab.records import Unobserved

T = TypeVar("T")


class Gaps:
    """Collects `Unobserved` while a snapshot is taken."""

    def __init__(self) -> None:
        self.found: list[Unobserved] = []

    def note(self, field: str, why: str) -> None:
        """`field` (its path in the snapshot) could not be read."""
        self.found.append(Unobserved(field=field, why=why))

    def read(self, field: str, get: Callable[[], T]) -> T | None:
        """What `get` returns; None, and a note, where it raises OSError or an error of estab."""
        try:
            return get()
        except OSError as error:
            self.note(field, f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        except EstabError as error:
            self.note(field, str(error))
        return None
