"""Connections that the client closed first hold its local ports in TIME_WAIT.

Source: TCP_TIMEWAIT_LEN (include/net/tcp.h) is 60 s and no sysctl changes it. `tcp_twsk_unique` (net/ipv4/tcp_ipv4.c)
lets connect() take such a port over: tcp_tw_reuse 1 everywhere, 2 (the default since 4.19) on loopback only, with
timestamps, and only after a delay: more than 1 s, since 6.14 tcp_tw_reuse_delay in milliseconds.
So the ceiling is ports / 60 s, or ports / delay with reuse.
"""

from __future__ import annotations

from estab.diagnose import facts, local_ports
from estab.diagnose.advice import changes, ports
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import measured
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.rules.time_wait import TIMEWAIT_LEN_S, reuse_after_s, reuses
from estab.records import Evidence, PortUse, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connects found no port, the range was seen full, and TIME_WAIT is what filled it."""
    count = failures(run)
    evidence = [local_ports.errno_evidence(count), *local_ports.use_evidence(run), *_reuse_evidence(run, count)]
    if not count:
        return Judgement("ruled_out", "Every connect found a local port.", evidence)
    share = local_ports.time_wait_share(run)
    use = run.client.port_use
    fill = local_ports.fill(use) if use else None
    if share is None:
        text = f"{plural(count, 'connect')} found no local port; how many TIME_WAIT holds was not observed."
        return Judgement("possible", text, evidence)
    if share < 0.5 and not (share > 0 and local_ports.fits_without_time_wait(run)):
        return Judgement("ruled_out", "Connects found no port, but TIME_WAIT holds few of them.", evidence)
    if fill is None or fill < local_ports.FULL:
        text = (
            f"{plural(count, 'connect')} found no local port and TIME_WAIT holds many, but the range was not seen full."
        )
        return Judgement("possible", text, evidence)
    text = f"TIME_WAIT filled the range of local ports: {plural(count, 'connect')} found none."
    return Judgement("confirmed", text, evidence)


def failures(run: RunResult) -> int:
    """Connects that found no local port."""
    return local_ports.failed_for_ports(run)


# The ceiling -------------------------------------------------------------------------------------------------------


def _loopback(run: RunResult) -> bool:
    use = run.client.port_use
    return use is not None and (use.address.startswith("127.") or use.address in ("::1", "::ffff:127.0.0.1"))


def _reuse_after_s(run: RunResult) -> float | None:
    """Seconds after which a TIME_WAIT port may be taken over at the latest; None: never, or not known."""
    reuse, kernel = facts.client_sysctl(run, "net.ipv4.tcp_tw_reuse"), facts.release(run.client.before, run.host)
    timestamps = facts.client_sysctl(run, "net.ipv4.tcp_timestamps") != 0
    if reuse not in (0, 1, 2) or kernel is None or not reuses(reuse, loopback=_loopback(run), timestamps=timestamps):
        return None
    delay_ms = facts.client_sysctl(run, "net.ipv4.tcp_tw_reuse_delay")
    return reuse_after_s(kernel, None if delay_ms is None else min(max(delay_ms, 1), TIMEWAIT_LEN_S * 1000)).high


def _ceiling(run: RunResult) -> tuple[float, str] | None:
    """Short connections a second that the ports allow, and the sum in words."""
    use = run.client.port_use
    room = local_ports.capacity(use) if use else None
    if use is None or room is None:
        return None
    room *= max(1, use.sources)
    delay = _reuse_after_s(run)
    seconds = delay or TIMEWAIT_LEN_S
    how = f"{seconds:g} s in TIME_WAIT" if delay is None else f"{seconds:g} s until a port may be reused"
    return room / seconds, f"{plural(room, 'port')} / {how}"


def _reuse_evidence(run: RunResult, count: int) -> list[Evidence]:
    ceiling = _ceiling(run)
    if ceiling is None or not count:
        return []
    per_second, how = ceiling
    rate = run.funnel.connected / run.load_s if run.load_s > 0 else None
    text = f"the ceiling is {per_second:,.1f} connections a second ({how})"
    return [measured("kernel rule", "ports / s", rate, text, per_second)]


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """What works, then what does nothing."""
    pool = Remedy(
        command="keep connections open and reuse them: a connection pool, HTTP keep-alive",
        works=True,
        changes=[changes.POOL],
        why="Nothing closes, so nothing waits: it removes the problem.",
    )
    return [pool, *_reuse_remedies(run), *ports.more_ports(run), *_other_closers(), *_does_nothing()]


def _reuse_remedies(run: RunResult) -> list[Remedy]:
    reuse, kernel = facts.client_sysctl(run, "net.ipv4.tcp_tw_reuse"), facts.release(run.client.before, run.host)
    after = _reuse_after_s(run)
    if after is not None and kernel is not None and kernel.at_least(6, 14):
        why = f"tcp_tw_reuse is {reuse} and at work already, after {after:g} s; this shortens that (since 6.14)."
        sooner = [changes.sysctl("net.ipv4.tcp_tw_reuse_delay", 100, "client")]
        command = "sysctl -w net.ipv4.tcp_tw_reuse_delay=100"
        return [Remedy(command=command, works=True, changes=sooner, why=why)] if after > 0.1 else []
    reused = changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "client")
    if after is not None:
        why = f"It is {reuse} and at work already: a port comes back within {after:g} s, and that is what is short."
        return [Remedy(command="sysctl -w net.ipv4.tcp_tw_reuse=1", works=False, changes=[reused], why=why)]
    if facts.client_sysctl(run, "net.ipv4.tcp_timestamps") == 0:
        command = "sysctl -w net.ipv4.tcp_timestamps=1 net.ipv4.tcp_tw_reuse=1   # on the client"
        both = [changes.sysctl("net.ipv4.tcp_timestamps", 1, "client"), reused]
        return [Remedy(command=command, works=True, changes=both, why="Reuse needs timestamps, which are off here.")]
    stands = {0: "It is 0: a port waits its full 60 s.", 2: "It is 2: on loopback only, and this target is not."}
    why = stands.get(reuse if reuse is not None else -1, "A port comes back after 1 s instead of 60.")
    command = "sysctl -w net.ipv4.tcp_tw_reuse=1   # on the client"
    return [Remedy(command=command, works=True, changes=[reused], why=why)]


def _other_closers() -> list[Remedy]:
    return [
        Remedy(
            command="let the server close first",
            works=True,
            changes=[changes.SERVER_CLOSES],
            why="TIME_WAIT then stands at the server, where it holds no port of the client's.",
        )
    ]


def _does_nothing() -> list[Remedy]:
    return [
        does_nothing(
            "lower_tcp_fin_timeout",
            "sysctl -w net.ipv4.tcp_fin_timeout=10",
            changes=[changes.sysctl("net.ipv4.tcp_fin_timeout", 10, "client")],
        ),
        does_nothing(
            "tcp_tw_reuse_on_server",
            "sysctl -w net.ipv4.tcp_tw_reuse=1   # on the server",
            changes=[changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "server")],
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_tw_recycle=1",
            works=False,
            changes=[changes.elsewhere("a kernel before 4.12, the last that had it")],
            why="Removed in 4.12; before, it lost the connections of clients behind one NAT.",
        ),
        *ports.does_nothing(),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """The range is full now, of TIME_WAIT mostly."""
    return local_ports.full_now(snapshots, _mine, "TIME_WAIT")


def judge_program(run: RunResult) -> Judgement:
    """As `judge_run` where connects were seen to find no port; else whether the range was seen full."""
    return local_ports.judge_program(run, judge_run, _mine, "TIME_WAIT")


def _mine(use: PortUse) -> bool:
    return use.time_wait * 2 >= use.used


CAUSE = Cause(
    id="time_wait_port_exhaustion",
    side="client",
    stage=ConnectionStage.LOCAL_PORT,
    kind=CauseKind.LOCAL_PORTS,
    specificity=1,
    explains={CauseKind.LOCAL_PORTS: "the ports are held by TIME_WAIT"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    judge_program=judge_program,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the port range and the sysctls of TIME_WAIT, under the same short connections"),
)
