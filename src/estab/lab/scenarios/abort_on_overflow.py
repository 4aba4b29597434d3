"""tcp_abort_on_overflow=1: whose final ACK finds the accept queue full is reset, where he would have waited.

`net/ipv4/tcp_minisocks.c tcp_check_req`: a half-open connection that finds no room is reset and forgotten
(EmbryonicRsts); without the sysctl its ACK is dropped and tried again. SYNs on a full queue, and cookies' ACKs, are
dropped as ever (docs/kernel.md rule 7). It takes a queue that fills while handshakes are under way: two waves.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.api.hold import hold
from estab.api.request import LoadOptions
from estab.kernel.rules import accept_queue
from estab.lab.parts.figures import failed, moved, none_failed, queue_sysctls
from estab.lab.parts.scenario import Act, Figure, Played, Remedy, setting
from estab.lab.stage.stage import until
from estab.lab.wire.spec import WireSpec

CAUSE = "abort_on_overflow"
SIDE = "server"
SYMPTOM = "connect works, and the connection is reset by peer a moment later, under bursts only"
SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `--set` changes."""

    waiting: int = setting(100, "connections that wait in the queue already")
    connections: int = setting(129, "clients that connect then, within one round trip")
    backlog: int = setting(128, "what listen() is asked for")
    abort: int = setting(1, "net.ipv4.tcp_abort_on_overflow at the server")
    max_syn_backlog: int = setting(2048, "net.ipv4.tcp_max_syn_backlog at the server")
    rtt_s: float = setting(0.02, "round-trip time")


def predict(s: Settings) -> dict[str, Figure]:
    """All are half-open; as many as the queue still takes are let in, and the others meet rule 7."""
    room = accept_queue.fits(accept_queue.granted(s.backlog, 4096)) - s.waiting
    refused = max(0, s.connections - room)
    effect = accept_queue.final_ack_refused(s.abort)
    resets = refused if effect.refusal == "reset" else 0
    return {"ECONNRESET": resets, "EmbryonicRsts": effect.counters.get("EmbryonicRsts", 0) * refused}


def play(act: Act, s: Settings) -> Played:
    """A wave that fills most of the queue of a server that pauses, and a second one."""
    sysctls = queue_sysctls(4096, 1, s.max_syn_backlog) | {"net.ipv4.tcp_abort_on_overflow": s.abort}
    with act.stage(WireSpec(rtt_s=s.rtt_s), server=sysctls) as stage:
        server = stage.serve(backlog=s.backlog)
        server.tell("pause")
        stage.load(lambda progress: hold(stage.target, connections=s.waiting, duration_s=20, progress=progress))
        until(lambda: stage.server_states()["queued"] == s.waiting, 20, "the first wave waits")
        assert stage.wire is not None
        stage.wire.gather(s.connections)
        load = stage.load(
            lambda progress: hold(
                stage.target,
                connections=s.connections,
                options=LoadOptions(processes=1, timeout_s=0.8),
                duration_s=0.4,
                progress=progress,
            )
        )
        until(lambda: len(stage.wire_report().syns) >= s.waiting + s.connections, 20, "the second wave came")
        stage.quiet()
        server.tell("resume")
        run = stage.finish(server, load)
    measured = {"ECONNRESET": failed(run, "ECONNRESET"), "EmbryonicRsts": moved(run, "EmbryonicRsts")}
    return Played(run, measured)


mended = none_failed  # who waits for the next SYN-ACK is late, but whole
REMEDIES = (
    Remedy("sysctl -w net.ipv4.tcp_abort_on_overflow=0", True, {"abort": 0}),
    Remedy("listen(fd, 1024)", True, {"backlog": 1024}),
    Remedy("sysctl -w net.ipv4.tcp_max_syn_backlog=65536", False, {"max_syn_backlog": 65536}),
)
CONTROL = {"connections": 20}
