"""What either host's own kernel did with the SYNs of a run: whether they left, and who refused them. No verdict.

Source: an ICMP error that this host makes and takes in itself counts in OutDestUnreachs and InDestUnreachs alike
(`icmp_send`, `icmp_rcv`, net/ipv4/icmp.c). A SYN that is still in this host when it is due again is not sent again:
TCPSpuriousRtxHostQueues (`skb_still_in_host_queue`, net/ipv4/tcp_output.c), as it waits for its neighbour's address.
One that the host itself refuses to send again counts TCPRetransFail (`tcp_retransmit_skb`, the same file).
"""

from __future__ import annotations

from collections.abc import Iterable

from estab.diagnose import facts
from estab.diagnose.evidence import NETSTAT, SNMP, measured, unknown
from estab.records import ClientSide, ConnectAfter, Evidence, Failure, RunResult, ServerSide
from estab.words import plural

REFUSED = frozenset({"ECONNREFUSED"})
UNREACHABLE = frozenset({"EHOSTUNREACH", "ENETUNREACH"})

_IN_ICMP = ("Icmp.InDestUnreachs", "Icmp6.InDestUnreachs")
_OUT_ICMP = ("Icmp.OutDestUnreachs", "Icmp6.OutDestUnreachs")
_NO_ROUTES = ("Ip.OutNoRoutes", "Ip6.OutNoRoutes")
_PROHIBITED = ("prohibited by a filter", "network prohibited", "host prohibited")  # as formats.icmp_error says it
HELD_BACK = "TcpExt.TCPSpuriousRtxHostQueues"
NOT_SENT = "TcpExt.TCPRetransFail"
OUT_RSTS = "Tcp.OutRsts"


def of_both(side: ClientSide | ServerSide, names: tuple[str, str]) -> int | None:
    """What a counter rose by for IPv4 and IPv6 together. None: neither was read."""
    known = [delta for name in names if (delta := side.rose(name)) is not None]
    return sum(max(0, delta) for delta in known) if known else None


def icmp_received(run: RunResult) -> int | None:
    """ICMP "unreachable" that the client's host took in. None: not read."""
    return of_both(run.client, _IN_ICMP)


def icmp_of_its_own(run: RunResult) -> int | None:
    """Of those, at most so many that this host had sent itself. None: not read."""
    received, sent = icmp_received(run), of_both(run.client, _OUT_ICMP)
    return None if received is None or sent is None else min(received, sent)


def without_route(side: ClientSide | ServerSide) -> int | None:
    """Packets for which that end had no route. None: not read."""
    return of_both(side, _NO_ROUTES)


def refused(run: RunResult) -> int:
    """Connects that were refused or unreachable."""
    return refused_among(run.failures)


def refused_among(failures: Iterable[Failure]) -> int:
    """Of these failures, connects that were refused or unreachable."""
    return sum(each.count for each in failures if each.phase == "connect" and each.errno in REFUSED | UNREACHABLE)


def lost_among(failures: Iterable[Failure]) -> int:
    """Of these failures, connects that timed out."""
    return sum(each.count for each in failures if each.phase == "connect" and each.errno in facts.TIMEOUTS)


def refused_by_icmp(run: RunResult) -> bool | None:
    """Whether most of what was refused was refused by ICMP, which no closed port sends. None: not read."""
    count, received = facts.failed(run, ("connect",), REFUSED), icmp_received(run)
    return None if received is None or not count else received * 2 > count


def unreachable_by_icmp(run: RunResult) -> bool:
    """Whether a host on the way said of a connect that the target can't be reached.

    Routers say so of few: Linux to one client once a second (net.ipv4.icmp_ratelimit). The rest times out.
    """
    told = (icmp_received(run) or 0) - (icmp_of_its_own(run) or 0)
    return told > 0 and facts.failed(run, ("connect",), UNREACHABLE) > 0


def turned_back(run: RunResult) -> str | None:
    """Why no connect can have reached the server, in a sentence. None: one may have."""
    if run.funnel.connected or not unreachable_by_icmp(run):
        return None
    return "No connect got there: somebody on the way said that the target can't be reached."


def reset_by_server(run: RunResult) -> bool | None:
    """Whether the server's host sent as many RSTs as most of what was refused. None: not read.

    Its TCP counts those alone that it sends itself (`tcp_v4_send_reset`, net/ipv4/tcp_ipv4.c); a firewall's REJECT
    makes its own packet, also on that host (`nf_send_reset`, net/ipv4/netfilter/nf_reject_ipv4.c).
    """
    count, sent = facts.failed(run, ("connect",), REFUSED), run.server.rose(OUT_RSTS)
    return None if sent is None or not count else sent * 2 > count


def held_back(run: RunResult) -> int | None:
    """How often a SYN was due again and had not left this host yet. None: not read."""
    return run.client.rose(HELD_BACK)


def not_sent(run: RunResult) -> int | None:
    """How often this host refused to send a packet again. None: not read."""
    return run.client.rose(NOT_SENT)


def icmp_evidence(run: RunResult) -> list[Evidence]:
    """ICMP errors that came in, and those of this host itself among them."""
    received, own = icmp_received(run), icmp_of_its_own(run)
    if received is None:
        return []
    text = f'{received:,} ICMP "unreachable" came in at the client; a closed port answers by RST, never by ICMP'
    evidence = [measured(SNMP, _IN_ICMP[0], received, text)]
    if own:
        text = f"{own:,} of them this host had made itself (OutDestUnreachs rose as much)"
        evidence.append(measured(SNMP, _OUT_ICMP[0], own, text))
    return evidence


def who_said(after: ConnectAfter | None) -> str | None:
    """Who said by ICMP to a connect after the run that its target can't be reached, and what. None: nobody is known."""
    return None if after is None or after.said_by is None else f"{after.said_by} says: {after.said}"


def prohibited_elsewhere(run: RunResult) -> bool:
    """Whether another host said by ICMP that its rules forbid the target (RFC 1812, 5.2.7.1; RFC 4443, 3.1)."""
    after = run.connect_after
    return after is not None and after.said in _PROHIBITED and not icmp_of_its_own(run)


def after_evidence(after: ConnectAfter | None) -> list[Evidence]:
    """What became of one connect after the run, and who said so."""
    if after is None:
        return []
    if after.errno is None:
        return [unknown("a connect after the run", "errno", "one connect after the run was answered")]
    if after.said_by is not None:
        text = f"one connect after the run gave {after.errno}: {after.said_by} said by ICMP: {after.said}"
    elif after.errno in facts.TIMEOUTS:
        text = f"one connect after the run was not answered within {after.waited_s:.1f} s"
    else:
        text = f"one connect after the run gave {after.errno}"
    return [measured("a connect after the run", "errno", after.errno, text, None)]


def reset_evidence(run: RunResult) -> list[Evidence]:
    """The RSTs that the server's host sent."""
    count = run.server.rose(OUT_RSTS)
    if count is None:
        return []
    text = f"the server's host sent {plural(count, 'RST')}; one that a firewall makes is not counted there"
    return [measured(SNMP, OUT_RSTS, count, text)]


def held_back_evidence(run: RunResult) -> list[Evidence]:
    """SYNs that were due again and had not left."""
    count = held_back(run)
    text = "was not observed" if count is None else f"rose by {count:,}: so often a SYN that was due again had not left"
    return [measured(NETSTAT, HELD_BACK, count, f"TCPSpuriousRtxHostQueues {text}")]
