"""`Program`: whose connections a run saw, where they were a program's own and no load of estab's."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.failure import Failure
from estab.records.snapshot import Process
from estab.records.stalls import PeerLook


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


class ProgramAccepts(Record, frozen=True, kw_only=True):
    """What a program accepted. `listener`: address and port, or `unix:/path`; `unix`: one that no look met.

    None: closed before it could be looked at.
    """

    listener: str | None
    accepted: int = 0
    failures: list[Failure] = []


class UnixQueue(Record, frozen=True, kw_only=True):
    """A UNIX socket that listens beside a program, or beside a load's server, and its accept queue, as looks showed it.

    `address`: `unix:/path`, or `unix:@name` of an abstract one. `limit` is B: B+1 fit (docs/kernel.md rule 31).
    `full_looks` of `looks` found it full; `full_before`: so it was before the run began. `own`: one of the
    program's processes holds it. `owners`: who does; None: not seen.
    """

    address: str
    limit: int
    worst_depth: int
    looks: int
    full_looks: int
    full_before: bool = False
    own: bool = False
    owners: list[Process] | None = None


class UnixRefused(Record, frozen=True, kw_only=True):
    """Another process in the program's network namespace whose connects over UNIX sockets got EAGAIN, `count` times.

    `pid` None: it had ended before it could be looked at. Times count from the start of the run.
    """

    pid: int | None
    name: str | None
    count: int
    first_s: float | None = None
    last_s: float | None = None

    @property
    def words(self) -> str:
        """`nginx (pid 4711)`."""
        return "a process that is gone" if self.pid is None else f"{self.name or 'a process'} (pid {self.pid})"


class ProgramConnects(Record, frozen=True, kw_only=True):
    """All connects of a program, to whatever target; `failed` ones among them, and what had no outcome yet."""

    targets: int
    attempted: int
    connected: int
    failed: int


class ProgramCgroup(Record, frozen=True, kw_only=True):
    """What the cgroup of a program's processes did to it while it was watched; None: no such limit, or not readable.

    `cores`: its CPU quota. `throttled` of `periods` periods were used up early, for `throttled_us` in all.
    `pids_refused`: how often a process or thread was refused for `pids_max`. `oom_kills`: processes killed for
    `memory_max_bytes`.
    """

    cores: float | None = None
    periods: int | None = None
    throttled: int | None = None
    throttled_us: int | None = None
    pids_max: int | None = None
    pids_refused: int | None = None
    memory_max_bytes: int | None = None
    oom_kills: int | None = None


class ProgramThread(Record, frozen=True, kw_only=True):
    """A thread of a program while it was seen, for `seen_s`: it ran, and waited for a core that others had."""

    pid: int
    tid: int
    ran_s: float
    waited_s: float
    seen_s: float


class ProgramCpu(Record, frozen=True, kw_only=True):
    """What the processes of a program did with CPU while they were watched, all of their `threads` together.

    `ran_s`: on a core. `waited_s`: they could have run, and others had the cores. `busiest`: the thread that ran and
    waited longest. What a thread did between the last look at it and its end is not in them.

    Source: /proc/PID/task/TID/schedstat (`proc_pid_schedstat` in fs/proc/base.c).
    """

    threads: int
    ran_s: float
    waited_s: float
    busiest: ProgramThread | None = None


class Program(Record, frozen=True, kw_only=True):
    """Whose connections they were, and how they were seen.

    `name`: the command's file name, or what was asked for; never its arguments, which may hold secrets. `exit`: as a
    shell says it (128 and the signal); None: it was not waited for. `seen`: `sampled` (sockets ten times a second,
    and counters of the whole network namespace) or `traced` (each connect). `processes`: how many were seen;
    `left_running`: how many of them outlived it. `targets`: fullest first; `peers`: those that did not
    acknowledge what it sent again and again, each at the look that told most; `listens_on`: its own
    addresses and ports.
    Traced alone, else None: `connects` to all targets together; `accepts`, what it accepted; `bind_failures`, how
    bind() of its TCP sockets failed; `unix_connects`, how often it asked for a connection over a UNIX socket, and how
    that failed; `unix_refused`, who else found the accept queue of one full; `lost_events`, what did not fit the
    kernel's buffer. `unix_queues`: the UNIX sockets that listen in its network namespace and at which something waited,
    and its own, the fullest first; None: not seen. `why_sampled`: why it was not traced. `unseen`: what was not seen,
    and why. `cgroup`: None where none of its groups has a limit that is known. `cpu`: None where it was not seen, or
    the kernel does not count it.
    """

    name: str
    exit: int | None = None
    seen: str
    processes: int = 0
    left_running: int = 0
    looks: int = 0
    targets: list[ProgramTarget] = []
    peers: list[PeerLook] = []
    listens_on: list[str] = []
    connects: ProgramConnects | None = None
    accepts: list[ProgramAccepts] | None = None
    bind_failures: list[Failure] | None = None
    unix_connects: int | None = None
    unix_failures: list[Failure] | None = None
    unix_refused: list[UnixRefused] | None = None
    unix_queues: list[UnixQueue] | None = None
    lost_events: int | None = None
    why_sampled: str | None = None
    unseen: list[str] = []
    cgroup: ProgramCgroup | None = None
    cpu: ProgramCpu | None = None

    @property
    def sampled(self) -> bool:
        """Whether only looks and counters tell, so that errnos are not known."""
        return self.seen != "traced"

    @property
    def failed_unseen(self) -> bool:
        """Whether it ended badly, and nothing that it did with TCP was seen, which is no proof that it did nothing."""
        return bool(self.exit) and self.sampled and not (self.targets or self.listens_on)
