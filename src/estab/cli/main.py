"""`estab`: the entry, which imports nothing heavy before Ctrl-C is taken care of."""

from __future__ import annotations

import os
import signal
import sys

from estab import shortage

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_INTERRUPTED = 130
_MACHINE = 3  # as `MachineError` has it
_MOST_UNCOLLECTED = 50_000


def run(arguments: Sequence[str] | None = None) -> None:
    """The command line's entry: exits with the code that the help names.

    From here on Ctrl-C ends the process with 130 and one line, whatever is being imported; a command that has something
    to show for it takes SIGINT over. Before, while Python itself starts, nobody can: it dies by the signal.
    """
    signal.signal(signal.SIGINT, _quit)
    try:
        import gc

        gc.set_threshold(_MOST_UNCOLLECTED)  # what is imported stays: to look through it again and again finds nothing
        if shortage.memory_is_limited():
            import logging

            logging.disable()  # hashlib logs a traceback for each hash whose library finds no memory
        from estab.cli.app import call

        code = call(sys.argv[1:] if arguments is None else arguments)
    except Exception as error:  # before `call` could catch it, or while it did
        said = shortage.explain(error)
        if said is None:
            raise
        os.write(2, f"estab: {said}\n".encode())
        code = _MACHINE
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: what was done decides, not how Python ends
    sys.exit(code)


def _quit(_number: int, _frame: FrameType | None) -> None:
    # Not by an exception: what is imported may swallow it, or print it where nobody can catch it.
    try:
        os.write(2, b"estab: interrupted\n")
    finally:  # standard error may be closed
        os._exit(_INTERRUPTED)
