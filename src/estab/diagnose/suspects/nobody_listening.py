"""Nothing listens on the target's address and port: each SYN is answered by RST.

Source: `tcp_v4_rcv` (net/ipv4/tcp_ipv4.c) finds no socket and calls `tcp_v4_send_reset`; the client's
`tcp_rcv_synsent_state_process` (net/ipv4/tcp_input.c) makes ECONNREFUSED of it. A firewall's REJECT gives the same
errno. A full accept queue never does: it is silent.
"""

from __future__ import annotations

from typing import Final

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, Listener, Remedy, RunResult, Side, Suspect, Verdict

CAUSE: Final = "nobody_listening"
SIDE: Final[Side] = "server"


def judge(run: RunResult) -> Suspect:
    """Confirmed where most connects were refused and none succeeded, or the listener was seen gone afterwards."""
    count = failures(run)
    evidence = _evidence(run, count)
    if not count:
        return _suspect("ruled_out", "No connect was refused.", evidence, run)
    most = count * 2 > facts.connect_failures(run)
    if not run.funnel.connected and most:
        text = f"Nothing listens at {_target(run)}: {count:,} of {run.funnel.attempted:,} connects were refused."
        return _suspect("confirmed", text, evidence, run)
    if _gone_afterwards(run) and most:
        text = f"The listener went away during the run: {count:,} connects were refused."
        return _suspect("confirmed", text, evidence, run)
    text = f"{count:,} connects were refused while others succeeded: a listener that restarts, or a firewall's REJECT."
    return _suspect("possible", text, evidence, run)


def failures(run: RunResult) -> int:
    """Connects that were refused."""
    return facts.failed(run, ("connect",), ("ECONNREFUSED",))


def _target(run: RunResult) -> str:
    target = run.config.get("target")
    if isinstance(target, str) and target:
        return target
    port = facts.target_port(run)
    return "the target" if port is None else f"port {port}"


def _local_listeners(run: RunResult) -> list[Listener] | None:
    """Who listens on the target's port on the server's host after the run. None: not observed."""
    after = run.server.after if run.server.observed else None
    if after is None or after.listeners is None:
        return None
    port = facts.target_port(run)
    return [found for found in after.listeners if found.port == port]


def _gone_afterwards(run: RunResult) -> bool:
    return facts.target_port(run) is not None and _local_listeners(run) == []


def _suspect(verdict: Verdict, summary: str, evidence: list[Evidence], run: RunResult) -> Suspect:
    remedies = _remedies(run) if verdict in ("confirmed", "possible") else []
    return Suspect(cause=CAUSE, side=SIDE, verdict=verdict, summary=summary, evidence=evidence, remedies=remedies)


def _evidence(run: RunResult, count: int) -> list[Evidence]:
    text = f"{count:,} connects got ECONNREFUSED: a RST came back, at once"
    if not count:
        text = "no connect got ECONNREFUSED"
    evidence = [Evidence(source="failures", field="connect ECONNREFUSED", value=count, threshold=0, text=text)]
    if not count:
        return evidence
    text = f"{run.funnel.connected:,} of {run.funnel.attempted:,} connects succeeded"
    evidence.append(Evidence(source="funnel", field="connected", value=run.funnel.connected, threshold=0, text=text))
    found = _local_listeners(run)
    if found is None:
        text = f"the server's end: {facts.why_unseen(run)} (a firewall's REJECT looks the same)"
        evidence.append(Evidence(source="sock_diag", field="listeners", text=text))
    else:
        where = ", ".join(endpoint(one.address, one.port) for one in found) or "none"
        text = f"listeners on that port after the run: {where}"
        evidence.append(Evidence(source="sock_diag", field="listeners", value=len(found), threshold=1, text=text))
    return evidence


def _remedies(run: RunResult) -> list[Remedy]:
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"ss -ltnp 'sport = :{port}'   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="No line: start the server. 127.0.0.1 in it: it is bound to loopback, bind it to 0.0.0.0 or [::].",
        ),
        Remedy(
            command=f"start the server, on port {port} and on an address that clients reach (0.0.0.0 or [::])",
            works=True,
            changes=[changes.LISTEN],
            why="Nothing listens there: the kernel itself refuses.",
        ),
        Remedy(
            command=f"nft list ruleset | grep -n reject; iptables -S | grep -E 'REJECT|port {port}( |$)'",
            works=True,
            changes=[changes.LOOK],
            why="Where something does listen, a REJECT rule on the way answers in its place.",
        ),
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535",
            works=False,
            changes=[changes.queue()],
            why="A full queue is silent and ends in ETIMEDOUT; it never refuses.",
        ),
        Remedy(
            command="a longer connect timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="The refusal came at once; waiting changes nothing.",
        ),
    ]
