"""Redis, Python's http.server, and `estab serve`, for what the kernel granted them."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cli.terminal import ESTAB
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


@contextlib.contextmanager
def estab_serve(port: int, *options: str, nofile: int | None = None) -> Iterator[str]:
    """`estab serve` from when it says that it listens. Nobody connects to see: that would cost a port, or, where the
    port is in the range of connect(), may meet itself. Gives HOST:PORT.
    """
    command = [ESTAB, "serve", *(options or ("echo",)), "--listen", f"127.0.0.1:{port}"]
    if nofile is not None:
        command = ["/bin/sh", "-c", f'ulimit -n {nofile}; exec "$@"', "sh", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 20)[0], "estab serve said nothing"
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)
