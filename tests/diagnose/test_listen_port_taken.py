"""Nothing listens on a port, and a socket that does not listen has it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose import port_holders
from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.records import Listener, PortHolder, Program, RunResult, ServerSockets

TIME_WAIT = PortHolder(state="TIME-WAIT", address="10.0.0.5", peer_address="192.0.2.7", peer_port=443)
BOUND = PortHolder(state="BOUND-INACTIVE", address="0.0.0.0")
ACCEPTED = PortHolder(state="TIME-WAIT", address="10.0.0.5", peer_address="192.0.2.9", peer_port=51_234)


def at_port(port: int) -> RunResult:
    """As `port_taken`, at another port."""
    run = runs.port_taken()
    return run.replace(config={"target": f"10.0.0.5:{port}", "port": port})


def program(*errnos: str, exit: int = 1, traced: bool = True, run: RunResult | None = None, **config: Any) -> RunResult:
    """`estab run -- SERVER`, whose bind() failed so."""
    failed = [runs.failure("bind", errno, 3) for errno in errnos] if traced else None
    seen = Program(name="nginx", exit=exit, seen="traced" if traced else "sampled", bind_failures=failed)
    base = runs.port_taken(before=False, refused=0) if run is None else run
    return base.replace(command="run", funnel=runs.funnel(0, 0), program=seen, config=config or base.config)


def listening() -> RunResult:
    run = runs.port_taken()
    there = [Listener(family=4, address="0.0.0.0", port=40_000, depth=0, limit=128)]
    assert run.server.after is not None
    return run.replace(server=run.server.replace(after=run.server.after.replace(listeners=there, port_holders=None)))


def unread() -> RunResult:
    run = runs.port_taken()
    assert run.server.after is not None
    return run.replace(server=run.server.replace(after=run.server.after.replace(port_holders=None)))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.port_taken(), "confirmed"),
        (runs.port_taken(TIME_WAIT), "confirmed"),
        (runs.port_taken(BOUND), "possible"),  # or the server itself, before its listen()
        (runs.port_taken(before=False), "possible"),
        (runs.port_taken(after=False), "ruled_out"),
        (runs.port_taken(ACCEPTED), "ruled_out"),  # a server here had accepted it: SO_REUSEADDR is enough
        (at_port(8080), "ruled_out"),  # connect() takes no such port: it was accepted, whatever its peer's is
        (runs.port_taken(refused=0), "ruled_out"),
        (listening(), "ruled_out"),
        (unread(), "not_observed"),
        (runs.refused(), "not_observed"),
        (runs.run(), "ruled_out"),
        (program("EADDRINUSE"), "confirmed"),
        (program("EACCES"), "ruled_out"),
        (program("EADDRINUSE", target=None), "possible"),  # at which port is not seen
        (program(traced=False), "possible"),
        (program(traced=False, exit=0), "ruled_out"),
        (program("EADDRINUSE", run=listening()), "ruled_out"),
    ],
)
def test_a_port_that_nobody_listens_on(run: RunResult, expected: str) -> None:
    assert alone("listen_port_taken", run).verdict == expected


def test_it_is_named_in_place_of_nobody_listening() -> None:
    said = judge(runs.port_taken())
    verdicts = {suspect.cause: suspect.verdict for suspect in said.suspects}
    assert (said.cause, verdicts["nobody_listening"]) == ("listen_port_taken", "possible")
    assert said.summary.startswith(
        "Nothing listens on port 40000, and a connection of curl (pid 77) from that port to 192.0.2.7:443 (ESTAB) has "
        "it: bind() to it fails (EADDRINUSE)."
    )


def test_a_port_that_nobody_has_is_nobody_listening() -> None:
    assert judge(runs.port_taken(before=False, after=False)).cause == "nobody_listening"


def test_who_has_it_and_how_many_more() -> None:
    assert port_holders.words([BOUND], 80) == "a socket that did bind() to 0.0.0.0:80 alone has it"
    several = port_holders.words([TIME_WAIT, TIME_WAIT, TIME_WAIT], 40_000)
    assert several == "a connection from that port to 192.0.2.7:443 (TIME-WAIT) has it, and 2 more do"


def test_remedies_name_the_port_and_who_has_it() -> None:
    found = alone("listen_port_taken", runs.port_taken()).remedies
    assert any(each.command.startswith("sysctl -w net.ipv4.ip_local_reserved_ports=40000 ") for each in found)
    assert any("kill 77; ss -K sport = :40000" in each.command for each in found)
    assert [each.works for each in found if "SO_REUSEADDR" in each.command] == [False]


def test_a_look_at_one_port() -> None:
    sockets = ServerSockets(port=40_000, states={}, queued=0, accepted=0)

    def verdict(holders: list[PortHolder] | None) -> str:
        looked = runs.snapshot(listeners=[], port_holders=holders, server_sockets=sockets)
        return next(
            suspect.verdict
            for suspect in judge_snapshots(None, looked).suspects
            if suspect.cause == "listen_port_taken"
        )

    assert [verdict(each) for each in ([TIME_WAIT], [ACCEPTED], None)] == ["possible", "ruled_out", "not_observed"]
