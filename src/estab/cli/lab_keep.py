"""`estab lab run NAME --keep`: what stands is shown, and stands until Enter or Ctrl-C."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

from estab.errors import UsageError
from estab.load.conductor import Stop

if TYPE_CHECKING:
    from rich.console import Console

    from estab.cli.live_block import Draw
    from estab.records.lab import LabInside


def check(names: tuple[str, ...]) -> None:
    """Raises UsageError where nobody could leave again, or where it is not one scenario."""
    if len(names) != 1 or "all" in names:
        raise UsageError("--keep stays in one scenario: name one, as estab lab run cookie_reset --keep")
    if not sys.stdin.isatty():
        raise UsageError("--keep stays until Enter is pressed: standard input must be a terminal; leave out --keep")


def waiting(console: Console, stop: Stop, draw: Draw) -> Callable[[LabInside], None]:
    """What is called when the hosts stand: shows how to enter them and returns when the user leaves."""

    def inside(hosts: LabInside) -> None:
        from estab.report.lab_inside import render_inside

        draw([])
        render_inside(hosts, console)
        console.print("Enter or Ctrl-C leaves, and all of it is gone.", style="bold")
        sys.stdout.flush()
        termios.tcflush(0, termios.TCIFLUSH)  # an Enter from before was not meant for this
        if 0 in select.select([0, stop.fileno()], [], [])[0]:
            os.read(0, 4096)

    return inside
