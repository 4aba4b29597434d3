"""Which modules a package has, where each of them is one of a kind: a new file is found by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable


def names(folders: Iterable[str]) -> list[str]:
    """The modules in a package's `__path__`, in alphabetical order, without what begins with an underscore.

    Raises OSError for a folder that can't be listed. (`pkgutil.iter_modules` takes it for an empty one, as where memory
    is short.)
    """
    files = [name for folder in folders for name in os.listdir(folder)]
    return sorted(name.removesuffix(".py") for name in files if name.endswith(".py") and not name.startswith("_"))
