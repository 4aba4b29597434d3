"""A CPU's receive queue is full: the machine drops packets that have arrived, before IP sees them.

Source: `enqueue_to_backlog` (net/core/dev.c): loopback, veth, tunnels and RPS put packets into a queue for each CPU;
one longer than net.core.netdev_max_backlog drops them, which counts in the second column of /proc/net/softnet_stat for
the machine, and in rx_dropped of the interface. So the interfaces of a namespace tell how many of the machine's drops
can have been its own. A driver with NAPI and without RPS passes that queue by.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NotRebuilt
from estab.diagnose.evidence import measured, packets_lost, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW, syn_path
from estab.records import Evidence, Remedy, RunResult, Snapshot, Verdict
from estab.words import plural

_FILE = "/proc/net/softnet_stat"
_ELSEWHERE = "the receive queues of the whole machine"
_LOST = "dropped in a full receive queue of the machine"


@dataclass(frozen=True)
class Dropped:
    """Packets that one end's machine dropped in between, and how many of them at most at its own interfaces.

    `own` None: what the interfaces dropped was not observed.
    """

    end: str
    machine: int
    own: int | None

    @property
    def evidence(self) -> list[Evidence]:
        """Both, where they were observed."""
        text = f"the {self.end}'s machine dropped {plural(self.machine, 'packet')} from full receive queues in between"
        told = [measured(_FILE, "dropped", self.machine, text)]
        if self.own is None:
            text = f"what the {self.end}'s interfaces dropped was not read"
            return [*told, unknown("/proc/net/dev", "rx_dropped", text)]
        text = f"at most {self.own:,} of them at interfaces of the {self.end}'s namespace (rx_dropped)"
        return [*told, measured("/proc/net/dev", "rx_dropped", self.own, text)]


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the ends' own interfaces dropped more than half as many as were lost, from full queues."""
    lost, dropped = facts.packets_lost(run), _dropped(run)
    evidence = [packets_lost(run)]
    evidence += [fact for each in dropped for fact in each.evidence]
    return Judgement(*_weigh(run, lost, dropped), evidence)


def failures(run: RunResult) -> int:
    """Connections that got no answer in time, as far as the ends' own interfaces dropped so many packets."""
    return min(facts.timeouts(run), sum(each.own or 0 for each in _dropped(run)))


def between(end: str, before: Snapshot | None, after: Snapshot | None) -> Dropped | None:
    """What one end's machine dropped between two moments. None: not observed."""
    then, now = (taken.softnet if taken is not None else None for taken in (before, after))
    if then is None or now is None:
        return None
    machine = max(0, now.dropped - then.dropped)
    rose = _interfaces(before, after)
    return Dropped(end, machine, None if rose is None else min(machine, rose))


def _interfaces(before: Snapshot | None, after: Snapshot | None) -> int | None:
    """By how much rx_dropped of a namespace's interfaces rose, of those that were there at both moments."""
    if before is None or after is None or before.nics is None or after.nics is None:
        return None
    then = {nic.name: nic.rx_dropped for nic in before.nics}
    known = [(then.get(nic.name), nic.rx_dropped) for nic in after.nics]
    return sum(max(0, now - was) for was, now in known if was is not None and now is not None)


def _dropped(run: RunResult) -> list[Dropped]:
    """Each end that was observed; a namespace that both are in once."""
    dropped = (between(end, side.before, side.after) for end, side in facts.ends_once(run))
    return [each for each in dropped if each is not None]


def _weigh(run: RunResult, lost: int, dropped: list[Dropped]) -> tuple[Verdict, str]:
    if not lost:
        return "ruled_out", "Nothing was lost: each connect and request was answered in time."
    if not dropped:
        return "not_observed", "What the machine's receive queues dropped was not observed."
    # Two namespaces of one machine are shown the same drops.
    machine = max(each.machine for each in dropped)
    if not machine and not run.server.observed:
        return "not_observed", "The client's machine dropped nothing on arrival; the server's was not observed."
    return _whom_it_met(run, lost, machine, sum(each.own or 0 for each in dropped))


def _whom_it_met(run: RunResult, lost: int, machine: int, own: int) -> tuple[Verdict, str]:
    """Whether the machine's drops can be those of what was lost: as far as the ends' own interfaces tell."""
    if machine * 2 <= lost:
        many = "nothing" if not machine else f"{plural(machine, 'packet')} only"
        return "ruled_out", f"The receive queues dropped {many}, and {plural(lost, 'connection')} lost packets."
    told = f"The machine dropped {plural(machine, 'packet')} from full receive queues"
    if own * 2 <= lost or own < FEW:
        return "possible", f"{told}, {own:,} of them at most at interfaces of these two ends: they may be of others."
    if syn_path(run).arrived:
        return "possible", f"{told}, but what failed had arrived at the listener."
    suffered = plural(lost, "connection")
    return "confirmed", f"{told} as they arrived, up to {own:,} at these ends: {suffered} lost packets."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Drops at interfaces of this namespace while its TCP had to send again: never more than possible."""
    seen = between("host", snapshots.before, snapshots.after)
    if seen is None:
        text = snapshots.why_no_deltas or "The machine's receive queues were not observed at both moments."
        return Judgement("not_observed", text, [unknown(_FILE, "dropped", text)])
    again = snapshots.rose("Tcp.RetransSegs")
    told = f"The machine dropped {plural(seen.machine, 'packet')} from full receive queues"
    if seen.machine < FEW:
        return Judgement("ruled_out", "The machine's receive queues dropped hardly a packet.", seen.evidence)
    if (seen.own or 0) < FEW or not again or again < FEW:
        return Judgement("ruled_out", f"{told}: none that this namespace's TCP missed.", seen.evidence)
    text = f"{told}, up to {seen.own or 0:,} of this namespace, whose TCP sent {plural(again, 'segment')} again."
    return Judgement("possible", text, seen.evidence)


def remedies(_run: RunResult) -> list[Remedy]:
    """Longer queues, or more CPUs that empty them."""
    return [
        Remedy(
            command="awk '{print $2}' /proc/net/softnet_stat; ip -s link; mpstat -P ALL 1   # twice: which CPU's rises",
            works=True,
            changes=[changes.LOOK],
            why="A line a CPU; where one alone drops, one alone takes in all packets (%soft near 100).",
        ),
        Remedy(
            command="sysctl -w net.core.netdev_max_backlog=10000   # in the initial network namespace",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Counts at once. It holds bursts; a CPU that is always behind fills any queue.",
        ),
        Remedy(
            command="echo ff > /sys/class/net/eth0/queues/rx-0/rps_cpus; ethtool -L eth0 combined N; irqbalance",
            works=True,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Packets of different flows are then taken in by several CPUs.",
        ),
        bigger_backlog("The packet was dropped before IP saw it: no queue of a socket was asked."),
        Remedy(
            command="sysctl -w net.core.rmem_max=16777216; ethtool -G eth0 rx 4096",
            works=False,
            changes=[changes.elsewhere(_ELSEWHERE)],
            why="Buffers of sockets come after this queue, and the interface's ring before it.",
        ),
    ]


CAUSE = Cause(
    id="softnet_drops",
    side="server",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=3,
    explains={CauseKind.LOST_SYN: f"the packets were {_LOST}", "path_data_loss": f"the data was {_LOST}"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("the receive queues are the whole machine's (netdev_max_backlog of the initial namespace)"),
)
