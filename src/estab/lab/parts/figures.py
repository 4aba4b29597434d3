"""Figures that scenarios read off a run, and the sysctls that several of them set. Pure."""

from __future__ import annotations

from typing import TypeVar

from estab.errors import MachineError
from estab.kernel.rules import accept_queue, burst
from estab.lab.parts.running_kernel import KERNEL
from estab.lab.stage.setup import Sysctls
from estab.lab.wire.spec import WireReport
from estab.records import RunResult

MSS = 1448  # bytes of data in a full segment on the wire: MTU 1500, timestamps on
Predicted = TypeVar("Predicted")


def failed(run: RunResult, *errnos: str) -> int:
    """Failures with one of these errnos, at whatever phase."""
    return sum(failure.count for failure in run.failures if failure.errno in errnos)


def connected_after(run: RunResult) -> int:
    """Whether the one connect that may follow a run was made too: the server and the wire count it with the others."""
    after = run.connect_after
    return int(after is not None and after.errno is None)


def connected_or(run: RunResult, errno: str) -> dict[str, int]:
    """How many connected, and how many of them did or failed with that errno: all, where nothing else went wrong."""
    connected = run.funnel.connected
    return {"connected": connected, f"connected + {errno}": connected + failed(run, errno)}


def moved(run: RunResult, counter: str) -> int | None:
    """By how much a counter of the server's namespace rose, as `ListenOverflows`."""
    return run.server.rose(f"TcpExt.{counter}")


def queue_sysctls(somaxconn: int, cookies: int, max_syn_backlog: int = 2048, **more: int) -> Sysctls:
    """The sysctls that rule a listener's queues; `more` of `net.ipv4` beside them."""
    return (
        ("net.core.somaxconn", somaxconn),
        ("net.ipv4.tcp_syncookies", cookies),
        ("net.ipv4.tcp_max_syn_backlog", max_syn_backlog),
        *((f"net.ipv4.{name}", value) for name, value in more.items()),
    )


def predicted_burst(
    clients: burst.Clients, at_s: float | None, *, backlog: int, somaxconn: int, cookies: int,
    max_syn_backlog: int = 2048, abort: int = 0, accepts_from_s: float = 0.0, accepts_per_s: float | None = 0.0,
) -> burst.Prediction:  # fmt: skip
    """What `burst.predict` says of a listener that listen(backlog) made on the kernel that runs here."""
    server = burst.Server(
        limit=accept_queue.granted(backlog, somaxconn),
        tcp_syncookies=cookies,
        tcp_max_syn_backlog=max_syn_backlog,
        tcp_abort_on_overflow=abort,
        accepts_from_s=accepts_from_s,
        accepts_per_s=accepts_per_s,
        kernel=KERNEL,
    )
    predicted = burst.predict(clients, server, at_s)
    return known(predicted)


def known(prediction: Predicted | None) -> Predicted:
    """What a rule says; raises MachineError where it has no answer for the kernel that runs here."""
    if prediction is None:
        raise MachineError(
            f"kernel {KERNEL} does not say its patch level, and how many a queue of this kernel holds depends on it "
            "(docs/kernel.md rule 9): run this on a kernel whose `uname -r`, `uname -v` or /proc/version_signature does"
        )
    return prediction


def segments(size: int) -> tuple[int, ...]:
    """The data segments of one write of `size` bytes."""
    return tuple(min(MSS, size - start) for start in range(0, size, MSS))


def lost_on_the_way(report: WireReport) -> dict[str, int]:
    """Of the connections none of whose SYNs reached the server: how many, and their SYNs at both ends of the wire."""
    stranded = report.stranded()
    return {
        "lost on the way": len({syn.source_port for syn in stranded}),
        "SYNs of those that left": len(stranded),
        "SYNs of those that arrived": sum(syn.arrived for syn in stranded),
    }
