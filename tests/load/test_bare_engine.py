"""A worker starts without site-packages: what the engine in Python imports needs no package of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import estab

_ALONE = """
import sys
sys.path[:] = [path for path in sys.path if "-packages" not in path]
import importlib.machinery, importlib.util
spec = importlib.util.spec_from_file_location("estab", sys.argv[1], submodule_search_locations=[sys.argv[2]])
sys.modules["estab"] = module = importlib.util.module_from_spec(spec)
import estab.load.pyengine
"""


def test_the_engine_in_python_is_imported_without_packages() -> None:
    package = Path(estab.__file__)
    command = [sys.executable, "-S", "-E", "-c", _ALONE, str(package), str(package.parent)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
