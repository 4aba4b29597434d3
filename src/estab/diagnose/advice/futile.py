"""What does nothing, as remedies: the kernel's reason comes from `kernel/rules/do_nothing.py`, the command from here."""

from __future__ import annotations

from estab.kernel.rules.do_nothing import Id, futile
from estab.records import Remedy


def does_nothing(which: Id, command: str, before: str = "") -> Remedy:
    """The entry `which` as a remedy that does not work; `before` is what this run adds in front of the reason."""
    why = f"{before}{futile(which).why}."
    return Remedy(command=command, works=False, why=why[0].upper() + why[1:])
