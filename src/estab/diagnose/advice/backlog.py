"""A bigger accept queue: which of somaxconn and the program's own backlog cuts it, and whether more would help.

Source: `__sys_listen_socket` (net/socket.c): B = min((unsigned)backlog, somaxconn), fixed when listen() is called.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes, programs
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.overload import delay_s, outrun, perhaps_in_bursts
from estab.diagnose.rates import queue_rates
from estab.kernel.rules.do_nothing import Id
from estab.records import ListenerWatch, Remedy, RunResult
from estab.words import plural

SOMAXCONN = "net.core.somaxconn"


def backlog_remedies(run: RunResult) -> list[Remedy]:
    """What mends an accept queue that overflowed, then what does nothing about it."""
    watch = facts.listener(run)
    size = wanted_backlog(run, watch)
    remedies = [_accept_faster(run, watch, size), *_patience(run)]
    if watch is not None and size > watch.limit:
        # What mends for good stands first: a queue that is outrun overflows again however long it is.
        bigger = _bigger_queue(run, watch, size)
        remedies = bigger + remedies if outrun(run) is None else remedies + bigger
    elif watch is None:
        remedies.insert(0, _look())
    return remedies + _does_nothing(run, watch)


def wanted_backlog(run: RunResult, watch: ListenerWatch | None) -> int:
    """A backlog that holds everything that was asked for at once: a power of two, at least four times the present."""
    together = facts.asked_connections(run) or run.funnel.attempted
    floor = max(together, 4 * watch.limit if watch else 0, 128)
    return min(1 << max(0, floor - 1).bit_length(), 65536) if floor <= 65536 else 65536


def delay_text(run: RunResult, limit: int, size: int) -> str | None:
    """By how many seconds a backlog of `size` delays the overflow: (B' - B) / (arrival - accept rate), or None."""
    rates, delay = queue_rates(run), delay_s(run, limit, size)
    if rates is None or delay is None:
        return None
    return (
        f"clients came at {rates.arrivals_per_s:,.0f}/s and {rates.accepts_per_s:,.0f}/s were accepted: "
        f"{size:,} instead of {limit:,} delays the overflow by {delay:,.1f} s, and no more"
    )


def _bigger_queue(run: RunResult, watch: ListenerWatch, size: int) -> list[Remedy]:
    works = outrun(run) is None
    delay = delay_text(run, watch.limit, size)
    note = f" But {delay}." if delay and works else ""
    if perhaps_in_bursts(run):
        note = f" It holds what comes between two times at which the program takes all that wait, if it does so.{note}"
    somaxconn = facts.server_sysctl(run, SOMAXCONN)
    remedies = []
    if somaxconn is None or size > somaxconn:
        stands = "was not observed" if somaxconn is None else f"is {somaxconn:,}"
        why = f"somaxconn {stands} and cuts every backlog above it, at listen(): raise it, then listen() anew."
        remedies.append(
            Remedy(
                command=f"sysctl -w {SOMAXCONN}={size}",
                works=works,
                changes=[changes.queue(size)],
                why=_or_delay(why, works, delay),
            )
        )
    for command, asks in program_commands(run, watch, size):
        why = f"{_what_cuts(run, watch, somaxconn)} {asks}".strip() + note
        longer = [changes.queue(size)]
        remedies.append(Remedy(command=command, works=works, changes=longer, why=_or_delay(why, works, delay)))
    return remedies


def _or_delay(why: str, works: bool, delay: str | None) -> str:
    return why if works else f"A bigger queue alone only waits longer: {delay or 'it fills again'}."


def _what_cuts(run: RunResult, watch: ListenerWatch, somaxconn: int | None) -> str:
    backlog = facts.asked(run, "backlog_asked")
    granted = f"{watch.limit:,} was granted"
    if somaxconn is None:
        return f"The limit is {watch.limit:,}; it is what the program asks for, cut to somaxconn."
    if watch.limit < somaxconn:
        return f"The program asked for only {watch.limit:,}; the kernel would allow {somaxconn:,}."
    if backlog is not None and backlog > somaxconn:
        return f"{backlog:,.0f} was asked for, {granted}: listen() has to be called again once somaxconn is raised."
    return f"{granted}, which is somaxconn: the new value counts only for a listen() made after it."


def program_commands(run: RunResult, watch: ListenerWatch, size: int) -> list[tuple[str, str]]:
    """The settings that raise the program's own backlog: that of the program we see, else the common ones."""
    if run.server.embedded:
        return [(f"--backlog {size}", "")]
    filled = [
        (program.backlog.at(size, watch.port), f"({program.name} asks for {program.backlog.default} by default.)")
        for program in programs.of(run.server.processes or ())
        if program.backlog is not None
    ]
    if filled:
        return filled
    somaxconn = facts.server_sysctl(run, SOMAXCONN)
    if somaxconn is not None and watch.limit >= somaxconn:
        why = "A Go server asks for somaxconn as it is at its start; others ask for a number."
        return [("restart the server", why)]
    usual = programs.usual(lambda program: program.backlog)
    called = "; ".join(f"{name}: {setting.shortly(size, watch.port)}" for name, setting in usual)
    return [(f"listen(fd, {size})", f"{called}.")]


def burst(run: RunResult) -> int | None:
    """Connects that come at once, before any of them can be accepted. None: not known; 0: they come one by one."""
    if facts.asked_rate(run) is not None:
        return 0
    known = [int(n) for n in (facts.asked(run, "in_flight"), facts.asked_connections(run)) if n is not None]
    return min(known, default=None)


def too_many_at_once(run: RunResult, watch: ListenerWatch | None) -> int | None:
    """The size of a burst that no accept(), however fast, keeps from filling this queue; None: there is none."""
    together = burst(run)
    return together if watch is not None and together is not None and together > facts.room(watch) else None


def _accept_faster(run: RunResult, watch: ListenerWatch | None, size: int) -> Remedy:
    rates = queue_rates(run)
    seen = ""
    if rates is not None:
        came = f" while {rates.arrivals_per_s:,.0f}/s came" if rates.accepts_per_s < rates.arrivals_per_s else ""
        seen = f"With connections waiting, {rates.accepts_per_s:,.0f}/s were accepted{came}. "
    command = "call accept() until EAGAIN in a thread of its own, or run several processes with SO_REUSEPORT"
    together = too_many_at_once(run, watch)
    if together is None or watch is None:
        why = f"{seen}The queue then holds only what comes between two accepts."
        return Remedy(command=command, works=True, changes=[changes.ACCEPT], why=why)
    why = (
        f"{seen}{plural(together, 'connect comes', 'connects come')} at once and "
        f"{plural(facts.room(watch), 'fits', 'fit')}: they fill it before any accept()."
    )
    return Remedy(
        command=f"{command}; together with a backlog of {size}",
        works=True,
        changes=[changes.ACCEPT, changes.queue(size)],
        why=f"{why} Faster accepts alone lose part of it.",
    )


def _patience(run: RunResult) -> list[Remedy]:
    """A connect timeout of a second or less ends before the first SYN retransmission (TCP_TIMEOUT_INIT, 1 s).

    Where clients are more than are accepted, a SYN that is sent again finds the queue full again.
    """
    timeout = facts.asked_timeout(run)
    if (
        timeout is None
        or timeout > 1
        or outrun(run) is not None
        or not facts.failed(run, ("connect",), ("own_timeout",))
    ):
        return []
    why = f"A dropped SYN is sent again after 1 s; a timeout of {timeout:g} s gives up before that."
    return [Remedy(command="--timeout 3", works=True, changes=[changes.timeout(3)], why=why)]


def _look() -> Remedy:
    return Remedy(
        command="nstat -az TcpExtListenOverflows; ss -ltn   # at the server, during the load",
        works=True,
        changes=[changes.LOOK],
        why="A counter that rises, and Recv-Q over Send-Q in the listener's line, mean a full queue.",
    )


def _does_nothing(run: RunResult, watch: ListenerWatch | None) -> list[Remedy]:
    cookies = facts.server_sysctl(run, "net.ipv4.tcp_syncookies")
    nothing = []
    if cookies != 0:
        stands = "" if cookies is None else f"tcp_syncookies is {cookies}: "
        nothing.append(_futile_sysctl("raise_tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog", 65536, stands))
    command = f"sysctl -w {SOMAXCONN}=65535, the server left running"
    nothing.append(does_nothing("raise_somaxconn_only", command, changes=[changes.late_sysctl(SOMAXCONN, 65535)]))
    somaxconn = facts.server_sysctl(run, SOMAXCONN)
    if watch is not None and somaxconn is not None and watch.limit >= somaxconn:
        stands, command = f"somaxconn is {somaxconn:,}: ", "a bigger backlog in the program alone"
        nothing.append(does_nothing("raise_backlog_only", command, stands, changes=[changes.backlog(65535)]))
    command = f"sysctl -w {SOMAXCONN}=65535 on the host, for a server in a container"
    other = changes.elsewhere("a host beside its container")
    nothing.append(does_nothing("host_somaxconn_for_container", command, changes=[other]))
    nothing.append(_futile_sysctl("tcp_abort_on_overflow", "net.ipv4.tcp_abort_on_overflow", 1))
    return nothing


def _futile_sysctl(which: Id, name: str, value: int, stands: str = "") -> Remedy:
    return does_nothing(which, f"sysctl -w {name}={value}", stands, changes=[changes.sysctl(name, value)])
