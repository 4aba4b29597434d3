"""Answers and worlds that several entries share."""

from __future__ import annotations

from typing import Any

from tests.field.situation import Figure, Truth, World, due

ONE = World()
WIRE = World(shape="wire")
ROUTED = World(shape="routed")

# Either is right: which of them it is shows only when a connection closes, and one more is accepted or is not.
STOPPED = ("server_not_accepting", "server_connection_limit")
# A longer queue keeps more waiting, for nobody. (That accept() must be called, and a queue for a burst beside it, is no
# harm.)
LONGER_QUEUE = (r"^(?!call accept\(\)).*(listen\(\d|backlog|somaxconn)",)
DESCRIPTORS = (r"nofile", r"ulimit")
NOTHING_OF_THE_QUEUE = (*LONGER_QUEUE, *DESCRIPTORS)
PATH_LOSS = ("path_filtered", "path_syn_loss")

# As nftables matches them.
SYN = "tcp flags & (syn|ack) == syn"
SYN_ACK = "tcp flags & (syn|ack) == (syn|ack)"


def stopped(completed: int, **more: Any) -> Truth:
    """Nobody accepts any more: what waits in the queue for ever was not completed."""
    figures = (Figure(path="funnel.completed", at_most=completed),)
    return due(*STOPPED, harmful=LONGER_QUEUE, figures=figures, **more)


def program_limit(**more: Any) -> Truth:
    """The program has no more than so many at once: nothing of the kernel's mends that."""
    return due("server_connection_limit", harmful=NOTHING_OF_THE_QUEUE, **more)


def filtered(match: str, verdict: str = "drop", *, hook: str = "forward", before: str = "") -> str:
    """A ruleset that counts what matches as "met", and does `verdict` with it. `before` stands in the table first."""
    return (
        f"table inet field {{ counter met {{ }}\n{before}\n"
        f"chain passing {{ type filter hook {hook} priority 0; policy accept;\n"
        f"{match} counter name met {verdict}\n}}\n}}"
    )


def masqueraded(ports: str) -> str:
    """A ruleset by which all that leaves gets the host's address and one of these ports, as 20000-20010."""
    return (
        "table ip field { chain leaving { type nat hook postrouting priority srcnat; policy accept;\n"
        f"meta l4proto tcp masquerade to :{ports}\n}}\n}}"
    )


def routed(match: str, verdict: str = "drop", **sysctls: int) -> World:
    """Two hosts and a router that does `verdict` with what matches; `sysctls` are its own, below net.ipv4."""
    settings = {f"net.ipv4.{name}": value for name, value in sysctls.items()}
    return World(shape="routed", nft={"router": filtered(match, verdict)}, sysctls={"router": settings})
