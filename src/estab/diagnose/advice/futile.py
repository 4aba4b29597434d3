"""What does nothing, as remedies: the kernel's reason is `kernel/rules/do_nothing.py`'s, the command is ours."""

from __future__ import annotations

from estab.diagnose.advice import changes
from estab.kernel.rules.do_nothing import WHY, Id
from estab.records import Change, Remedy


def does_nothing(which: Id, command: str, before: str = "", *, changes: list[Change]) -> Remedy:
    """The entry `which` as a remedy that does not work; `before` is what this run adds in front of the reason.

    `changes` are what it does all the same: a twin that applies them shows that nothing comes of it.
    """
    reason = WHY[which]
    why = f"{before}{reason}." if before else f"{reason[0].upper()}{reason[1:]}."
    return Remedy(command=command, works=False, changes=changes, why=why)


def bigger_backlog(why: str) -> Remedy:
    """A longer accept queue: `why` says what kept connections from it, or what happened to them after it."""
    return Remedy(
        command="a bigger backlog, sysctl -w net.core.somaxconn=65535",
        works=False,
        changes=[changes.queue()],
        why=why,
    )


def longer_timeout(why: str) -> Remedy:
    """More time for the connect, and more SYNs within it: `why` says what each of them meets."""
    return Remedy(
        command="a longer connect timeout, more SYN retries",
        works=False,
        changes=[changes.LONGER_TIMEOUT],
        why=why,
    )
