"""What a setup is on the stage: the wire, the server's program, ports that others own. No judgement."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path as File
from typing import get_args

from estab.lab.process import links
from estab.lab.process.child import Child, say
from estab.lab.process.namespace import sysctl, veth
from estab.lab.stage import programs
from estab.lab.stage.firewall import drop_invalid, masquerade, nft, own_rule
from estab.lab.stage.hosts import CLIENT, DEAD, MAC, PORT, SERVER
from estab.lab.stage.scaling import PORT_RANGE
from estab.lab.stage.server import Foreign, IfFree, Nobody, ServerSpec
from estab.lab.stage.setup import Path, Setup
from estab.lab.stage.stage import Stage
from estab.lab.wire.spec import Filter, WireSpec
from estab.load.serving import Service

_PROGRAMS = File(programs.__file__).parent
_MOST_SYNS = 500_000
_OTHER_NETWORK = "198.51.100"
_OTHER_PORT = 443
_MOST_TAKEN = 64
_RP_FILTER = "net.ipv4.conf.all.rp_filter"
_IP_BIND_ADDRESS_NO_PORT = 24  # `include/uapi/linux/in.h`; not in Python 3.11


def wire(setup: Setup) -> WireSpec | None:
    """The wire between the hosts; None: there is none."""
    if setup.rtt_s is None:
        return None
    path = setup.path
    closed: Filter = next((kind for kind in get_args(Filter) if kind == path.closed), "none")
    return WireSpec(
        rtt_s=setup.rtt_s, loss=path.loss, filter=closed, lose_syns=lost_syns(setup), flows=path.flows,
        gather_syns=0 if setup.waiting else path.gather, syn_spread_s=path.syn_spread_s, members=path.members,
        most=path.most, largest=path.largest, syns_per_s=path.syns_per_s, syn_burst=path.syn_burst,
        forgets_s=path.forgets_s, forgotten=path.forgotten, ends_s=path.ends_s, spoils=path.spoils, strays=path.strays,
    )  # fmt: skip


def lost_syns(setup: Setup) -> frozenset[int]:
    """Which SYNs are lost, by number: first those of the connects, then those that are sent again, evenly spread."""
    path = setup.path
    if path.lost_share:
        every = max(1, round(1 / path.lost_share))
        return frozenset(range(every, _MOST_SYNS, every))
    numbers: set[int] = set()
    sent, many = 0, setup.load.connections
    for lost in path.lost:
        numbers |= {sent + (place + 1) * many // lost for place in range(min(lost, many))} if lost else set()
        sent, many = sent + many, min(lost, many)
    return frozenset(numbers)


def server(host: str, setup: Setup) -> ServerSpec:
    """What serves."""
    port = 0 if setup.unix else PORT
    if not setup.listens:
        return Nobody(host, port)
    closes = setup.load.size_bytes if setup.load.first_close == "server" else None
    programs: dict[str, tuple[float | str | None, ...]] = {
        "starved": (setup.burners,),
        "deferring": (setup.defer_s, -1 if closes is None else closes),
        "threaded": (setup.tasks,),
        "closing": setup.closes
        or ((None,) if setup.leaks is None else ("never" if setup.leaks else "after_client", 0)),
    }
    for name, words in programs.items():
        if words[0] is not None:
            return _program(name, host, setup, *words)
    service = Service(
        "echo" if setup.accepts else "stall", host, port, setup.backlog, setup.accept_delay_s, setup.processes, closes
    )
    return IfFree(service) if setup.taken else service


def _program(name: str, host: str, setup: Setup, *last: float | str | None) -> Foreign:
    words = [sys.executable, "-I", "-S", f"{_PROGRAMS / name}.py", host, PORT, setup.backlog, *last]
    return Foreign(" ".join(str(word) for word in words), host, PORT)


def sources(stage: Stage, setup: Setup) -> Sequence[str]:
    """As many addresses at the client as the load wants, put there where they are not."""
    many = setup.load.sources
    if setup.path.gap in ("way_back", "other_way"):
        addresses = _other_network(stage, max(1, many))
        if setup.path.gap == "other_way":
            _second_link(stage, strict=_RP_FILTER not in dict(setup.server))
        return addresses
    if many == 0:
        return ()
    if setup.rtt_s is None:
        return [f"127.0.0.{number}" for number in range(1, many + 1)]
    more = [f"10.77.0.{number}" for number in range(3, many + 2)]
    if more:
        with stage.client.entered():
            for address in more:
                links.add_address(address, 24, "eth0")
    return [CLIENT, *more]


def _other_network(stage: Stage, many: int) -> Sequence[str]:
    """Addresses of the client's in a network that the server has no route to."""
    with stage.server.entered():
        links.delete_route(links.Route())
    addresses = [f"{_OTHER_NETWORK}.{number}" for number in range(1, many + 1)]
    with stage.client.entered():
        for address in addresses:
            links.add_address(address, 32, "lo")
    return addresses


