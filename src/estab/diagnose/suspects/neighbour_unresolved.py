"""The next hop does not answer for its address (ARP, NDP): the SYN never leaves this host.

Source: `neigh_resolve_output` (net/core/neighbour.c) keeps the packet until the neighbour's link address is known;
after three unanswered requests, 3 s, `neigh_invalidate` gives it up and `ipv4_link_failure` (net/ipv4/route.c) tells
the sender by ICMP: EHOSTUNREACH after some 3.06 s. Until then the SYN is still in this host when it is due again, and
is not sent again (TCPSpuriousRtxHostQueues in place of TCPSynRetrans). A connect timeout of 3 s ends just before that.
"""

from __future__ import annotations

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import connect_timeouts, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import syns_between
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

UNREACHABLE = frozenset({"EHOSTUNREACH"})


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the SYNs of what failed were still in this host when they were due again."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that timed out or ended in EHOSTUNREACH."""
    return facts.connect_timeouts(run) + facts.failed(run, ("connect",), UNREACHABLE)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    lost = failures(run)
    if not lost:
        return "ruled_out", "No connect timed out or was unreachable."
    held_back = sent.held_back(run)
    if held_back is None:
        return "not_observed", "Whether the SYNs left this host was not observed."
    if held_back * 2 > lost:
        text = (
            f"The next hop never answered for its address: {plural(lost, 'connect')} failed, and no SYN left this host."
        )
        return "confirmed", text
    again = run.client.rose(facts.SYN_RETRANS)
    if again:
        return "ruled_out", f"{plural(again, 'SYN')} left this host again, so the next hop was known."
    own = sent.icmp_of_its_own(run) or 0
    if own * 2 > lost and facts.failed(run, ("connect",), UNREACHABLE):
        text = f"{plural(lost, 'connect')} met an ICMP error of this host itself: a neighbour that is known as absent."
        return "possible", text
    return "ruled_out", "No SYN was held back in this host."


def _evidence(run: RunResult) -> list[Evidence]:
    text = f"{plural(failures(run), 'connect')} timed out or got EHOSTUNREACH"
    evidence = [measured("failures", "connect ETIMEDOUT, own_timeout, EHOSTUNREACH", failures(run), text)]
    if facts.connect_timeouts(run):
        evidence = [connect_timeouts(run)]
    return [*evidence, *sent.held_back_evidence(run), *sent.icmp_evidence(run)]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """SYNs that were held back in between: somebody here asks for a neighbour that is not there. Whose, is not told."""
    run = snapshots.run(None)
    held_back = sent.held_back(run)
    if held_back is None:
        text = snapshots.why_no_deltas or "TCPSpuriousRtxHostQueues was not observed at both moments."
        return Judgement("not_observed", text, [unknown("/proc/net/netstat", sent.HELD_BACK, text)])
    syns = syns_between(snapshots)
    evidence = [*sent.held_back_evidence(run), *sent.icmp_evidence(run), *syns.evidence]
    told = f"{plural(held_back, 'packet that was', 'packets that were')} due again had not left this host"
    if held_back and sent.icmp_of_its_own(run):
        return Judgement("possible", f"{told}, and it called somebody unreachable.", evidence)
    # A neighbour is given up every 3 s, with all that waits for it: in between no error shows.
    if held_back > (syns.again or 0) and syns.waiting:
        text = f"{told}, and {plural(syns.waiting, 'connect waits', 'connects wait')} for an answer."
        return Judgement("possible", text, evidence)
    return Judgement("ruled_out", "This host held no packet back for a neighbour that is absent.", evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Where the neighbour is, and what waiting gives."""
    return [
        Remedy(
            command="ip neigh | grep -E 'FAILED|INCOMPLETE'; ip route get TARGET",
            works=True,
            changes=[changes.LOOK],
            why="Names the address that does not answer: the target itself, or the gateway to it.",
        ),
        Remedy(
            command="start that host; correct its address, netmask, VLAN or cable",
            works=True,
            changes=[changes.mend("the host that does not answer for its address")],
            why="An address inside the own subnet is asked for on the link; nobody there has it.",
        ),
        longer_timeout("The host gives up after 3 s by itself, and says EHOSTUNREACH in place of a timeout."),
        Remedy(
            command="a firewall rule, a bigger backlog, ulimit -n",
            works=False,
            changes=[changes.queue()],
            why="The SYN never left this host.",
        ),
    ]


CAUSE = Cause(
    id="neighbour_unresolved",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=4,
    explains={CauseKind.LOST_SYN: "the SYNs never left this host"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that does not answer for its link address"),
)
