"""The worker process: takes one order on its standard input, runs one engine, and is gone.

It imports as little as it can: it stands in every run's start. The order is 4 bytes of length and that much of
`marshal`, which is built into the interpreter that both ends are; what follows on the same pipe is for the engine: `g`
go, `c` close, and the end of the pipe, which says that the parent has stopped or died, so that no worker outlives it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` is made of; that one imports enum besides
import marshal
import os
import sys

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from types import ModuleType

CONTROL_FD = 0


def _read_exactly(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(fd, size - len(data))
        if not piece:
            raise SystemExit(0)  # the parent is gone before it said anything
        data += piece
    return data


def _engine(name: str) -> ModuleType:
    if name == "python":
        from estab.load import pyengine

        return pyengine
    from estab import _engine

    return _engine


def main() -> None:
    """Runs the order that stands on standard input. Exit status: 0, or 1 with one line on stderr."""
    _engine("c").die_with_parent()
    # A terminal's Ctrl-C and a SIGTERM to the process group reach us too; the parent decides, and the pipe tells us.
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)
    size = int.from_bytes(_read_exactly(CONTROL_FD, 4), "little")
    order = marshal.loads(_read_exactly(CONTROL_FD, size))
    engine = _engine(order["engine"])
    run = engine.run_client if order["role"] == "client" else engine.run_server
    try:
        run(order["block_fd"], CONTROL_FD, order["config"])
    except OSError as error:
        print(f"{order['role']} worker could not start: {error.strerror or error}", file=sys.stderr)
        raise SystemExit(1) from None
    os._exit(0)  # its block says all; to take the interpreter down properly would only take time
