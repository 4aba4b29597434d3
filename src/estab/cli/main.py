"""`estab`: the commands there are, and the entry, which imports nothing heavy before Ctrl-C is taken care of."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_INTERRUPTED = 130
COMMANDS = {
    "limits": "How many connections can I have: every limit from here to there, the first to be met first.",
    "serve": "Run a server to load: echo, sink or stall.",
    "bench": "Measure an echo server: requests a second, latency, and which limit was met.",
    "hold": "Open many connections, hold them, close them: how many can I have?",
    "churn": "Connect and close in a loop, as clients without a connection pool do.",
    "observe": "See what the kernel shows: listeners, sockets, counters and limits, as lines of JSON.",
    "watch": "Watch listeners live: queues that fill, drops, ports; record and replay.",
    "diagnose": "Judge recorded runs and snapshots, or this host now.",
    "report": "One self-contained HTML page of recorded runs: the verdict, its evidence, every plot behind it.",
    "compare": "Set two runs, or repeated runs, side by side: what differs, and is it more than noise?",
    "export": "Show listeners, limits and causes to Prometheus.",
    "cluster": "Ask the workers of a Dask cluster what they could generate; --cluster of a load runs it there.",
    "lab": "Reproduce failures in network namespaces: predicted, measured, judged, each remedy tried.",
    "completion": "Complete commands, options and names in bash, zsh or fish.",
    "man": "Print the manual page, estab(1).",
}


def run(arguments: Sequence[str] | None = None) -> None:
    """The command line's entry: exits with the code that the help names.

    From here on Ctrl-C ends the process with 130 and one line, whatever is being imported; a command that has something
    to show for it takes SIGINT over. Before, while Python itself starts, nobody can: it dies by the signal.
    """
    signal.signal(signal.SIGINT, _quit)
    from estab.cli.app import call

    code = call(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: what was done decides, not how Python ends
    sys.exit(code)


def _quit(_number: int, _frame: FrameType | None) -> None:
    # Not by an exception: what is imported may swallow it, or print it where nobody can catch it.
    try:
        os.write(2, b"estab: interrupted\n")
    finally:  # standard error may be closed
        os._exit(_INTERRUPTED)
