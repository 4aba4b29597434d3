"""What a command can be asked is found out once in a process, not at each command line: that takes longer than parsing.

cyclopts reads signatures, types and docstrings anew each time, for a program parses one line and is over. A process of
the tests parses hundreds, and so do its forks.
"""

from __future__ import annotations

from typing import Any

import cyclopts
from cyclopts.argument import ArgumentCollection

_assemble = cyclopts.App.assemble_argument_collection
_found: dict[object, tuple[cyclopts.App, ArgumentCollection]] = {}


def install() -> None:
    """From now on in this process, and in its forks."""
    cyclopts.App.assemble_argument_collection = _assembled  # type: ignore[method-assign]


def _assembled(
    self: cyclopts.App, *, default_parameter: Any = None, parse_docstring: bool = False
) -> ArgumentCollection:
    if default_parameter is not None:
        return _assemble(self, default_parameter=default_parameter, parse_docstring=parse_docstring)
    # By id(), for an App has no hash. Its defaults are those of the commands above it while a line is parsed.
    key = id(self), parse_docstring, self.app_stack.default_parameter
    if key not in _found:
        _found[key] = self, _assemble(self, parse_docstring=parse_docstring)
    return _unused(_found[key][1])


def _unused(found: ArgumentCollection) -> ArgumentCollection:
    """The same arguments for another command line: what they are given there is not the others'."""
    copies = found.copy(reset_tokens=True)
    copy_of = {id(one): its_copy for one, its_copy in zip(found, copies, strict=True)}
    for one in copies:
        one.children = ArgumentCollection(copy_of[id(child)] for child in one.children)
    return copies
