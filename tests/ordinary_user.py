"""Running estab as an ordinary user (uid 65534) from tests that run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

GIVE_UP = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
CAN_GIVE_UP = os.geteuid() == 0 and shutil.which("setpriv") is not None
_PACKAGES = (
    "estab", "msgspec", "psutil", "cyclopts", "attr", "docstring_parser", "rich", "markdown_it", "mdurl", "pygments",
    "hdrh", "pyhdrh", "pbr", "typing_extensions", "prometheus_client",
)  # fmt: skip


def _folders() -> list[Path]:
    """Where packages are installed for this interpreter."""
    return [Path(folder) for folder in sys.path if folder.endswith("-packages")]


@contextlib.contextmanager
def interpreter() -> Iterator[tuple[str, ...]]:
    """How uid 65534 starts Python with estab, from a copy that everybody may read.

    The interpreter and the packages of the tests may lie where only root looks, as below /root.
    """
    home = Path(tempfile.mkdtemp(prefix="estab-open-to-all-", dir="/var/tmp"))
    home.chmod(0o755)
    try:
        for path in (path for folder in _folders() for path in folder.iterdir()):
            if path.name.startswith(_PACKAGES):
                (shutil.copytree if path.is_dir() else shutil.copy)(path, home / path.name)
        version = f"python3.{sys.version_info.minor}"
        for python in (sys.executable, f"/usr/bin/{version}", "/usr/bin/python3"):
            command = (*GIVE_UP, "env", f"PYTHONPATH={home}", "PYTHONDONTWRITEBYTECODE=1", python)
            needed = [*command, "-P", "-c", "import estab.api.execute, estab.cli.main, estab.report.text"]
            if subprocess.run(needed, check=False, capture_output=True, cwd="/").returncode == 0:
                yield command
                return
        pytest.skip(f"no {version} here that uid 65534 may run with estab: apt-get install {version}")
    finally:
        shutil.rmtree(home)
