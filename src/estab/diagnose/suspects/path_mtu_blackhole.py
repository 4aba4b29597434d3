"""Big segments vanish on the way, and no ICMP says so: connects and small requests work, big ones hang.

Source: a link that takes less than the packet's size should answer by ICMP "fragmentation needed" (RFC 1191); where a
firewall drops that, or a tunnel never sends it, the sender repeats a segment that can't pass
(`tcp_v4_mtu_reduced`, net/ipv4/tcp_ipv4.c, is never called). RFC 2923 calls it a black hole. What tells it from loss of
all data: the same request in segments of 536 bytes (TCP_MAXSEG) passes.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.data_path import DataPath, beginnings_lost, data_path, request_bytes, why_not
from estab.diagnose.evidence import measured, unknown
from estab.kernel.rules.segment_size import SMALL_MSS
from estab.records import Evidence, Remedy, RunResult, SizeProbe, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the same request passed in small segments and not in full ones."""
    data = data_path(run)
    verdict, summary = _weigh(run, data)
    evidence = data.evidence(run) + (_evidence(run.size_probe) if data.stalled or run.size_probe is not None else [])
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connections that got no answer in time."""
    return data_path(run).stalled


def _weigh(run: RunResult, data: DataPath) -> tuple[Verdict, str]:
    probe = run.size_probe
    if probe is not None and (told := _border_told(probe, data)) is not None:
        return "confirmed", told
    innocent = why_not(run, data)
    if innocent is not None and not beginnings_lost(run, data):
        return "ruled_out", innocent
    if probe is None:
        return _weigh_untried(run)
    verdict, summary = _weigh_tried(probe, data)
    if verdict == "confirmed" and innocent is not None:  # the server may have answered one and not the other
        return "possible", f"{summary} Ends of answers came, and their beginnings did not."
    return verdict, summary


def _weigh_untried(run: RunResult) -> tuple[Verdict, str]:
    if (request_bytes(run) or 0) <= SMALL_MSS:
        return "ruled_out", f"What was lost had no more than {SMALL_MSS} bytes, which every path takes."
    return "not_observed", "Whether smaller segments pass was not tried."


def _weigh_tried(probe: SizeProbe, data: DataPath) -> tuple[Verdict, str]:
    if not _passed(probe, data, small=True):
        return "ruled_out", f"Segments of {probe.small_mss} bytes were lost as well: it is not their size."
    if _passed(probe, data, small=False):
        return "ruled_out", "Full segments passed when they were tried after the run."
    size = plural(probe.size_bytes, "byte")
    told = f"a request of {size} passes in segments of {probe.small_mss} and not in full ones"
    return "confirmed", f"Big segments vanish on the way: {told}; {plural(data.stalled, 'connection')} got no answer."


def _border_told(probe: SizeProbe, data: DataPath) -> str | None:
    """From which size on packets are lost, which way. None: that was not found."""
    if probe.passes_bytes is None or probe.loses_bytes is None:
        return None
    way = "to the server" if probe.lost == "requests" else "from the server"
    told = (
        f"IP packets {way} of up to {plural(probe.passes_bytes, 'byte')} pass, and of {probe.loses_bytes:,} none does"
    )
    stalled = f"; {plural(data.stalled, 'connection')} got no answer" if data.stalled else ""
    return f"Big segments vanish on the way: {told}{stalled}."


def _passed(probe: SizeProbe, data: DataPath, *, small: bool) -> bool:
    """Whether what the run lost, the request or its answer, passed.

    A request has passed where it was acknowledged: its server may be busy waiting for those that never came.
    """
    if data.requests_lost:
        return bool(probe.small_acknowledged if small else probe.full_acknowledged)
    return bool(probe.small_answered if small else probe.full_answered)


def _evidence(probe: SizeProbe | None) -> list[Evidence]:
    if probe is None:
        return [unknown("a probe by size", "small_answered", "whether smaller segments pass was not tried")]
    evidence = []
    for name, mss, acknowledged, answered in (
        (
            "small_answered",
            f"segments of {plural(probe.small_mss, 'byte')}",
            probe.small_acknowledged,
            probe.small_answered,
        ),
        ("full_answered", "full segments", probe.full_acknowledged, probe.full_answered),
    ):
        if acknowledged is None:
            continue
        way = "acknowledged" if acknowledged else "never acknowledged"
        back = "answered" if answered else "not answered"
        text = f"after the run a request of {plural(probe.size_bytes, 'byte')} in {mss}: {way}, {back}"
        evidence.append(measured("a probe by size", name, str(bool(answered)).lower(), text, None))
    if probe.passes_bytes is not None:
        text = f"IP packets of {plural(probe.passes_bytes, 'byte')} pass, those of {probe.loses_bytes or 0:,} are lost"
        evidence.append(measured("a probe by size", "passes_bytes", probe.passes_bytes, text, probe.loses_bytes))
    return evidence


def remedies(run: RunResult) -> list[Remedy]:
    """The size that fits, who should say it, and what does not shrink a segment."""
    host = facts.target_address(run) or "TARGET"
    passes = run.size_probe.passes_bytes if run.size_probe is not None else None
    fits = f"mtu {1400 if passes is None else passes}"
    size = f"-s {1372 if passes is None else passes - 28}"
    return [
        Remedy(
            command=f"ping -M do {size} {host}; tracepath -n {host}   # the biggest that is answered, plus 28",
            works=True,
            changes=[changes.LOOK],
            why="The size at which it stops is that of the narrow link; try it from both ends.",
        ),
        Remedy(
            command=f"ip link set dev eth0 {fits}   # both ends, or the tunnel's own interface: the size that passes",
            works=True,
            changes=[changes.MTU],
            why="Each end announces segments that fit; new connections use it at once.",
        ),
        Remedy(
            command="nft add rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu   # the router",
            works=True,
            changes=[changes.elsewhere("the router clamps the size in SYNs")],
            why="Both ends then send segments that fit the narrow link.",
        ),
        Remedy(
            command="nft accept icmp type destination-unreachable, icmpv6 type packet-too-big   # on each firewall",
            works=True,
            changes=[changes.elsewhere("firewalls let ICMP too-big through")],
            why="Then the sender is told, and shrinks its segments by itself (path MTU discovery).",
        ),
        Remedy(
            command="a longer request timeout, bigger socket buffers",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="The same segment is sent again, and is as big each time.",
        ),
        bigger_backlog("No queue was full: the connection stands."),
    ]


CAUSE = Cause(
    id="path_mtu_blackhole",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_DATA,
    specificity=1,
    explains={
        CauseKind.LOST_DATA: "small segments pass",
        "server_not_accepting": "the program waits for data that does not arrive, and accepts nobody meanwhile",
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Which sizes pass shows only when they are sent"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a wire that loses packets above 1,200 bytes"),
)
