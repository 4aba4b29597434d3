"""`Program`: whose connections a run saw, where they were a program's own and no load of estab's."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.failure import Failure


class ProgramTarget(Record, frozen=True, kw_only=True):
    """An address and port that a program connected to, as looks at its sockets showed it; port 0: all beyond many.

    `most_open`: the most of its connections there at one look. `seen`: connections that a look met; shorter ones were
    not. `unanswered`: connects that were gone though their SYN had been sent again. `worst_resent`: how often a SYN, or
    data, was sent again at worst. Traced alone, else None: `attempted`, `connected` and `failures`, which are exact;
    RSTs on what had connected; packets sent again, SYNs and SYN-ACKs among them; the longest time after which the
    program itself gave a connect up.
    """

    address: str
    port: int
    most_open: int = 0
    seen: int = 0
    unanswered: int = 0
    worst_resent: int = 0
    attempted: int | None = None
    connected: int | None = None
    failures: list[Failure] | None = None
    resets_received: int | None = None
    resets_sent: int | None = None
    packets_resent: int | None = None
    worst_give_up_s: float | None = None


class Program(Record, frozen=True, kw_only=True):
    """Whose connections they were, and how they were seen.

    `name`: the command's file name, or what was asked for; never its arguments, which may hold secrets. `exit`: as a
    shell says it (128 and the signal); None: it was not waited for. `seen`: `sampled` (sockets ten times a second,
    and counters of the whole network namespace) or `traced` (each connect). `processes`: how many were seen;
    `left_running`: how many of them outlived it. `targets`: fullest first; `listens_on`: its own addresses and ports.
    `lost_events`: traced alone, what did not fit the kernel's buffer. `why_sampled`: why it was not traced. `unseen`:
    what was not seen, and why.
    """

    name: str
    exit: int | None = None
    seen: str
    processes: int = 0
    left_running: int = 0
    looks: int = 0
    targets: list[ProgramTarget] = []
    listens_on: list[str] = []
    lost_events: int | None = None
    why_sampled: str | None = None
    unseen: list[str] = []

    @property
    def sampled(self) -> bool:
        """Whether only looks and counters tell, so that errnos are not known."""
        return self.seen != "traced"
