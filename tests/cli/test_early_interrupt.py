"""Ctrl-C at any moment after Python itself has started: exit code 130, one line, never a traceback.

Until Python has run its own `site`, SIGINT ends it as it ends every Python program; nothing of ours is there yet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from tests.cli.terminal import ESTAB

COMMAND = ("hold", "-n", "5", "-d", "10")
STARTS = ((ESTAB,), (sys.executable, "-m", "estab"))


def interrupted_after(start: tuple[str, ...], imports: int) -> tuple[int, int, str, str]:
    """Interrupts it when it has imported so many modules since its entry; how many those were, and how it ended."""
    process = subprocess.Popen(
        [*start, *COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    seen, entered, said = 0, False, []
    for line in process.stderr:
        imported = line.startswith("import time:")
        seen += imported and entered
        entered = entered or line.rstrip().endswith("| estab.cli.main")
        if entered and seen >= imports:
            process.send_signal(signal.SIGINT)
            break
    out, rest = process.communicate(timeout=20)
    said += [line for line in rest.splitlines() if not line.startswith("import time:")]
    return process.returncode, seen, out, "\n".join(said)


@pytest.mark.parametrize("start", STARTS, ids=("script", "module"))
@pytest.mark.parametrize("imports", [1, 3, 10, 30, 80, 150, 220, 260])
def test_interrupted_while_it_imports(start: tuple[str, ...], imports: int) -> None:
    code, seen, out, said = interrupted_after(start, imports)
    assert seen == imports, "it imports less than that: take a smaller number"
    assert (code, said) in ((130, "estab: interrupted"), (130, "")), said
    assert said or "interrupted" in out, "neither one line nor a partial report"
    assert "Traceback" not in out


def test_hardly_anything_is_imported_before_ctrl_c_is_taken_care_of() -> None:
    """What lies before the entry is a moment in which Ctrl-C still shows Python's traceback."""
    code = "import sys; before = {*sys.modules}; import estab.cli.main; print(*({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    own = {"estab", "estab.cli", "estab.cli.main"}
    assert own <= {*done.stdout.split()}
    assert len({*done.stdout.split()} - own) <= 15, "signal, and enum with what that takes"
    assert "typing" not in done.stdout.split()


def test_what_is_over_is_not_interrupted_any_more() -> None:
    """A command that has its exit code keeps it, however long Python takes to end."""
    code = (
        "import atexit, os, signal, sys; from estab.cli.main import run;"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT)); run(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
