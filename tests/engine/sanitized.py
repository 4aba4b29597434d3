"""The conformance suite on an engine built with ASan and UBSan: `python -m tests.engine.sanitized [PYTEST ARGUMENTS]`.

What a load's workers run is under the sanitizers; so is what runs in estab's own process, in the tests that read bytes
in C there. Prints what pytest printed and what the sanitizers found. Exit code 0: all passed, and nothing was found.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.engine import build

import estab
from estab import interpreter

WITHIN_S = 900.0
_REPLIES = "tests/conformance/test_replies.py"  # which starts no worker
SUITE = ("tests/conformance", f"--ignore={_REPLIES}")
IN_ESTAB = (
    "tests/engine/test_trace.py", "tests/observe/test_owned_sockets.py", _REPLIES,
    "tests/conformance/test_engines.py::test_rr", "tests/conformance/test_engines.py::test_hold_and_close",
    "tests/conformance/test_unix_sockets.py::test_hold",
)  # fmt: skip
_FOLDER = "ESTAB_SANITIZED"
_NO_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # none is used here, and to import them takes seconds


def pytest_configure() -> None:
    """As a plugin of pytest: the workers of loads, and whatever else is started, have the engine in that folder."""
    if folder := os.environ.get(_FOLDER):
        interpreter.FOLDER = folder
        os.environ.update(_with_engine(Path(folder)))


def _with_engine(folder: Path) -> dict[str, str]:
    return build.sanitizer_environment(folder) | {"PYTHONPATH": str(folder)}


def conformance(
    arguments: Sequence[str], objects: Sequence[Path] | None = None, within_s: float = WITHIN_S
) -> tuple[int, str, str]:
    """pytest's exit code, what it printed, and what the sanitizers found. `objects`: what was compiled already."""
    with tempfile.TemporaryDirectory(prefix="estab-sanitized-") as name:
        folder = Path(name)
        package = build.package(folder, Path(estab.__file__).parent)
        if objects is None:
            build.build(package, sanitize=True)
        else:
            build.linked(package, objects, sanitize=True)
        plain = {**os.environ, _FOLDER: name, **_NO_PLUGINS}
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
        workers = build.run([*command, "-p", "tests.engine.sanitized", *SUITE, *arguments], plain, within_s)
        own = build.run([*command, *IN_ESTAB, *arguments], _with_engine(folder) | _NO_PLUGINS, within_s)
        said = "".join(done.stdout + done.stderr for done in (workers, own))
        return workers.returncode or own.returncode, said, build.findings(folder)


def main(arguments: Sequence[str]) -> int:
    """Runs it all on the engine in C, or what `arguments` choose."""
    code, said, found = conformance(arguments or ["-k", "not python"])
    print(said)
    print(found or "the sanitizers found nothing")
    return 1 if found else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