def _second_link(stage: Stage, *, strict: bool) -> None:
    """A link beside the wire, by which the server's route to that network leads; `strict`: its rp_filter is."""
    veth(stage.server, "eth1", stage.client, "eth1")
    with stage.client.entered():
        for which in ("all", "eth1"):  # the answers come by it, and are not to be dropped for that
            sysctl(f"net.ipv4.conf.{which}.rp_filter", 0)
    with stage.server.entered():
        sysctl("net.ipv4.conf.eth0.rp_filter", 0)
        if strict:
            sysctl(_RP_FILTER, 1)
        links.add_route(links.Route(f"{_OTHER_NETWORK}.0", 24, link="eth1", source=SERVER))


def _translation(path: Path) -> None:
    """The client's NAT, and what it does with what fits no flow."""
    if path.nat_ports is not None:
        nft(masquerade(path.nat_ports))
    if path.drops_invalid:
        nft(drop_invalid())
    if path.nat_forgets:
        sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", 1)


@contextlib.contextmanager
def surroundings(stage: Stage, setup: Setup) -> Iterator[None]:
    """What else is at the client while the block lasts: its own policy, and ports that another program owns."""
    if setup.mtu is not None and setup.rtt_s is not None:
        for host in (stage.client, stage.server):
            with host.entered():
                links.set_mtu("eth0", setup.mtu)
    if setup.path.dead_first:
        with stage.server.entered():
            links.add_address(DEAD, 24, "eth0")
        with stage.client.entered():
            links.add_neighbour(DEAD, MAC["server"], "eth0")
    with stage.client.entered():
        if setup.path.closed == "policy":
            links.add_route(links.Route(SERVER, 32, prohibited=True))
        if setup.path.closed in ("own_reject", "own_drop"):
            nft(own_rule("reject" if setup.path.closed == "own_reject" else "drop"))
        _translation(setup.path)
        if setup.path.gap == "neighbour":
            links.delete_neighbour(SERVER, "eth0")
    if setup.path.gap == "neighbour":
        with stage.server.entered():
            links.silence_arp("eth0")
    if setup.taken:
        with Child(lambda connection: _connect_from_all(stage.host, connection), stage.server) as other:
            other.receive()
            yield
        return
    if not setup.bound:
        yield
        return
    low = int(str(dict(setup.client).get(PORT_RANGE, "32768 60999")).split()[0])
    with Child(lambda connection: _own(low, setup, connection), stage.client) as owner:
        owner.receive()
        yield


def _connect_from_all(host: str, connection: Connection) -> None:
    """What a program of the server's host runs: it connects to a server there, from each port that connect() has."""
    with contextlib.ExitStack() as kept:
        server = kept.enter_context(socket.create_server((host, _OTHER_PORT), backlog=_MOST_TAKEN))
        for _ in range(_MOST_TAKEN):
            client = kept.enter_context(socket.socket())
            if client.connect_ex(server.getsockname()) == errno.EADDRNOTAVAIL:
                break
        say(connection, "connected")
        connection.recv()


def _own(low: int, setup: Setup, connection: Connection) -> None:
    """What the other program runs: it owns ports until it is killed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    free = (port for port in range(low, 65536) if port != PORT)
    with contextlib.ExitStack() as kept:
        for _, port in zip(range(setup.bound), free, strict=False):
            owner = kept.enter_context(socket.socket())
            owner.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, setup.bound_no_port)
            owner.bind(("0.0.0.0", 0 if setup.bound_no_port else port))
        say(connection, "bound")
        connection.recv()
