"""SYNs, or the answers to them, are lost by chance on the way: some connects take 1, 3 or 7 seconds.

Source: `tcp_retransmit_timer` (net/ipv4/tcp_timer.c): a SYN without an answer is sent again after 1 s, then at doubled
waits, or each second at first (tcp_syn_linear_timeouts, 6.5). So a connect's latency tells how many were lost
(docs/kernel.md rules 17 to 19). A full accept queue looks the same from the client: only the listener's own counters,
which stand still here, tell them apart.
"""

from __future__ import annotations

import math

from estab.diagnose import facts, probed
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Probe, Rebuilt
from estab.diagnose.evidence import connect_timeouts, measured, sent_again
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW, SynPath, arrival_evidence, syn_path, syns_between
from estab.kernel.rules.inputs import RuleInputError
from estab.kernel.rules.syn_retries import bands, retransmits_behind
from estab.records import Evidence, Percentiles, Remedy, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connects needed a second SYN, and the listener, seen, turned none away."""
    met = syn_path(run)
    verdict, summary = _weigh_probes(run, met) or _weigh(run, met)
    evidence = [*_late_evidence(run, met), *_band_evidence(run)]
    evidence += [connect_timeouts(run)] if met.timeouts else []
    evidence += arrival_evidence(run) if met.timeouts or met.late else []
    return Judgement(verdict, summary, [*evidence, *probed.ports_evidence(run), *probed.host_evidence(run)])


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh_probes(run: RunResult, met: SynPath) -> tuple[Verdict, str] | None:
    """From connects to the target and to another port of its host. None: they were not made, or leave it open."""
    told = probed.from_ports(run)
    if told is None or met.arrived is not None or told.by_flow or told.in_turn or told.by_chance < FEW:
        return None
    lost = f"{told.by_chance:,} of {told.tried:,} connects lost a SYN that another got through"
    beside = probed.lost_beside(run)
    if beside is None:
        return "possible", f"{lost}; whether the server turned it away was not observed ({facts.why_unseen(run)})."
    others = f"{beside[0]} of {beside[1]} to another port of its host"
    if probed.loses_beside(run):
        return "confirmed", f"SYNs or their answers are lost on the way: {lost}, and {others} lost one too."
    return "possible", f"{lost}, but {others} lost one: the server's own queue may turn them away."


def _weigh(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    if not met.late and not met.timeouts:
        return "ruled_out", "Every SYN was answered at the first try."
    if (innocent := _why_not(run, met)) is not None:
        return "ruled_out", innocent
    return _weigh_loss(run, met)


def _why_not(run: RunResult, met: SynPath) -> str | None:
    if met.arrived and not _came_too_late(run, met):
        return "What was sent again had arrived: the listener itself turned packets away."
    if not run.funnel.connected:
        return "No connect got through: that is no loss by chance."
    if met.late:
        return None
    if met.unanswered is False:
        return "The connects that timed out had been answered."
    return "What was lost once was lost for good: random loss would let a later SYN through." if met.for_good else None


def _came_too_late(run: RunResult, met: SynPath) -> bool:
    """Whether what arrived of those that failed was a later SYN just before they gave up: the listener dropped none."""
    return met.late > met.timeouts and facts.listener_drops(run) == 0 and not run.server.rose(facts.LISTEN_DROPS)


def _weigh_loss(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    lost = met.late + (met.timeouts if met.for_good is False else 0)
    told = sent_again(met.late) + (f" and {met.timeouts:,} timed out" if met.timeouts else "")
    if met.arrived is None:
        if not lost:
            return "not_observed", f"Whether SYNs were lost was not observed ({facts.why_unseen(run)})."
        text = f"{told}; whether the server turned them away was not observed ({facts.why_unseen(run)})."
        return "possible", text
    if met.late * 10 <= met.timeouts and not met.patient:
        text = (
            f"{told} before a second SYN: by chance, or always the same flows; a connect timeout above 1 s would tell"
        )
        return "possible", f"{text}."
    if lost < FEW:
        return "possible", f"{told}, the listener turned none away: too few to speak of loss."
    return "confirmed", f"SYNs or their answers were lost on the way: {told}, and the listener turned none away."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """SYNs of this host that were sent again; whether the second was answered is not told."""
    syns = syns_between(snapshots)
    if syns.again is None:
        text = snapshots.why_no_deltas or "TCPSynRetrans was not observed at both moments."
        return Judgement("not_observed", text, syns.evidence)
    if (innocent := syns.why_not) is not None:
        return Judgement("ruled_out", innocent, syns.evidence)
    if syns.begun is not None and syns.again >= syns.begun:
        text = "As many SYNs were sent again as connects begun: that is no loss by chance."
        return Judgement("ruled_out", text, syns.evidence)
    text = f"{plural(syns.again, 'SYN')} of this host were sent again: lost on the way, or dropped at its end."
    return Judgement("possible", text, syns.evidence)


# Evidence ----------------------------------------------------------------------------------------------------------


def _late_evidence(run: RunResult, met: SynPath) -> list[Evidence]:
    known = {times: n for times, n in run.connects_by_resent.items() if times and n > 0}
    spread = ", ".join(f"{n:,} needed {times}" for times, n in sorted(known.items()))
    text = f"{met.late:,} of {plural(run.funnel.connected, 'connect')} came through after more than one SYN"
    text += f" ({spread})" if met.late and spread else ""
    return [measured("tcp_info", "syn_retransmits", met.late, text)]


def _band_evidence(run: RunResult) -> list[Evidence]:
    """Which quantiles of the connect latency lie in a band of SYN retransmissions."""
    latency = run.latency.connect_us
    banded = _banded(latency, facts.linear_timeouts(run)) if latency is not None else []
    if not banded:
        return []
    try:
        starts = ", ".join(f"{band.between_s.low:g}" for band in bands(3, facts.linear_timeouts(run))[1:])
    except RuleInputError:
        return []
    text = f"connects took {' and '.join(banded)}; the bands of SYN retransmissions begin at {starts} s"
    return [measured("latency", "connect_us", latency.max if latency else None, text, None)]


def _banded(latency: Percentiles, linear: int) -> list[str]:
    named = {"p50": latency.p50, "p90": latency.p90, "p99": latency.p99, "p99.9": latency.p999, "max": latency.max}
    banded = []
    for name, micro in named.items():
        if micro is None or not math.isfinite(micro) or not 0 <= micro <= 1e9:
            continue
        needed = retransmits_behind(micro / 1e6, linear)
        if needed:
            banded.append(f"{micro / 1e6:,.2f} s at {name} ({needed} retransmitted)")
    return banded[:2]


def remedies(run: RunResult) -> list[Remedy]:
    """Where packets get lost, and what helps a client meanwhile."""
    timeout = facts.asked_timeout(run)
    patience = "" if timeout is None else f" The timeout was {timeout:g} s."
    return [
        Remedy(
            command="mtr -T -P PORT TARGET; ip -s link; ethtool -S eth0 | grep -iE 'drop|err|miss'   # both ends",
            works=True,
            changes=[changes.LOOK],
            why="Shows the hop or the interface that loses packets: a policer, a full ring, a bad link.",
        ),
        Remedy(
            command="a connect timeout of 3 s or more",
            works=True,
            changes=[changes.timeout(3)],
            why=f"The first SYN is sent again after 1 s: with less patience one lost packet is a failure.{patience}",
        ),
        Remedy(
            command="keep connections open and reuse them: a connection pool",
            works=True,
            changes=[changes.POOL],
            why="A lost segment of an open connection costs about one round trip; a lost SYN a whole second.",
        ),
        bigger_backlog("The listener turned nothing away: its queue had room."),
        Remedy(
            command="sysctl -w net.ipv4.tcp_syn_retries=10",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_syn_retries", 10, "client")],
            why="It adds tries at the end, after a minute; the first one still comes after 1 s.",
        ),
    ]


CAUSE = Cause(
    id="path_syn_loss",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    told_by=frozenset({Probe.SOURCE_PORTS, Probe.OTHER_PORT}),
    twin=Rebuilt("a wire that loses as many SYNs, first and later ones"),
)
