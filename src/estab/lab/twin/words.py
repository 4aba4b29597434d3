"""What a twin is made of, in words. Pure."""

from __future__ import annotations

from estab.lab.stage.setup import Closed, Gap, LoadSpec, Path, Setup
from estab.report.words import count, seconds
from estab.words import plural

_CLOSED: dict[Closed, str] = {
    "drop": "a filter drops every SYN",
    "reset": "a filter resets every SYN",
    "unreachable": "a filter answers port unreachable",
    "prohibited": "a filter answers administratively prohibited",
    "policy": "a route at the client prohibits the target",
    "own_reject": "a rule at the client rejects what it sends to the target",
    "own_drop": "a rule at the client drops what it sends to the target",
}
_GAP: dict[Gap, str] = {
    "neighbour": "the server does not answer for its link address",
    "way_back": "the server has no route to the clients",
    "other_way": "the server's route to the clients leads by another interface, and its rp_filter is 1",
}


def built(setup: Setup) -> list[str]:
    """What was rebuilt."""
    wire = "both ends on one loopback, no wire" if setup.rtt_s is None else f"round-trip time {seconds(setup.rtt_s)}"
    wire = "a wire without delay" if setup.rtt_s == 0 else wire
    return [_load(setup.load), ", ".join([wire, *_path(setup.path)]), _server(setup), *_limits(setup)]


def _path(path: Path) -> list[str]:
    said = [_CLOSED[path.closed]] if path.closed != "none" else []
    if path.gap != "none":
        said.append(_GAP[path.gap])
    if path.members:
        said.append(f"one of {path.members} ways is dead")
    if path.nat_ports is not None:
        forgets = ", which it forgets a second after the close" if path.nat_forgets else ""
        said.append(f"the client masquerades to {plural(path.nat_ports, 'port')}{forgets}")
    if path.largest is not None:
        said.append(f"loses IP packets of more than {plural(path.largest, 'byte')}")
    if path.syns_per_s is not None:
        said.append(f"lets {path.syns_per_s:,.3g} SYNs a second pass after {count(path.syn_burst)} at once")
    said += _dead(path)
    said += _changed(path)
    if path.lost:
        said.append("loses the first SYN of " + ", then the next of ".join(count(lost) for lost in path.lost))
    if path.lost_share:
        said.append(f"loses {path.lost_share:.1%} of all SYNs")
    if path.flows is not None:
        said.append(f"a flow table of {count(path.flows)}")
    if path.gather:
        said.append(f"{count(path.gather)} SYNs come together")
    return said


def _dead(path: Path) -> list[str]:
    """What of it ends, is forgotten, or was never there."""
    said = ["has a name with two addresses, and nobody listens on the first"] if path.dead_first else []
    if path.ends_s is not None:
        said.append(f"carries nothing any more from {path.ends_s:g} s after the first connect on")
    if path.forgets_s is not None:
        then = "answers by RST what then comes of it" if path.forgotten == "reset" else "loses what then comes of it"
        said.append(f"forgets a flow that rests for {path.forgets_s:g} s, and {then}")
    return said


def _changed(path: Path) -> list[str]:
    """What is not as it was sent."""
    said = [] if path.spoils is None else [f"spoils the checksum of all that the {path.spoils} sends"]
    if path.strays:
        said.append("sends each client a segment from outside of the window")
    if path.drops_invalid:
        said.append("the client drops what fits no flow")
    return said


def _load(load: LoadSpec) -> str:
    said = f"{load.command}: {plural(load.connections, 'connection')}"
    if load.gaps_s:
        said += f" that rest for {', '.join(f'{gap_s:g}' for gap_s in load.gaps_s)} s and ask again"
    elif load.command == "hold":
        said += f", {count(load.in_flight)} under way at once"
        said += "" if load.ramp_per_s is None else f", {count(load.ramp_per_s)} a second"
    elif load.command == "bench":
        said += f", {load.mode}, {plural(load.size_bytes, 'byte')}"
    else:
        said += f", the {load.first_close} closes" + (" by RST" if load.reset else "")
    waits = f"timeout {load.timeout_s:g} s" if load.timeout_s else "the kernel's own timeout"
    return f"{said}, {load.duration_s:g} s, {waits}"


def _server(setup: Setup) -> str:
    if not setup.listens:
        return "nobody listens"
    if setup.taken:
        return "another program of its host has its port by connect()"
    granted = setup.backlog if setup.somaxconn is None else min(setup.backlog, setup.somaxconn)
    said = f"listen({setup.backlog}), {count(granted)} granted"
    said += "" if setup.somaxconn is None else f" (somaxconn {setup.somaxconn})"
    return said + ", " + _accepting(setup)


def _accepting(setup: Setup) -> str:
    ways = {
        f"{plural(setup.burners or 0, 'thread takes', 'threads take')} its CPU": setup.burners,
        f"TCP_DEFER_ACCEPT {setup.defer_s} s": setup.defer_s,
        "what its clients closed is never closed": setup.leaks,
        f"a thread for each connection, {setup.tasks or 0:,} in all": setup.tasks,
        _closing(setup): setup.closes,
        f"{setup.stuck:,} of its {setup.processes:,} listeners {_never(setup.stuck)}": setup.stuck,
        "accept() is never called": not setup.accepts,
        f"accept() stands still after {setup.stops_after_s or 0:.1f} s": setup.stops_after_s is not None,
        f"accept() stands still from {_spans(setup.pauses)}": setup.pauses,
        f"{1 / (setup.accept_delay_s or 1):.3g} accepts a second": setup.accept_delay_s,
    }
    return next((said for said, holds in ways.items() if holds), "accepts at once")


def _never(stuck: int) -> str:
    return "is never emptied" if stuck == 1 else "are never emptied"


def _closing(setup: Setup) -> str:
    which, figure = setup.closes or ("over", 0)
    ways = {
        "over": f"keeps {figure:,.0f} connections, and closes what comes beyond",
        "unread": f"reads {plural(round(figure), 'byte')}, and closes",
        "idle": f"closes what was silent for {figure:.1f} s",
        "dies": f"ends {figure:.1f} s after its first accept",
        "no_backend": "is a proxy whose backend's port is closed",
    }
    return ways[which]


def _spans(pauses: tuple[tuple[float, float], ...]) -> str:
    return " and ".join(f"{start:.2f} to {end:.2f} s" for start, end in pauses)


def _limits(setup: Setup) -> list[str]:
    client, server = dict(setup.client), dict(setup.server)
    said = []
    if client or server:
        told = [("tcp_syncookies", server), ("tcp_max_syn_backlog", server), ("tcp_tw_reuse", client)]
        told.append(("ip_local_port_range", client))
        shown = [f"{name}={there[f'net.ipv4.{name}']}" for name, there in told if f"net.ipv4.{name}" in there]
        names = len(client.keys() | server.keys())
        said.append(
            f"{plural(names, 'sysctl')} of the record, among them {', '.join(shown)}"
            if shown
            else plural(names, "sysctl")
        )
    if setup.bound:
        said.append(f"{plural(setup.bound, 'port')} of the range owned by another program")
    limits = (("client", setup.client_nofile), ("server", setup.server_nofile))
    told_limits = [f"{count(limit)} for the {who}" for who, limit in limits if limit is not None]
    return [*said, f"descriptors a process: {', '.join(told_limits)}"] if told_limits else said
