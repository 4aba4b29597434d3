"""What proves that a situation came about: each function gives a Proof that asks the Evidence."""

from __future__ import annotations

import re

from tests.field.evidence import Evidence, Listener, Look
from tests.field.situation import PORT, Proof

INFINITE = 10**12


def counted(name: str, at_least: int = 1, at_most: int = INFINITE, *, at: str = "server") -> Proof:
    """nstat's counter rose by so much, as TcpExtListenOverflows."""
    return Proof(
        f"{name} at the {at} rose by {_bounds(at_least, at_most)}",
        lambda evidence: at_least <= evidence.counters[at].get(name, 0) <= at_most,
    )


def ruled(name: str, at_least: int = 1, *, at: str = "router") -> Proof:
    """A named counter of the place's nft ruleset counted so many packets."""
    return Proof(
        f"nft's counter {name} at the {at} is {at_least} at least",
        lambda evidence: evidence.rules[at].get(name, 0) >= at_least,
    )


def tracked(name: str, at_least: int = 1, *, at: str = "router") -> Proof:
    """A column of /proc/net/stat/nf_conntrack rose by so much."""
    return Proof(
        f"conntrack's {name} at the {at} rose by {at_least} at least",
        lambda evidence: evidence.conntrack[at].get(name, 0) >= at_least,
    )


def logged(pattern: str, at_least: int = 1, at_most: int = INFINITE, *, program: str = "server") -> Proof:
    """So many lines of the program's log match."""
    return Proof(
        f"{_bounds(at_least, at_most)} lines of {program}'s log match {pattern!r}",
        lambda evidence: at_least <= len(re.findall(pattern, evidence.logs[program], re.MULTILINE)) <= at_most,
    )


def accepted(at_least: int, at_most: int | None = None, *, program: str = "server") -> Proof:
    """Our small servers write a line for each connection that they accepted; exactly so many without `at_most`."""
    return logged(r"^accepted", at_least, at_least if at_most is None else at_most, program=program)


def accepted_some(at_least: int, *, program: str = "server") -> Proof:
    """So many or more."""
    return accepted(at_least, INFINITE, program=program)


def waiting(at_least: int, *, port: int = PORT, at: str = "server") -> Proof:
    """ss saw so many wait in the accept queue at once."""
    return Proof(
        f"{at_least} at least waited in the accept queue of :{port}",
        lambda evidence: max((_fullest(look, port).waiting for look in evidence.looks[at]), default=0) >= at_least,
    )


def queue_full(*, port: int = PORT, at: str = "server") -> Proof:
    """ss saw as many wait in the accept queue as its backlog allows, or one more."""

    def holds(evidence: Evidence) -> bool:
        listeners = (each for look in evidence.looks[at] for each in look.listeners.get(port, ()))
        return any(each.waiting >= max(each.backlog, 1) for each in listeners)

    return Proof(f"the accept queue of :{port} was full", holds)


def unix_queue_full() -> Proof:
    """ss saw as many wait at a UNIX socket as its backlog allows, and one more."""

    def holds(evidence: Evidence) -> bool:
        return any(
            each.waiting > each.backlog for looks in evidence.looks.values() for look in looks for each in look.unix
        )

    return Proof("the accept queue of a UNIX socket was full", holds)


def queue_empty(*, port: int = PORT, at: str = "server") -> Proof:
    """At the last look nobody waited in the accept queue, and nothing overflowed."""

    def holds(evidence: Evidence) -> bool:
        looks = evidence.looks[at]
        return bool(looks) and _fullest(looks[-1], port).waiting == 0

    return Proof(f"nobody waited in the accept queue of :{port} at the end", holds)


def queue_flat(for_s: float = 1.0, *, port: int = PORT, at: str = "server") -> Proof:
    """ss saw the accept queue above 0 and unchanged for so long: nobody accepted, whatever came."""

    def holds(evidence: Evidence) -> bool:
        since, depth, longest = 0.0, 0, 0.0
        for look in evidence.looks[at]:
            waiting_now = _fullest(look, port).waiting
            if waiting_now != depth:
                since, depth = look.at_s, waiting_now
            if depth:
                longest = max(longest, look.at_s - since)
        return longest >= for_s

    return Proof(f"the accept queue of :{port} stood still above 0 for {for_s:g} s", holds)


def sockets(state: str, at_least: int = 1, at_most: int = INFINITE, *, at: str = "server") -> Proof:
    """ss saw so many sockets in this state at once: the server's at its port, the client's towards it."""

    def most(looks: list[Look]) -> int:
        return max(((look.ours if at == "server" else look.theirs).get(state, 0) for look in looks), default=0)

    return Proof(
        f"{_bounds(at_least, at_most)} sockets of the {at} in {state} at most",
        lambda evidence: at_least <= most(evidence.looks[at]) <= at_most,
    )


def starved(program: str = "server", times: float = 1.0) -> Proof:
    """The program waited for its core longer than it ran on it, as its /proc/PID/schedstat counts."""
    return Proof(
        f"{program} waited for a core longer than {times:g} times as long as it ran",
        lambda evidence: evidence.turns[program].waited_s > times * evidence.turns[program].ran_s,
    )


def throttled(at_least: int = 5, at_most: int = INFINITE, *, program: str = "server") -> Proof:
    """So many periods of the CPU quota of the program's cgroup were used up before they ended."""
    return Proof(
        f"the CPU quota of {program} stopped it in {_bounds(at_least, at_most)} periods",
        lambda evidence: at_least <= evidence.cgroups[program].get("nr_throttled", 0) <= at_most,
    )


def refused_tasks(at_least: int = 1, at_most: int = INFINITE, *, program: str = "server") -> Proof:
    """The kernel refused the program's cgroup so many processes or threads."""
    return Proof(
        f"{_bounds(at_least, at_most)} processes or threads were refused to {program}",
        lambda evidence: at_least <= evidence.cgroups[program].get("max", 0) <= at_most,
    )


def had_its_core(program: str = "server", waited_s: float = 0.2) -> Proof:
    """The program hardly waited for a core, whatever else runs on this machine."""
    return Proof(
        f"{program} waited for a core for {waited_s:g} s at most",
        lambda evidence: evidence.turns[program].waited_s <= waited_s,
    )


def busy(program: str = "server", share: float = 0.5) -> Proof:
    """The program ran, or waited for its core, for such a share of the time: its one thread has none left."""
    return Proof(
        f"{program} had {share:.0%} of its time taken",
        lambda evidence: evidence.turns[program].ran_s + evidence.turns[program].waited_s > share * evidence.seconds,
    )


def calm(*, at: str = "server") -> tuple[Proof, ...]:
    """Nothing was dropped, refused, reset for lack of anything: what a healthy situation must show."""
    return (
        counted("TcpExtListenOverflows", 0, 0, at=at),
        counted("TcpExtListenDrops", 0, 0, at=at),
        counted("TcpExtTCPReqQFullDrop", 0, 0, at=at),
        counted("TcpExtTCPTimeouts", 0, 0, at=at),
    )


def _fullest(look: Look, port: int) -> Listener:
    return max(look.listeners.get(port, ()), key=lambda listener: listener.waiting, default=Listener(0, 0))


def _bounds(at_least: int, at_most: int) -> str:
    if at_most == INFINITE:
        return f"{at_least} or more"
    return f"{at_least}" if at_least == at_most else f"{at_least} to {at_most}"
