"""How estab starts Python on a module of its own: the process finds estab where this one has it."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parents[1])  # that estab lies in


def command(module: str, *arguments: str, function: str = "main", bare: bool = False) -> list[str]:
    """What executes a function of a module of estab, which finds `arguments` in `sys.argv[1:]`.

    `bare`: it needs nothing of site-packages but estab: to look through what is installed there takes as long as all
    else.
    """
    code = f"import sys; sys.path.append(sys.argv.pop(1)); from {module} import {function}; {function}()"
    return [sys.executable, "-P", *(["-S"] if bare else []), "-c", code, FOLDER, *arguments]
