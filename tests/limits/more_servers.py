"""Redis and Python's http.server, for what the kernel granted them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers import closed_port, program, running


@contextlib.contextmanager
def redis(folder: Path, backlog: int) -> Iterator[str]:
    """Redis with `--tcp-backlog`. Gives its HOST:PORT."""
    port = closed_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--tcp-backlog", str(backlog), "--save", "", "--dir"]
    with running([program("redis-server"), *options, str(folder)], port):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def http_server(folder: Path) -> Iterator[tuple[str, int]]:
    """`python -m http.server`. Gives its HOST:PORT and pid."""
    port = closed_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with running(command, port) as process:
        yield f"127.0.0.1:{port}", process.pid
