"""The conformance suite on an engine built with ASan and UBSan: `python -m tests.engine.sanitized [PYTEST ARGUMENTS]`.

Prints what pytest printed and what the sanitizers found. Exit code 0: all passed, and nothing was found.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.engine import build

import estab

WITHIN_S = 900.0
# With it what reads bytes of the kernel in C.
SUITES = ("tests/conformance", "tests/engine/test_trace.py", "tests/observe/test_owned_sockets.py")


def conformance(arguments: Sequence[str], within_s: float = WITHIN_S) -> tuple[int, str, str]:
    """pytest's exit code, what it printed, and what the sanitizers found."""
    with tempfile.TemporaryDirectory(prefix="estab-sanitized-") as name:
        folder = Path(name)
        build.build(build.package(folder, Path(estab.__file__).parent), sanitize=True)
        environment = build.sanitizer_environment(folder) | {"PYTHONPATH": str(folder)}
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITES, *arguments]
        done = build.run(command, environment, within_s)
        return done.returncode, done.stdout + done.stderr, build.findings(folder)


def main(arguments: Sequence[str]) -> int:
    """Runs it all on the engine in C, or what `arguments` choose."""
    code, said, found = conformance(arguments or ["-k", "not python"])
    print(said)
    print(found or "the sanitizers found nothing")
    return 1 if found else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
