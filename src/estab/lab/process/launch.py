"""Starts a process of the lab's own, gives it its order, and hears what it says until it ends.

The process leaves the host (`isolation`), and with it goes every namespace. Its side is `worker`.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Callable
from typing import Any

from estab import errors, interpreter, shortage
from estab.errors import EstabError, MachineError
from estab.load.conductor import Stop

Event = dict[str, Any]
_ENDS_WITHIN_S = 10.0


def run_worker(module: str, order: dict[str, Any], hear: Callable[[Event], bool], stop: Stop | None) -> bool:
    """Runs `main()` of a module in a process of its own, which takes the order; `hear` is given each event it says.

    It is ended at once where `hear` returns True. Returns True when it was interrupted. The process is gone at the end,
    and with it every namespace. Raises MachineError where it fails, and what it says that it could not go on from.
    """
    process = subprocess.Popen(
        interpreter.command(module, str(os.getpid())),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stderr
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        ended = _listen(process, hear, stop)
        if ended == "hung up" and process.wait() != 0:
            last = " ".join(process.stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:])
            why = f"the lab's process ended with status {process.returncode}: {last}"
            raise MachineError(shortage.explain_words(last) or why)
        return ended == "interrupted"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Hangs up, on which the keeper ends all that is inside, and returns when that is done."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.close()
    try:
        process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    process.stderr.close()


def _listen(process: subprocess.Popen[bytes], hear: Callable[[Event], bool], stop: Stop | None) -> str:
    """Why it ended: "interrupted", "left" (nobody listens any more), "hung up" (the process has)."""
    assert process.stdout
    pipe = process.stdout.fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if stop is not None:
        poll.register(stop.fileno(), select.POLLIN)
    rest = b""
    while True:
        try:
            ready = [fd for fd, _ in poll.poll()]
        except KeyboardInterrupt:
            return "interrupted"
        if stop is not None and stop.is_set:
            return "interrupted"
        if pipe not in ready:
            continue
        chunk = os.read(pipe, 65536)
        if not chunk:
            return "hung up"
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if hear(_checked(json.loads(line))):
                return "left"


def _checked(event: Event) -> Event:
    """Raises the error that an event brings."""
    if "error" not in event:
        return event
    name, message = event["error"]
    kind = getattr(errors, name, MachineError)
    raise kind(message) if issubclass(kind, EstabError) else MachineError(message)
