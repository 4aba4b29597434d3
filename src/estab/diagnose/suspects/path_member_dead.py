"""A fixed share of the flows is lost for ever, while the others go on: one of several ways or servers is dead.

A balancer, a router with several equal routes or a bond chooses by a hash of addresses and ports, so a flow meets the
dead member at every SYN or at none (Linux: `fib_multipath_hash`, net/ipv4/route.c). Loss by chance lets a second SYN
through (docs/kernel.md rules 17 to 19); a full table or a filter lets no more flows through at all.
"""

from __future__ import annotations

from estab.diagnose import facts, probed
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Probe, Rebuilt
from estab.diagnose.evidence import connect_timeouts, measured
from estab.diagnose.syn_path import FEW, SynPath, arrival_evidence, syn_path
from estab.diagnose.turns import Turns, taken_in_turn
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

_ORDINALS = ("", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where a share of the connects lost every SYN before the listener while others went on succeeding."""
    met = syn_path(run)
    verdict, summary = _weigh_ports(run, met) or _weigh(run, met)
    return Judgement(verdict, summary, probed.ports_evidence(run) + _evidence(run, met))


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh_ports(run: RunResult, met: SynPath) -> tuple[Verdict, str] | None:
    """From what came of connects from many local ports. None: they were not made, or left it open."""
    told = probed.from_ports(run)
    if told is None or (met.reached is not None and met.timeouts):
        return None
    if told.by_flow:
        return "confirmed", (
            f"A member is dead: {told.silent:,} of {told.tried:,} local ports ({told.share:.0%}) got no answer, "
            f"all {told.still_silent} that were tried again got none again, and {told.still_through} others did."
            f"{_or_a_listener(run)}"
        )
    if told.in_turn is not None:
        which = _ORDINALS[told.in_turn]
        return "confirmed", (
            f"A member is dead: of {told.tried:,} SYNs in a row each {which} was lost and no other, as turns are taken."
        )
    if told.all_through:
        return "ruled_out", f"The target answered from each of {told.tried:,} local ports at the first SYN."
    if told.changed:
        return "ruled_out", f"{told.changed:,} local ports fared otherwise when they were tried again: that is chance."
    return None


def _or_a_listener(run: RunResult) -> str:
    """What else chooses by a hash, where the server's end was not seen, as a sentence of its own."""
    if run.server.observed:
        return ""
    return " Or, where one host has the address, one of several listeners of its port (SO_REUSEPORT) accepts nothing."


def _weigh(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    if not met.timeouts and not met.late:
        return "ruled_out", "Every SYN was answered at the first try."
    if met.reached is None and (turns := taken_in_turn(run)) is not None:
        return _weigh_turns(run, met, turns)
    if (innocent := _why_not(run, met)) is not None:
        return "ruled_out", innocent
    share = met.timeouts / max(1, met.timeouts + run.funnel.connected)
    told = f"{share:.0%} of the connects ({met.timeouts:,}) lost every SYN while the others went on"
    if met.went_on is None:
        return "not_observed", "Whether connects went on succeeding after the first failure was not observed."
    if (doubt := _doubt(run, met)) is not None:
        return "possible", f"{told}{doubt}"
    return "confirmed", f"A member of the path is dead: {told}, and nothing of them reached the server."


def _weigh_turns(run: RunResult, met: SynPath, turns: Turns) -> tuple[Verdict, str]:
    """SYNs were lost in turn, so that the next one of a connect may come through."""
    which = _ORDINALS[turns.members]
    told = f"each {which} SYN was lost ({turns.lost:,} of {turns.sent:,}), as evenly as turns are taken"
    if met.arrived is None:
        return "possible", f"Of all SYNs {told}; whether they arrived was not observed ({facts.why_unseen(run)})."
    return "confirmed", f"A member of the path is dead: {told}, and none of them reached the server."


def _doubt(run: RunResult, met: SynPath) -> str | None:
    """What keeps it from being sure, as the end of a sentence. None: nothing."""
    if met.arrived is None:
        return f"; whether they reached the server was not observed ({facts.why_unseen(run)})."
    if not met.patient:
        return "; each gave up before its second SYN, which chance might have let through."
    if met.timeouts < FEW or met.unanswered is None:
        return ", before the server: too few, or not seen well enough, to be sure."
    return None


def _why_not(run: RunResult, met: SynPath) -> str | None:
    if met.reached is not None:
        return met.reached
    if not run.funnel.connected:
        return "No connect got through: nothing is left alive."
    if met.late * 10 > met.timeouts:
        return f"{plural(met.late, 'connect')} came through at a later SYN: that is chance."
    return (
        "After the first failure hardly any connect got through: a ceiling, no share." if met.went_on is False else None
    )


def _evidence(run: RunResult, met: SynPath) -> list[Evidence]:
    text = f"{plural(run.funnel.connected, 'connect')} succeeded, {met.late:,} of them at a later SYN"
    evidence = [
        connect_timeouts(run),
        measured("funnel", "connected", run.funnel.connected, text, run.funnel.attempted),
    ]
    return evidence + (arrival_evidence(run) if met.timeouts else [])


def remedies(run: RunResult) -> list[Remedy]:
    """Where the dead member is found, and what does not bring it back."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command="the balancer's own list of members and their health; ip route show   # several nexthops",
            works=True,
            changes=[changes.LOOK],
            why="The share that is lost is the dead member's share: a quarter is one of four.",
        ),
        Remedy(
            command=f"ss -ltnp 'sport = :{port}'   # at the server: several listeners, one of them full",
            works=True,
            changes=[changes.LOOK],
            why="A listener of a SO_REUSEPORT group that accepts nothing loses its share of the flows too.",
        ),
        Remedy(
            command=f"for p in $(seq 40000 40015); do nc -zv -w 2 -p $p TARGET {port}; done",
            works=True,
            changes=[changes.LOOK],
            why="A source port fails always or never: that is a hash, and no chance.",
        ),
        Remedy(
            command="take the dead member out, or repair it; a health check does that by itself",
            works=True,
            changes=[changes.mend("a balancer or router on the way")],
            why="What it would have got goes to the others at once.",
        ),
        longer_timeout("Each SYN of a flow meets the same member; a new connect, from another port, may not."),
        Remedy(
            command="nf_conntrack_max, a bigger instance, a bigger backlog",
            works=False,
            changes=[changes.queue()],
            why="Nothing was full: connects went on all the time.",
        ),
    ]


CAUSE = Cause(
    id="path_member_dead",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=1,
    explains={CauseKind.LOST_SYN: "what was lost, was lost at every SYN, by a part of the path"},
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Which flows are lost shows only when connects are made"),
    failures=failures,
    remedies=remedies,
    told_by=frozenset({Probe.SOURCE_PORTS}),
    twin=Rebuilt("several ways between both hosts, one of them dead"),
)
