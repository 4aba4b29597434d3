"""Packets arrive with a wrong checksum, and the kernel drops them without a word: to TCP they are lost.

Source: `tcp_v4_rcv` (net/ipv4/tcp_ipv4.c) and `ip_rcv_core` (net/ipv4/ip_input.c) count InCsumErrors in the namespace
of who receives; no ICMP and no RST tells the sender, who sends again as for any loss. Usual origins: an interface or a
tunnel that is to fill checksums in and does not (offload of VXLAN, of a virtual machine), bad memory, a bad link.
"""

from __future__ import annotations

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import BETWEEN_LOOKS, SNMP, during, measured, packets_lost, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

_COUNTERS = ("Tcp.InCsumErrors", "IpExt.InCsumErrors")
_LOST = "corrupted where it arrived"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where an end dropped more for that than half of what was lost."""
    lost, dropped = facts.packets_lost(run), arrived_wrong(run)
    evidence = [packets_lost(run)]
    evidence += [_evidence(end, count, during(run)) for end, count in dropped.items()]
    return Judgement(*_weigh(run, lost, dropped), evidence)


def failures(run: RunResult) -> int:
    """Connections that got no answer in time, as far as so many packets were dropped."""
    return min(facts.timeouts(run), sum(arrived_wrong(run).values()))


def arrived_wrong(run: RunResult) -> dict[str, int]:
    """Packets that each observed end dropped for their checksum; a namespace that both are in is named once."""
    counted = {end: sent.of_both(side, _COUNTERS) for end, side in facts.ends_once(run)}
    return {end: count for end, count in counted.items() if count is not None}


def _weigh(run: RunResult, lost: int, dropped: dict[str, int]) -> tuple[Verdict, str]:
    if not lost:
        return "ruled_out", "Nothing was lost: each connect and request was answered in time."
    if not dropped:
        return "not_observed", "Whether packets arrived with a wrong checksum was not observed."
    wrong = sum(dropped.values())
    if not wrong and not run.server.observed:
        return "not_observed", "Nothing came to the client with a wrong checksum; the server counts what came there."
    if not wrong:
        return "ruled_out", "No packet arrived with a wrong checksum."
    worst = max(dropped, key=lambda end: dropped[end])
    were = plural(wrong, "packet was", "packets were")
    told = f"{were} dropped at the {worst} for a wrong checksum"
    if wrong < FEW or wrong * 2 <= lost:
        return "possible", f"{told}, {plural(lost, 'connection')} lost packets: some may be of these."
    return "confirmed", f"{told}: {plural(lost, 'connection')} timed out or came late for that."


def _evidence(end: str, count: int, when: str) -> Evidence:
    text = f"InCsumErrors rose by {count:,} at the {end} {when}: packets dropped for their checksum"
    return measured(SNMP, _COUNTERS[0], count, text)


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Packets that were dropped in between. Never more than possible: whose they were the counters do not tell."""
    wrong = sent.of_both(snapshots.run(None).client, _COUNTERS)
    if wrong is None:
        text = snapshots.why_no_deltas or "InCsumErrors was not observed at both moments."
        return Judgement("not_observed", text, [unknown(SNMP, _COUNTERS[0], text)])
    evidence = [_evidence("host", wrong, BETWEEN_LOOKS)]
    if wrong < FEW:
        return Judgement("ruled_out", "Hardly a packet came with a wrong checksum.", evidence)
    text = f"{plural(wrong, 'packet')} came with a wrong checksum and were dropped: to TCP they are lost."
    return Judgement("possible", text, evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Where they are made wrong, and how the sender's CPU makes them right."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"nstat -az TcpInCsumErrors; tcpdump -vvni any 'tcp port {port}' | grep incorrect   # who receives",
            works=True,
            changes=[changes.LOOK],
            why="At the sender every packet looks incorrect before its interface fills the checksum in.",
        ),
        Remedy(
            command="ethtool -K eth0 tx off   # at the sender; ethtool -K flannel.1 tx-checksum-ip-generic off",
            works=True,
            changes=[changes.mend("what spoils checksums on the way")],
            why="Its CPU then fills the checksum in; a newer driver, kernel or hypervisor mends the offload itself.",
        ),
        Remedy(
            command="another cable, port or machine, where offload is off already",
            works=True,
            changes=[changes.mend("what spoils checksums on the way")],
            why="Bad memory of an interface or a router changes packets under way.",
        ),
        longer_timeout("What is sent again is spoiled in the same way."),
        bigger_backlog("The packet never reached the listener: TCP dropped it for its checksum."),
    ]


CAUSE = Cause(
    id="checksum_errors",
    side="path",
    stage=ConnectionStage.PATH,
    specificity=6,
    explains={
        CauseKind.LOST_SYN: f"the packets were {_LOST}",
        CauseKind.LOST_DATA: f"the data was {_LOST}",
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a wire that spoils the checksums of one end"),
)
