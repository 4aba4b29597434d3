"""Something on the way lets so many new connections a second through, and drops the SYNs beyond.

Source: a token bucket, as nftables' and iptables' `limit` and `hashlimit`, a SYN-flood guard, a balancer's or a
cloud's quota (`nft_limit_eval`, net/netfilter/nft_limit.c): a burst passes at once, then R a second, as even as a
clock, whatever is offered. Loss by chance and a dead member take a share, which grows with what is offered and scatters
as it does; a full table lets nobody in until somebody leaves.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import connect_timeouts, measured
from estab.diagnose.successes import EVEN, SteadyRate, steady_rate
from estab.diagnose.syn_path import FEW, SynPath, arrival_evidence, syn_path
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connects got through evenly though what was offered was not, and the listener dropped none."""
    met, rate = syn_path(run), steady_rate(run.timeline)
    verdict, summary = _weigh(run, met, rate)
    evidence = [connect_timeouts(run), *_evidence(rate)]
    evidence += arrival_evidence(run) if met.timeouts or met.late else []
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh(run: RunResult, met: SynPath, rate: SteadyRate | None) -> tuple[Verdict, str]:
    if met.timeouts + met.late < FEW:
        return "ruled_out", "Hardly a SYN went unanswered."
    if met.arrived or (met.timeouts and met.reached is not None):
        return "ruled_out", met.reached or ""
    if rate is None:
        return "not_observed", "Connects did not go on for long enough to see at what rate they get through."
    if not rate.even:
        return "ruled_out", "What got through scattered as chance does: no rate bounds it."
    return _weigh_rate(run, met, rate)


def _weigh_rate(run: RunResult, met: SynPath, rate: SteadyRate) -> tuple[Verdict, str]:
    told = f"{rate.per_s:,.3g} connects a second got through, while {rate.offered_per_s:,.3g} were begun"
    if not rate.follows_no_share:
        return "possible", f"{told}; a share of what was offered might look the same."
    if met.arrived is None:
        return (
            "possible",
            f"{told}; whether the server turned any away was not observed ({facts.why_unseen(run)}).",
        )
    return "confirmed", f"A limit on the way: {told}, as even as a clock, and nothing of the rest reached the server."


def _evidence(rate: SteadyRate | None) -> list[Evidence]:
    if rate is None:
        return []
    text = (
        f"{rate.per_s:,.3g} a second got through in {rate.windows} windows, {rate.offered_per_s:,.3g} were begun; "
        f"of the first {rate.burst_of:,} {plural(rate.burst, 'connect')} passed"
    )
    scatter = (
        f"variance over mean of what got through in a window: {rate.scatter:.2f}, of what was begun "
        f"{rate.offered_scatter:.2f}; chance gives 0.6"
    )
    return [
        measured("timeline", "connected", round(rate.per_s, 3), text, round(rate.offered_per_s, 3)),
        measured("timeline", "scatter", round(rate.scatter, 3), scatter, EVEN),
    ]


def remedies(run: RunResult) -> list[Remedy]:
    """Whose limit it may be, what stays below it, and what does not move it."""
    rate = steady_rate(run.timeline)
    below = "below it" if rate is None else f"below {rate.per_s:,.3g} a second"
    return [
        Remedy(
            command="nft list ruleset | grep -n limit; iptables -S | grep -E 'limit|hashlimit'   # on each hop",
            works=True,
            changes=[changes.LOOK],
            why="A rule with that rate; or the quota of the firewall, the balancer or the cloud on the way.",
        ),
        Remedy(
            command="raise that limit, or take this client out of it",
            works=True,
            changes=[changes.mend("a limit on new connections")],
            why="Counts at once: the SYNs were dropped for no other reason.",
        ),
        Remedy(
            command="keep connections open and reuse them: a connection pool",
            works=True,
            changes=[changes.POOL],
            why=f"Only new connections are counted: keep them {below}.",
        ),
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535, nf_conntrack_max",
            works=False,
            changes=[changes.queue()],
            why="No queue and no table was full: the SYN never arrived.",
        ),
        longer_timeout("SYNs that are sent again take the places of new ones: no more get through a second."),
    ]


CAUSE = Cause(
    id="path_rate_limited",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=2,
    explains={CauseKind.LOST_SYN: "what was lost came faster than a limit on the way lets through"},
    judge_run=judge_run,
    judge_snapshots=NeedsRun("At what rate connects get through shows only when more are made"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a limit on the wire of the rate and the burst that got through"),
)
