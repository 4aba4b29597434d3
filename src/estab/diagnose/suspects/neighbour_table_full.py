"""The machine's table of neighbours (ARP, NDP) is full: what is for a new one of them is dropped before it leaves.

Source: `neigh_alloc` (net/core/neighbour.c) refuses a new entry over gc_thresh3 and counts table_fulls; the kernel logs
"neighbor table overflow". `ip_finish_output2` (net/ipv4/ip_output.c) then drops the packet and gives an error back:
connect() does not hear of it (`tcp_connect`, net/ipv4/tcp_output.c) and times out, and each SYN that is due again
counts TCPRetransFail in its namespace. Neighbours that are known go on as before.
"""

from __future__ import annotations

from estab.diagnose import facts, neighbour_tables, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NotRebuilt
from estab.diagnose.evidence import NETSTAT, connect_timeouts, measured, unknown
from estab.diagnose.neighbour_tables import FullestTable
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW, dropped_as, filter_rules
from estab.records import Remedy, RunResult, Verdict
from estab.words import plural

_CREATE_FAILED = "NEIGH_CREATEFAIL"
_ELSEWHERE = "the neighbour tables of the whole machine"
_UNSEEN = "The neighbour tables were not observed."


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the machine refused neighbours, and this host could not send again, by no rule of its own."""
    seen = neighbour_tables.of_client(run)
    evidence = [connect_timeouts(run), *(seen.evidence if seen is not None else [])]
    if (not_sent := sent.not_sent(run)) is not None:
        text = f"TCPRetransFail rose by {not_sent:,}: so often this host could not send a packet again"
        evidence.append(measured(NETSTAT, sent.NOT_SENT, not_sent, text))
    return Judgement(*_weigh(run, seen), evidence)


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh(run: RunResult, seen: FullestTable | None) -> tuple[Verdict, str]:
    lost = failures(run)
    if not lost:
        return "ruled_out", "No connect timed out."
    if seen is None or seen.refused is None:
        return "not_observed", _UNSEEN
    if seen.refused * 2 <= lost:
        return "ruled_out", f"There was room for new neighbours ({seen.room})."
    told = f"The machine refused {plural(seen.refused, 'new neighbour')}, its table is full ({seen.room})"
    return _whom_it_met(run, lost, told)


def _whom_it_met(run: RunResult, lost: int, told: str) -> tuple[Verdict, str]:
    """Whether the neighbours that were refused are those of the connects that timed out: others' count as well."""
    not_sent = sent.not_sent(run)
    held = not_sent is not None and not_sent * 2 > lost
    if (dropped_as(run, _CREATE_FAILED) or 0) * 2 > lost or (held and filter_rules(run).get("client") is False):
        return "confirmed", f"{told}: {plural(lost, 'connect')} timed out, and none of their SYNs left this host."
    if held:
        return "possible", f"{told}; or a rule of this host dropped what was lost, which counts as well."
    if not_sent is not None and (run.client.rose(facts.SYN_RETRANS) or 0) * 2 > lost:
        return "ruled_out", f"{told}, but the SYNs of what timed out had left this host."
    return "possible", f"{told}; whether what timed out was for one of them is not seen."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Neighbours that the machine refused in between, or a table without a place now."""
    seen = neighbour_tables.between(snapshots.before, snapshots.after)
    if seen is None:
        return Judgement("not_observed", _UNSEEN, [unknown("netlink RTM_GETNEIGHTBL", "table_fulls", "not read")])
    if seen.refused:
        verdict: Verdict = "confirmed" if seen.refused >= FEW else "possible"
        told = f"The machine's neighbour table is full ({seen.room})"
        text = f"{told}: it refused {plural(seen.refused, 'new neighbour')}."
        return Judgement(verdict, text, seen.evidence)
    if seen.is_full:
        return Judgement("possible", f"The machine's neighbour table has no place left ({seen.room}).", seen.evidence)
    return Judgement("ruled_out", f"The neighbour tables have room ({seen.room}).", seen.evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Room for more neighbours, or fewer of them."""
    seen = neighbour_tables.of_client(run)
    most = (seen.fullest.maximum if seen is not None else None) or 1024
    family = "ipv6" if seen is not None and seen.fullest.name == "ndisc_cache" else "ipv4"
    name = f"net.{family}.neigh.default.gc_thresh"
    return [
        Remedy(
            command="dmesg | grep 'neighbor table overflow'; ip -s neigh | wc -l; sysctl -a | grep gc_thresh",
            works=True,
            changes=[changes.LOOK],
            why="In the initial network namespace: all others' neighbours are in the same table.",
        ),
        Remedy(
            command=f"sysctl -w {name}3={8 * most} {name}2={4 * most} {name}1={most}   # in the initial namespace",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Counts at once. Above the second, entries older than 5 s are freed; below the first none is.",
        ),
        Remedy(
            command="smaller subnets, a router between: fewer hosts, containers or pods on one link",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Only what is reached without a router takes an entry of its own.",
        ),
        bigger_backlog("No packet left this host."),
        longer_timeout("While the table is full each SYN is dropped like the first."),
    ]


CAUSE = Cause(
    id="neighbour_table_full",
    side="client",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=4,
    explains={CauseKind.LOST_SYN: "the SYNs never left this host: there was no place for the next hop's address"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("the neighbour tables are bounded for the whole machine (gc_thresh3 of the initial namespace)"),
)
