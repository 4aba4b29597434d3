"""The SYN arrives at the server's host by an interface that is not the way back: rp_filter drops it before TCP sees it.

Source: `__fib_validate_source` (net/ipv4/fib_frontend.c) asks for the route to whom the packet came from. Strict
(rp_filter 1), it must lead out by the interface that the packet came in by; loose (2), there must be one. Else the
packet is dropped in silence, and `ip_rcv_finish_core` (net/ipv4/ip_input.c) counts TcpExt.IPReversePathFilter. The
greater of conf.all and the interface's own value counts. IPv6 has no such setting.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import connect_timeouts, counter, listener_unseen, server_counter
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW, arrival_evidence, syn_path
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

FILTERED = "TcpExt.IPReversePathFilter"
_MEANS = "packets that came by an interface which is not the way back"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the server's host dropped as many packets by it as half of the SYNs that were lost."""
    if not failures(run):
        return Judgement("ruled_out", "No connect timed out.", [connect_timeouts(run)])
    if not run.server.observed:
        text = f"Whether the server's rp_filter dropped the SYNs was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    dropped = run.server.rose(FILTERED)
    if dropped is None:
        return "not_observed", "What the server's rp_filter dropped was not observed."
    if dropped <= 0:
        return "ruled_out", "The server's host dropped nothing for its reverse path."
    if (innocent := syn_path(run).reached) is not None:
        return "ruled_out", innocent
    lost = failures(run)
    told = f"the server's host dropped {plural(dropped, 'packet')} whose way back is another interface"
    if dropped * 2 <= lost + max(0, run.client.rose(facts.SYN_RETRANS) or 0):
        return "possible", f"{plural(lost, 'connect')} timed out, and {told}: fewer than SYNs were lost."
    return "confirmed", f"The SYNs arrived, and {told}: {plural(lost, 'connect')} timed out."


def _evidence(run: RunResult) -> list[Evidence]:
    return [connect_timeouts(run), server_counter(run, FILTERED, _MEANS), *arrival_evidence(run)]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Packets that were dropped for it in between; that they were SYNs is not told."""
    dropped = snapshots.rose(FILTERED)
    evidence = [counter(FILTERED, dropped, _MEANS)]
    if dropped is None:
        text = snapshots.why_no_deltas or "IPReversePathFilter was not observed at both moments."
        return Judgement("not_observed", text, evidence)
    if dropped < FEW:
        return Judgement("ruled_out", "This host dropped hardly a packet for its reverse path.", evidence)
    text = f"rp_filter dropped {plural(dropped, 'packet')} that came by another interface than their way back."
    return Judgement("possible", text, evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """The setting, the route, and what never sees the packet."""
    return [
        Remedy(
            command="ip route get CLIENT_ADDRESS; sysctl -a | grep '\\.rp_filter'   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="The route's dev is not the interface by which the SYN comes, or there is no route.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.conf.all.rp_filter=2   # at the server",
            works=True,
            changes=[changes.sysctl("net.ipv4.conf.all.rp_filter", 2)],
            why="Loose: any route back will do, by whatever interface. The greater of all and the interface counts.",
        ),
        Remedy(
            command="ip route replace CLIENT_NETWORK via GATEWAY dev INTERFACE   # at the server, that of the SYN",
            works=True,
            changes=[changes.mend("the server's routes")],
            why="Then the way back is the way there. Needed in any case where there is no route back at all.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.conf.INTERFACE.rp_filter=0, while conf.all.rp_filter is 1",
            works=False,
            changes=[changes.sysctl("net.ipv4.conf.eth0.rp_filter", 0)],
            why="The greater of both counts.",
        ),
        Remedy(
            command="nft accept rules, a bigger backlog   # at the server",
            works=False,
            changes=[changes.queue()],
            why="The SYN is dropped as it is routed in: neither the input chain nor a listener sees it.",
        ),
    ]


CAUSE = Cause(
    id="reverse_path_filtered",
    side="server",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=4,
    explains={CauseKind.LOST_SYN: "the SYNs arrived, and rp_filter dropped them"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a client's address to which the server's route leads by another interface"),
)
