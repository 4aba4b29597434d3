"""What a few connects of their own told of a path, read for the suspects there. Pure; no verdict.

`telling` says which of these probes would tell what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from operator import ne

from estab.diagnose import facts
from estab.diagnose.evidence import measured
from estab.diagnose.syn_path import FEW
from estab.kernel.formats.endpoint import endpoint
from estab.records import ConnectTry, Evidence, OtherPort, PortTries, RunResult, SourcePorts
from estab.words import plural

_SOURCE = "a probe"
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_MOST_MEMBERS = 8
_OUT_OF_TURN = 1  # a SYN of somebody else takes a turn
_LOST_TOO = 2  # of connects to another port, that lost a SYN as well: where nothing is lost, none does


@dataclass(frozen=True)
class FromPorts:
    """The target asked from `tried` local ports: `silent` got no answer at first, `late` one to a later SYN.

    Of those that were tried again `still_silent` and `still_through` fared as before, `changed` otherwise. `after`:
    so many got through after the first that was silent, of `later`. `in_turn`: each so manieth lost its first SYN, and
    no other did; None: they do not follow such an order.
    """

    tried: int
    silent: int
    late: int
    still_silent: int
    still_through: int
    changed: int
    after: int
    later: int
    in_turn: int | None

    @property
    def by_flow(self) -> bool:
        """Whether the flow decides, and neither chance nor a number: each that was tried again fared as before."""
        interleaved = self.after * 10 > self.later
        return min(self.still_silent, self.still_through) >= FEW and not self.changed and interleaved

    @property
    def all_through(self) -> bool:
        """Whether each got through at its first SYN."""
        return self.tried > FEW and not self.silent and not self.late

    @property
    def by_chance(self) -> int:
        """How many lost a SYN that another got through, from the same port or at a second try."""
        return self.late + self.changed

    @property
    def share(self) -> float:
        """Of the ports, those without an answer: 0 to 1."""
        return self.silent / max(1, self.tried)


def from_ports(run: RunResult) -> FromPorts | None:
    """What the probe by source port told. None: it was not made."""
    made = run.probes.source_ports if run.probes is not None else None
    if made is None or not made.ports:
        return None
    first = [tried.tries[0] for tried in made.ports if tried.tries]
    began = next((number for number, outcome in enumerate(first) if outcome.silent), len(first))
    again = [tried for tried in made.ports if len(tried.tries) > 1]
    return FromPorts(
        tried=len(first),
        silent=sum(outcome.silent for outcome in first),
        late=sum(outcome.errno is None and bool(outcome.resent) for outcome in first),
        still_silent=sum(all(outcome.silent for outcome in tried.tries) for tried in again),
        still_through=sum(all(outcome.errno is None for outcome in tried.tries) for tried in again),
        changed=sum(_changed(tried) for tried in again),
        after=sum(outcome.errno is None for outcome in first[began:]),
        later=len(first) - began,
        in_turn=_in_turn(first),
    )


def _in_turn(first: Sequence[ConnectTry]) -> int | None:
    """The first SYNs of all leave before one is sent again, so that turns show in them as they are dealt out.

    Who takes them again when it is sent again, mostly gets through then.
    """
    lost = [outcome.silent or bool(outcome.resent) for outcome in first]
    if sum(outcome.silent for outcome in first) * 2 > sum(lost):
        return None
    for members in range(2, _MOST_MEMBERS + 1):
        for turn in range(members):
            dealt = [number % members == turn for number in range(len(lost))]
            if sum(dealt) > FEW and sum(map(ne, lost, dealt)) <= _OUT_OF_TURN:
                return members
    return None


def _changed(tried: PortTries) -> bool:
    return len({outcome.silent for outcome in tried.tries}) > 1


def ports_evidence(run: RunResult) -> list[Evidence]:
    """How the target fared from many local ports."""
    told = from_ports(run)
    if told is None:
        return []
    text = f"{told.silent:,} of {plural(told.tried, 'local port')} got no answer"
    if again := told.still_silent + told.still_through + told.changed:
        text += f"; of {again} that were tried again {told.changed or 'none'} fared otherwise"
    if told.late:
        text += f"; {told.late:,} got one to a later SYN"
    return [measured(_SOURCE, "source_ports", told.silent, text)]


# Another port ------------------------------------------------------------------------------------------------------


def other_port(run: RunResult) -> OtherPort | None:
    """What another port of the host answered, and the target at the same time. None: it was not asked."""
    other = run.probes.other_port if run.probes is not None else None
    return other if other is not None and other.tries else None


def target_silent(run: RunResult) -> bool:
    """Whether every connect to the target that was made beside the other port's was silent."""
    other = other_port(run)
    return other is not None and bool(other.target) and all(tried.silent for tried in other.target)


