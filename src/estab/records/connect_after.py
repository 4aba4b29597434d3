"""What one connect after a run gave: to its target, and to each address of the target's name."""

from __future__ import annotations

from estab.records.base import Record


class ConnectAfter(Record, frozen=True, kw_only=True):
    """One connect after the run, where data had been lost, or somebody on the way had said that it can't be delivered.

    `errno`: what it gave, `own_timeout` after `waited_s`; None: it connected. `said_by`: the address that an ICMP error
    came from, and `said`, what it says (`host unreachable`); None: none came, or the kernel tells nobody.
    """

    errno: str | None = None
    waited_s: float = 0.0
    said_by: str | None = None
    said: str | None = None


class NameAddress(Record, frozen=True, kw_only=True):
    """One of several addresses of the target's name, with the port, and what one connect to it gave after the run."""

    address: str
    connect: ConnectAfter
