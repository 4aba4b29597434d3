"""`estab man`: the manual page, made from the commands' own help."""

from __future__ import annotations

import sys

from estab.cli.show import OK


def man() -> int:
    """Print the manual page, estab(1), as roff: every command and option, from their own help.

    Example: estab man | man -l -
    """
    from estab.cli.manpage import page

    sys.stdout.write(page())
    return OK