def port_alone(run: RunResult) -> bool:
    """Whether the target was silent while another port of its host answered."""
    other = other_port(run)
    return other is not None and target_silent(run) and any(tried.answered for tried in other.tries)


def all_new_lost(run: RunResult) -> bool:
    """Whether another port, which had answered before the load, was as silent as the target then."""
    other = other_port(run)
    if other is None or other.before is None or not target_silent(run):
        return False
    return other.before.answered and all(tried.silent for tried in other.tries)


def host_is_there(run: RunResult) -> bool | None:
    """Whether the target's host answered at all: at another port, or a ping. None: neither was tried."""
    other, ping = other_port(run), run.probes.ping if run.probes is not None else None
    known = [tried.answered for tried in other.tries] if other is not None else []
    known += [ping.ms is not None] if ping is not None else []
    return any(known) if known else None


def at_this_port(run: RunResult) -> str:
    """What loses new flows to this port of the host alone, after others got through, as the end of a sentence."""
    queue = "" if facts.each_was_answered(run) else ", or the full queue of a server that does not accept"
    return f"a NAT on the way without a port left for it, a limit on its connections{queue}"


def behind_nat(run: RunResult) -> bool:
    """Whether a NAT is on the way for sure: this end's address is private (RFC 1918, RFC 6598), the other's is not."""
    source, target = _source(run), facts.target_address(run)
    try:
        ends = [ip_address(end) for end in (source, target) if end is not None]
    except ValueError:
        return False
    return len(ends) == 2 and _is_private(ends[0]) and not _is_private(ends[1]) and not ends[1].is_loopback


def _source(run: RunResult) -> str | None:
    """The address that connects came from: one that was asked for, or as an example of a failure shows it."""
    asked = run.config.get("sources")
    if isinstance(asked, list) and asked:
        return asked[0]
    shown = next((failure.example for failure in run.failures if failure.example and " -> " in failure.example), "")
    return shown.partition(" -> ")[0].rpartition(":")[0] or None


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv4Address) and any(address in network for network in _PRIVATE)


def lost_beside(run: RunResult) -> tuple[int, int] | None:
    """Of so many connects to another port that lost a SYN: (these, all). None: it was not asked so often."""
    other = other_port(run)
    if other is None or not other.beside:
        return None
    return sum(tried.silent or bool(tried.resent) for tried in other.beside), len(other.beside)


def loses_beside(run: RunResult) -> bool | None:
    """Whether SYNs to another port of the host are lost too. None: it was not asked."""
    beside = lost_beside(run)
    return None if beside is None else beside[0] >= _LOST_TOO


def host_evidence(run: RunResult) -> list[Evidence]:
    """What answered of the target's host beside the target."""
    probes = run.probes
    if probes is None:
        return []
    evidence = []
    if (other := other_port(run)) is not None:
        host = str(run.config.get("target") or "").rpartition(":")[0].strip("[]") or "the host"
        text = f"{endpoint(host, other.port)} {_fared(other.tries[0])}{_held(other)}"
        text += f" ({_fared(other.before)} before the load)" if other.before is not None else ""
        evidence.append(measured(_SOURCE, "other_port", other.tries[0].errno or "connected", text, None))
    if (beside := lost_beside(run)) is not None:
        text = f"{beside[0]} of {beside[1]} connects to that port lost a SYN as well"
        evidence.append(measured(_SOURCE, "other_port.beside", beside[0], text, _LOST_TOO))
    if probes.ping is not None:
        text = "no answer to a ping" if probes.ping.ms is None else f"a ping was answered after {probes.ping.ms:.1f} ms"
        if probes.ping.asked_before:
            text += f" ({'not answered' if probes.ping.before_ms is None else 'answered'} before the load)"
        evidence.append(measured(_SOURCE, "ping", probes.ping.ms, text, None))
    return evidence


def _fared(tried: ConnectTry) -> str:
    if tried.errno is None:
        return "connected"
    return {"ECONNREFUSED": "refused", "own_timeout": "was silent", "ETIMEDOUT": "was silent"}.get(
        tried.errno, f"gave {tried.errno}"
    )


def _held(other: OtherPort) -> str:
    return f" while {plural(other.open, 'connection was', 'connections were')} held" if other.open else ""


def lost_by_chance(ports: SourcePorts | None) -> bool:
    """Whether a connect from a local port lost a SYN that another from the same port did not."""
    if ports is None:
        return False
    return any(
        _changed(port) or any(tried.errno is None and tried.resent for tried in port.tries) for port in ports.ports
    )
