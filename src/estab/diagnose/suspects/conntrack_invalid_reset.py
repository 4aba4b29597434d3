"""NAT leaves a segment as it came, for it fits no flow: a kernel that has no such connection answers it by a reset.

Source: `tcp_in_window` (net/netfilter/nf_conntrack_proto_tcp.c) takes a segment outside of the window that it follows
for INVALID; `nf_conntrack_in` counts `invalid`, and such a packet is not translated back. Where no rule drops it, it is
for an address and port of the NAT's own host, or comes to a client from an address that it never asked: no socket is
there, `tcp_v4_send_reset` (net/ipv4/tcp_ipv4.c) answers, and that RST ends the real connection at its other end. The
next segment of the client's then meets no socket there either; a client that sends none waits in vain.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import closings, facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import SNMP, measured, unknown
from estab.diagnose.syn_path import FEW
from estab.records import ClientSide, Evidence, Remedy, RunResult, ServerSide, Side, Snapshot, Verdict
from estab.words import plural

_STAT = "/proc/net/stat/nf_conntrack"
# RSTs of connections that the kernel had: their program or its memory ended them (`tcp_send_active_reset`).
_ACTIVE = tuple(f"TcpExt.TCPAbortOn{why}" for why in ("Data", "Close", "Memory", "Linger"))
# One connection that is ended so sends one RST, or one for each segment that is sent again: more are of other closes.
_MOST_RSTS = 3
BE_LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"


@dataclass(frozen=True)
class Strays:
    """One end: packets that fitted no flow, and RSTs for segments that belong to no socket. None: not observed."""

    end: str
    invalid: int | None
    answered: int | None

    @property
    def both(self) -> int:
        """Of the segments that were taken for invalid at most so many were answered by RST."""
        return min(self.invalid or 0, self.answered or 0)

    @property
    def evidence(self) -> list[Evidence]:
        """Both counts."""
        if self.invalid is None:
            text = f"the {self.end}'s connection tracking was not observed, or nothing is tracked there"
            seen = unknown(_STAT, "invalid", text)
        else:
            text = f"invalid rose by {self.invalid:,} at the {self.end}: packets that fit no flow are not translated"
            seen = measured(_STAT, "invalid", self.invalid, text)
        if self.answered is None:
            return [seen]
        text = f"the {self.end}'s kernel sent {plural(self.answered, 'RST')} for what belongs to no socket"
        return [seen, measured(SNMP, sent.OUT_RSTS, self.answered, text)]


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the client's own host took as many segments for invalid, and reset them, as connections ended."""
    ended, seen = closings.reset_or_unanswered(run), _strays(run)
    evidence = [closings.reset_or_unanswered_evidence(run)]
    evidence += [fact for each in seen for fact in each.evidence]
    if not ended:
        return Judgement("ruled_out", "No connection was reset or left waiting once it was made.", evidence[:1])
    worst = max(seen, key=lambda each: (each.both, each.end == "client"))
    side: Side = "server" if worst.end == "server" and worst.both else "client"
    return Judgement(*_weigh(run, ended, seen, worst), evidence, side)


def failures(run: RunResult) -> int:
    """Connections that were reset or got no answer, as far as as many strays were answered by RST."""
    answered = max((each.both or each.answered or 0 for each in _strays(run)), default=0)
    return min(closings.reset_or_unanswered(run), answered)


def _strays(run: RunResult) -> list[Strays]:
    """Each observed end, a namespace that both are in once."""
    return [_stray(end, side) for end, side in facts.ends_once(run)]


def _stray(end: str, side: ClientSide | ServerSide) -> Strays:
    resets, active = side.rose(sent.OUT_RSTS), [side.rose(name) for name in _ACTIVE]
    answered = None if resets is None else max(0, resets - sum(max(0, count or 0) for count in active))
    return Strays(end, _invalid(side.before, side.after), answered)


def _invalid(before: Snapshot | None, after: Snapshot | None) -> int | None:
    then, now = (taken.conntrack if taken is not None else None for taken in (before, after))
    if then is None or now is None or then.invalid is None or now.invalid is None:
        return None
    return max(0, now.invalid - then.invalid)


def _weigh(run: RunResult, ended: int, seen: list[Strays], worst: Strays) -> tuple[Verdict, str]:
    told = (
        f"{plural(worst.invalid or 0, 'packet')} fitted no flow at the {worst.end}, "
        f"whose kernel sent {plural(worst.answered or 0, 'RST')} for what belongs to no socket"
    )
    # Where both ends are one, or at the server, a closed socket of the server's is answered by RST as well; and so is
    # what comes too late for a client that gave up.
    apart = facts.ends_apart(run) or not run.server.observed
    alone = worst.end == "client" and apart and (worst.answered or 0) <= _MOST_RSTS * ended
    if worst.both * 2 > ended >= FEW:
        verdict: Verdict = "confirmed" if alone and _were_reset(run, ended) else "possible"
        return verdict, f"{told}: {plural(ended, 'connection')} ended for that."
    if worst.both * 4 > ended:
        return "possible", f"{told}; {plural(ended, 'connection was', 'connections were')} reset or got no answer."
    answered = seen[0].answered or 0
    if apart and closings.unanswered(run) * 3 <= ended and ended / 2 < answered <= _MOST_RSTS * ended:
        return "possible", (
            f"The client's kernel sent {plural(answered, 'RST')} for what belongs to no connection of it: "
            "a NAT before it may let such segments pass untranslated."
        )
    if all(each.invalid is None for each in seen):
        return "not_observed", "Connection tracking was not observed at either end, and a NAT on the way is not seen."
    return "ruled_out", "No segment that fits no flow was answered by RST."


def _were_reset(run: RunResult, ended: int) -> bool:
    """Whether most of what ended was reset: as the client was told, or, where it waited in vain, as the server was."""
    at_server = run.server.rose("Tcp.EstabResets") if run.server.observed else None
    return max(closings.resets(run), at_server or 0) * 2 > ended


def remedies(_run: RunResult) -> list[Remedy]:
    """Drop what fits no flow, or follow its window less strictly."""
    return [
        Remedy(
            command="conntrack -S | grep -v 'invalid=0'; nstat -az TcpOutRsts   # on the host that does NAT",
            works=True,
            changes=[changes.LOOK],
            why="Both rise with each connection that is reset; net.netfilter.nf_conntrack_log_invalid=6 logs each.",
        ),
        Remedy(
            command="nft insert rule ip filter input ct state invalid drop   # and forward, on the host that does NAT",
            works=True,
            changes=[changes.DROP_INVALID],
            why="What fits no flow then reaches nobody: the segment is sent again, and translated. kube-proxy does so.",
        ),
        Remedy(
            command=f"sysctl -w {BE_LIBERAL}=1   # on the host that does NAT",
            works=True,
            changes=[changes.sysctl(BE_LIBERAL, 1, "client")],
            why="Only a RST outside of the window is then taken for invalid; other segments are translated.",
        ),
        Remedy(
            command="sysctl -w net.netfilter.nf_conntrack_max=1048576",
            works=False,
            changes=[changes.elsewhere("the connection tracking table of the whole machine")],
            why="The flow is in the table; it is its window that the segment misses.",
        ),
        bigger_backlog("Each connection was accepted, and ended later."),
    ]


CAUSE = Cause(
    id="conntrack_invalid_reset",
    side="client",
    stage=ConnectionStage.PATH,
    specificity=1,
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Scans and late packets count in invalid and OutRsts as well; whom it cost shows there"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a client that masquerades, and a wire that sends it segments from outside of the window"),
)
