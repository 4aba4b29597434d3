"""Files that a command reads, where one may be `-`: standard input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from estab.cli.values import File
from estab.errors import UsageError

# Else `-` were taken for an option; what is one after all, and unknown, is refused by check().
InputFile = Annotated[File, Parameter(allow_leading_hyphen=True)]


def check(names: Iterable[str]) -> None:
    """Raises UsageError for an empty name, an unknown option, and where standard input would be read twice.

    The second time there is nothing left of it.
    """
    given = list(names)
    for name in given:
        if not name:
            raise UsageError("a file name is empty: give a file, or - for standard input")
        if name.startswith("-") and name != "-":
            raise UsageError(f"there is no option {name}; --help lists them, and a file of that name is ./{name}")
    if given.count("-") > 1:
        raise UsageError("standard input (-) can be read once; give the others as files")
