"""The verdict on a program that is no load of ours: the same causes, from what can be seen of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.test_snapshots import moment

from estab.diagnose import judge
from estab.diagnose.suspects import CAUSES
from estab.lab.twin.from_program import as_load
from estab.records import (
    Process,
    Program,
    ProgramCgroup,
    ProgramConnects,
    ProgramCpu,
    ProgramTarget,
    ProgramThread,
    RunResult,
    ServerSide,
    Verdict,
)

RANGE = "ephemeral_port_exhaustion"
CURL = Program(name="curl", seen="sampled", exit=0)
SEEN_THERE = ProgramTarget(address="127.0.0.1", port=5000, seen=1)
OPEN_THERE = SEEN_THERE.replace(most_open=1)
NO_LISTENER = ServerSide(observed=True, after=moment(listeners=[]))


def program(of: RunResult | None = None, **fields: Any) -> RunResult:
    """A run as it looks where a program made it: no word of ours on descriptors, ports and what was read."""
    run = of if of is not None else runs.run()
    failures = [each for each in run.failures if each.errno not in ("EMFILE", "EADDRNOTAVAIL")]
    failures = [each.replace(errno="gave_up") if each.errno == "own_timeout" else each for each in failures]
    client = run.client.replace(workers=[], **fields.pop("client", {}))
    values = {"program": CURL, "failures": failures, "client": client, "syn_retransmits": {}}
    return run.replace(command="run", config={"target": "127.0.0.1:5000"}, **{**values, **fields})


def process(fds: int, nofile: int = 64) -> Process:
    return Process(pid=77, name="wrk", fds=fds, nofile_soft=nofile, nofile_hard=nofile)


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        (program(), None),
        (program(runs.overflowed()), "accept_queue_overflow"),
        (program(runs.refused(server=NO_LISTENER)), "nobody_listening"),
        (program(runs.refused(server=NO_LISTENER), program=CURL.replace(seen="traced")), "nobody_listening"),
        (program(runs.refused(server=NO_LISTENER)).replace(config={}), None),
        (program(runs.refused(server=NO_LISTENER), program=CURL.replace(targets=[OPEN_THERE])), None),
        (program(runs.refused()), None),  # another host's
        (program(runs.refused(), program=CURL.replace(targets=[SEEN_THERE])), "nobody_listening"),
        # Refused there, or by a target of another program's: one connect went well, or one of its own was open.
        (program(runs.refused(), program=CURL.replace(targets=[SEEN_THERE]), funnel=runs.funnel(501, 1)), None),
        (program(runs.refused(), program=CURL.replace(targets=[OPEN_THERE])), None),
        (program(runs.refused(), program=CURL.replace(targets=[SEEN_THERE.replace(worst_resent=1)])), None),
        (program(runs.refused(), program=CURL.replace(targets=[SEEN_THERE])).replace(command="attach"), None),
        (program(runs.own_reject()), "own_firewall"),
        (program(runs.range_full()), "time_wait_port_exhaustion"),
        (program(client={"processes": [process(64)]}), "client_open_files"),
        (program(client={"processes": [process(63)]}), None),
        (program(client={"port_use": runs.ports(used=10, worst_source_used=10, capacity=10)}), RANGE),
        (program(client={"port_use": runs.ports(used=9, worst_source_used=9, capacity=10)}), None),
        (
            program(client={"port_use": runs.ports(used=10, time_wait=6, worst_source_used=10, capacity=10)}),
            "time_wait_port_exhaustion",
        ),
    ],
)  # fmt: skip
def test_the_cause(run: RunResult, cause: str | None) -> None:
    diagnosis = judge(run)
    assert diagnosis.cause == cause, diagnosis.summary
    assert re.search(r"can't be seen of a program that is (sampled|traced)", diagnosis.summary)


def verdict(run: RunResult, cause: str) -> Verdict:
    return next(suspect.verdict for suspect in judge(run).suspects if suspect.cause == cause)


@pytest.mark.parametrize(
    "cause",
    [
        "generator_saturated",
        "server_idle_close",
        "closed_with_data_unread",
        "path_data_loss",
        "server_connection_limit",
    ],
)
def test_what_only_a_load_of_ours_can_know_is_not_observed(cause: str) -> None:
    assert verdict(program(), cause) == "not_observed"


def test_descriptors_of_a_process_that_serves_are_the_servers() -> None:
    full = process(64)
    run = program(server=runs.local(processes=[full]), client={"processes": [full]})
    assert verdict(run, "client_open_files") == "not_observed"


def test_without_descriptors_and_ports_read_neither_is_ruled_out() -> None:
    run = program(client={"port_use": None})
    assert {verdict(run, name) for name in ("client_open_files", "ephemeral_port_exhaustion")} == {"not_observed"}


def test_every_suspect_says_something_and_a_program_without_connections_is_well() -> None:
    empty = program(
        server=runs.remote("nothing was seen"),
        funnel=runs.funnel(0, 0, accepted=None, completed=0),
        client={"before": None, "after": None, "port_use": None},
    )
    diagnosis = judge(empty)
    assert [suspect.cause for suspect in diagnosis.suspects] == [cause.id for cause in CAUSES]
    assert diagnosis.cause is None
    assert diagnosis.summary.startswith("curl used no TCP connection that was seen: no limit was met.")


def test_what_was_not_seen_is_said() -> None:
    run = program(program=CURL.replace(unseen=["it is in another network namespace"]))
    assert "Not seen: it is in another network namespace." in judge(run).summary


@pytest.mark.parametrize(
    ("connects", "said"),
    [
        (ProgramConnects(targets=5, attempted=600, connected=597, failed=3), True),
        (ProgramConnects(targets=1, attempted=500, connected=500, failed=0), False),
    ],
)
def test_connects_to_other_targets(connects: ProgramConnects, said: bool) -> None:
    run = program(program=CURL.replace(seen="traced", connects=connects))
    assert run.funnel.attempted == 400
    assert ("200 connects to 4 other targets beside, of which 3 failed." in judge(run).summary) == said


def test_lost_events_are_said_and_the_figures_are_the_least() -> None:
    run = program(program=CURL.replace(seen="traced", lost_events=1200))
    assert "1,200 trace events were lost: there were more connects than are counted." in judge(run).summary


@pytest.mark.parametrize(
    ("cgroup", "said"),
    [
        (ProgramCgroup(cores=0.5, periods=100, throttled=87, throttled_us=4_300_000), "0.5 cores, stopped it in 87 of"),
        (ProgramCgroup(pids_max=20, pids_refused=3), "refused 3 times: its cgroup allows 20 (pids.max)"),
        (ProgramCgroup(pids_refused=1), "refused 1 time: its cgroup allows no more (pids.max)"),
        (ProgramCgroup(memory_max_bytes=1 << 20, oom_kills=1), "1 process was killed for want of memory"),
        (ProgramCgroup(cores=2.0, periods=100, throttled=1, throttled_us=100), None),
        (ProgramCgroup(pids_max=20, pids_refused=0), None),
    ],
)
def test_what_its_cgroup_did_to_it(cgroup: ProgramCgroup, said: str | None) -> None:
    summary = judge(program(program=CURL.replace(cgroup=cgroup))).summary
    assert said in summary if said else "cgroup" not in summary


def cpu(ran_s: float, waited_s: float, seen_s: float = 5.0, pid: int = 77) -> ProgramCpu:
    busiest = ProgramThread(pid=pid, tid=pid, ran_s=ran_s, waited_s=waited_s, seen_s=seen_s)
    return ProgramCpu(threads=2, ran_s=ran_s + 0.1, waited_s=waited_s, busiest=busiest)


@pytest.mark.parametrize(
    ("of", "seen", "expected"),
    [
        (None, CURL.replace(cpu=cpu(4.5, 0.4)), "ruled_out"),  # busy, and it had a core
        (None, CURL.replace(cpu=cpu(0.1, 0.4, seen_s=0.6)), "ruled_out"),  # a hiccup
        (None, CURL.replace(cpu=cpu(1.0, 3.5)), "not_observed"),  # whether that hurt it is its own to say
        (None, CURL.replace(cpu=cpu(1.0, 3.5), exit=1), "not_observed"),  # an exit code that says nothing of time
        (None, CURL.replace(cpu=cpu(1.0, 3.5), exit=28), "possible"),
        (None, CURL.replace(cpu=cpu(1.0, 3.5), exit=28, name="wrk"), "not_observed"),
        (None, CURL.replace(cpu=cpu(1.0, 3.5), exit=124, name="timeout"), "possible"),
        (None, CURL.replace(cpu=cpu(4.5, 0.4), exit=28), "ruled_out"),
        (None, CURL.replace(exit=28), "not_observed"),
        # What the kernel was not answered, or what was refused, is not for want of a core.
        (runs.dropped(), CURL.replace(cpu=cpu(1.0, 3.5), exit=28), "ruled_out"),
        (runs.refused(server=NO_LISTENER), CURL.replace(cpu=cpu(1.0, 3.5), exit=28), "ruled_out"),
    ],
)
def test_waiting_for_a_core_is_accused_where_nothing_else_can_have_failed(
    of: RunResult | None, seen: Program, expected: Verdict
) -> None:
    assert verdict(program(of, program=seen), "generator_saturated") == expected


def test_waiting_for_a_core_is_said_where_it_was_long() -> None:
    long = program(program=CURL.replace(cpu=cpu(1.0, 3.5)), client={"processes": [process(9)]})
    said = "The busiest thread of wrk (pid 77) waited 3.5 s of 5.0 s for a core that others had, and ran 1.0 s"
    assert f"{said}: what it measured came late by that." in judge(long).summary
    assert "for a core" not in judge(program(program=CURL.replace(cpu=cpu(4.0, 0.9)))).summary
    assert "Its busiest thread (pid 4) waited" in judge(program(program=CURL.replace(cpu=cpu(1, 3, pid=4)))).summary


def test_whom_others_or_a_quota_kept_from_a_core() -> None:
    """A quota stops it while cores are idle; and what only serves measures nothing."""
    stopped = CURL.replace(cpu=cpu(1.0, 3.5), cgroup=ProgramCgroup(throttled=9, throttled_us=1))
    assert "of 5.0 s for a core, and ran 1.0 s" in judge(program(program=stopped)).summary
    serves = runs.funnel(0, 0, accepted=9, completed=0)
    assert "for a core" not in judge(program(program=stopped, funnel=serves)).summary


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (CURL.replace(exit=7), "used no TCP connection that was seen: whether a limit was met is not known. A connect"),
        (CURL, "used no TCP connection that was seen: no limit was met. A connect that fails before it has a route"),
        (CURL.replace(seen="traced"), "used no TCP connection that was seen: no limit was met. "),
        (CURL.replace(seen="traced", exit=7), "seen: no limit was met. It ended with exit code 7."),
        (CURL.replace(exit=7), "as root. It ended with exit code 7."),
        (CURL.replace(exit=7, listens_on=["[::]:80"]), "connected nowhere: no limit was met. It ended with exit code"),
    ],
)
def test_a_command_of_which_no_connect_was_seen(seen: Program, said: str) -> None:
    assert said in judge(program(program=seen, funnel=runs.funnel(0, 0, accepted=None, completed=0))).summary


def test_an_exit_code_beside_connects_that_went_well_and_beside_a_cause() -> None:
    bad = CURL.replace(exit=56)
    assert "no limit was met. It ended with exit code 56." in judge(program(program=bad)).summary
    assert "exit code" not in judge(program(runs.overflowed(), program=bad)).summary


@pytest.mark.parametrize(
    ("run", "command", "connections"),
    [
        (program(timeline=[runs.point(0.1, open=400)]), "hold", 400),
        (program(timeline=[runs.point(0.1, open=4)]), "churn", 4),
        (program(client={"processes": [process(64)]}, funnel=runs.funnel(60, 60)), "churn", 1),
        (
            program(
                client={"processes": [process(64)]}, funnel=runs.funnel(60, 60), timeline=[runs.point(0.1, open=60)]
            ),
            "hold",
            71,
        ),
    ],
)
def test_a_twin_plays_it_as_a_load(run: RunResult, command: str, connections: int) -> None:
    assumed: list[str] = []
    load = as_load(run.replace(diagnosis=judge(run)), assumed)
    assert (load.command, load.config["connections"]) == (command, connections)
    assert len(assumed) == 1
