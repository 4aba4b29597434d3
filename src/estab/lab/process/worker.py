"""The lab's own process, from within: it takes its order on standard input and says events, a line of JSON each.

It has one thread, so that it may fork. How it leaves the host, and how it ends, stands in `isolation`.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from estab.errors import EstabError
from estab.lab.process import linux
from estab.lab.process.isolation import Inside, isolate


def work(perform: Callable[[dict[str, Any], Inside], None]) -> None:
    """What `launch.run_worker` starts: carries the order out. Exit status 0 when all was said, whatever it was."""
    linux.die_with_parent(int(sys.argv[1]))
    # A terminal's Ctrl-C comes to who started it too, and he decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    try:
        perform(order, isolate())
    except EstabError as error:
        say({"error": [type(error).__name__, str(error)]})


def say(event: dict[str, Any]) -> None:
    """One event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
