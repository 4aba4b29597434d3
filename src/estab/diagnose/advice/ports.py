"""More local ports: a wider range or more addresses; and what people try that the port search never asks."""

from __future__ import annotations

from estab.diagnose import local_ports
from estab.diagnose.advice import changes
from estab.records import Remedy, RunResult
from estab.words import plural

WIDEST = 65535 - 1024 + 1


def more_ports(run: RunResult) -> list[Remedy]:
    """What widens the room for connections, TIME_WAIT or not."""
    return [
        *_wider_range(run),
        Remedy(
            command="more source addresses at the client, or more addresses or ports at the server",
            works=True,
            changes=[changes.SOURCES],
            why="The range is used anew for each source address, destination address and destination port.",
        ),
    ]


def _wider_range(run: RunResult) -> list[Remedy]:
    use = run.client.port_use
    room = local_ports.capacity(use) if use else None
    if room is not None and room >= WIDEST * local_ports.FULL:
        return []
    now = "" if room is None else f" instead of {room:,}"
    why = f"{plural(WIDEST, 'port')} for each pair of addresses{now}. Counts at once."
    return [
        Remedy(
            command='sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
            works=True,
            changes=[changes.sysctl("net.ipv4.ip_local_port_range", "1024 65535", "client")],
            why=why,
        )
    ]


def does_nothing() -> list[Remedy]:
    """What people try against EADDRNOTAVAIL and what the port search never asks."""
    return [
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535",
            works=False,
            changes=[changes.queue()],
            why="No SYN was sent: the client found no port. The server's queue is not in it.",
        ),
        Remedy(
            command="ulimit -n 1048576",
            works=False,
            changes=[changes.nofile(1048576, "client")],
            why="The socket was had; it is the port that is missing. Too few descriptors give EMFILE.",
        ),
    ]
