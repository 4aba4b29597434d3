"""How what an extra adds is installed here: by this environment's pip, from where this estab came."""

from __future__ import annotations

import os
import shlex
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation, as `.venv/bin/pip install '.[report]'` in a checkout."""
    checkout = _checkout()
    source = "estab" if checkout is None else "." if checkout == Path.cwd() else str(checkout)
    return f"{_pip()} install {shlex.quote(f'{source}[{extra}]')}"


def _checkout() -> Path | None:
    """The folder that this estab was installed from, or runs in; None where it came from an index.

    Installers note it: https://packaging.python.org/en/latest/specifications/direct-url/.
    """
    folder = Path(__file__).parents[2]
    try:
        noted = metadata.distribution("estab").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        noted = None
    if noted is not None:
        import json

        folder = Path(unquote(urlsplit(json.loads(noted).get("url", "")).path))
    return folder if (folder / "pyproject.toml").is_file() else None


def _pip() -> str:
    """This environment's pip, as it is called from the current directory."""
    if sys.prefix == sys.base_prefix:
        return "pip"
    pip = Path(sys.prefix, "bin", "pip")
    command = [str(pip)] if pip.is_file() else [sys.executable, "-m", "pip"]
    inside = os.path.relpath(command[0])
    command[0] = inside if not inside.startswith("..") else command[0]
    return shlex.join(command)
