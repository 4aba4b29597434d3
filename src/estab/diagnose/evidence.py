"""One fact of a verdict, in the shapes that suspects share. No verdict is made here."""

from __future__ import annotations

from estab.diagnose import facts
from estab.records import Evidence, ListenerWatch, RunResult
from estab.words import places, plural

NETSTAT = "/proc/net/netstat"
SNMP = "/proc/net/snmp"
BETWEEN_LOOKS = "between the two looks"


def measured(source: str, field: str, value: float | str | None, text: str, threshold: float | None = 0) -> Evidence:
    """A value against its threshold. `threshold` None: it stands for itself."""
    return Evidence(source=source, field=field, value=value, threshold=threshold, text=text)


def unknown(source: str, field: str, text: str) -> Evidence:
    """What was not observed, or what only words can tell."""
    return Evidence(source=source, field=field, text=text)


def listener_unseen(run: RunResult) -> Evidence:
    """That the listener was not observed, and why."""
    return unknown("sock_diag", "listener", f"not observed: {facts.why_unseen(run)}")


def during(run: RunResult) -> str:
    """When what a run counted rose, in words: of two looks at a host it is the time between them."""
    return BETWEEN_LOOKS if run.command == "observe" else "within the run"


def counter(name: str, delta: int | None, means: str = "", when: str = BETWEEN_LOOKS) -> Evidence:
    """How much a counter of the server's namespace rose, against 0; `means` says what the kernel counts by it."""
    short = name.partition(".")[2]
    if delta is None:
        text = f"{short} was not observed at the server"
    else:
        text = f"{short} rose by {delta:,} {when}" + (f": {means}" if means else "")
    return measured(NETSTAT if name.startswith("TcpExt.") else SNMP, name, delta, text)


def server_counter(run: RunResult, name: str, means: str = "") -> Evidence:
    """`counter`, as the run counted it."""
    return counter(name, run.server.rose(name), means, during(run))


def connect_timeouts(run: RunResult) -> Evidence:
    """Connects that timed out, of how many."""
    lost = facts.connect_timeouts(run)
    text = f"{lost:,} of {plural(run.funnel.attempted, 'connect')} timed out"
    return measured("failures", "connect ETIMEDOUT, own_timeout", lost, text)


def packets_lost(run: RunResult) -> Evidence:
    """Connections that lost a packet."""
    text = f"{plural(facts.packets_lost(run), 'connection')} timed out, got no answer, or connected after a second SYN"
    return measured("failures", "ETIMEDOUT, own_timeout, SYN sent again", facts.packets_lost(run), text)


def worst_depth(watch: ListenerWatch, more: str = "") -> Evidence:
    """How many of the queue's places were used at worst: it is full where all are."""
    room = facts.room(watch)
    text = f"the queue had {places(watch.worst_depth, room)} in use at worst{more}"
    return measured("sock_diag", "worst_depth", watch.worst_depth, text, room)


def sent_again(connects: int) -> str:
    """That so many connects were not answered at once, in words."""
    return plural(connects, "connect had to send its SYN again", "connects had to send their SYN again")


def sysctl(name: str, value: int | None, says: str = "") -> Evidence:
    """A sysctl as it stood before the run."""
    stands = "was not observed" if value is None else f"is {value:,}"
    return measured("/proc/sys", name, value, f"{name} {stands}{says}", None)
