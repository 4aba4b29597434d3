from __future__ import annotations

import typing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.diagnose import runs
from tests.diagnose.anything import of

from estab.diagnose import judge
from estab.diagnose.cause import Cause
from estab.diagnose.suspects import CAUSES
from estab.records import (
    DIAGNOSIS_SCHEMA,
    Diagnosis,
    Failure,
    Requests,
    RunResult,
    ServerSide,
    Worker,
    decode,
    encode,
)

ROOT = Path(__file__).resolve().parents[2]
ORDER = [cause.id for cause in CAUSES]
EXPLAINS = {
    (origin.id, other.id): why
    for origin in CAUSES
    for other in CAUSES
    if (why := origin.why_it_explains(other)) is not None
}


def verdicts(run: RunResult) -> dict[str, str]:
    return {s.cause: s.verdict for s in judge(run).suspects}


# One stem everywhere -----------------------------------------------------------------------------------------------


def test_every_suspect_has_a_file_a_page_and_tests() -> None:
    places = {"src/estab/diagnose/suspects": "{}.py", "docs/causes": "{}.md", "tests/diagnose": "test_{}.py"}
    for folder, pattern in places.items():
        assert [cause for cause in ORDER if not (ROOT / folder / pattern.format(cause)).exists()] == []
    assert len(ORDER) == len(set(ORDER))


def test_the_list_follows_a_connections_way() -> None:
    """The more specific of a kind first, so that what explains stands before what it explains: there is no circle."""
    for cause in CAUSES:
        print(f"{cause.stage.name:13} {cause.id:26} {cause.specificity} {cause.kind.value if cause.kind else ''}")
    assert [cause.stage for cause in CAUSES] == sorted(cause.stage for cause in CAUSES)
    for origin, consequence in EXPLAINS:
        assert ORDER.index(origin) < ORDER.index(consequence)


def test_what_is_explained_is_a_cause_or_a_kind() -> None:
    for cause in CAUSES:
        assert {key for key in cause.explains if isinstance(key, str)} <= set(ORDER)
        assert all(why and not why.endswith(".") for why in cause.explains.values())


# One cause ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_each_limit_is_named_and_alone(cause: Cause) -> None:
    diagnosis = judge(runs.MET[cause.id]())
    assert (diagnosis.cause, diagnosis.side) == (cause.id, cause.side)
    assert [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"] == [cause.id]
    winner = next(s for s in diagnosis.suspects if s.cause == cause.id)
    unseen = sum(s.verdict == "not_observed" for s in diagnosis.suspects)
    told = f" {unseen} of {len(CAUSES)} causes can't be seen from here" if unseen else ""
    assert diagnosis.summary.startswith(winner.summary + told)
    assert winner.evidence
    assert {r.works for r in winner.remedies} == {True, False}


@pytest.mark.parametrize("run", [runs.rejected(), runs.rejected("EHOSTUNREACH")])
def test_a_filter_that_answers_is_named_too(run: RunResult) -> None:
    diagnosis = judge(run)
    assert (diagnosis.cause, diagnosis.side) == ("path_filtered", "path")
    assert [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"] == ["path_filtered"]


@pytest.mark.parametrize(
    ("run", "loser", "words"),
    [
        (runs.stalled(), "accept_queue_overflow", "Explained by server_not_accepting: a queue that nobody empties"),
        (runs.server_without_descriptors(), "accept_queue_overflow", "Explained by server_open_files: accept() takes"),
    ],
)
def test_what_is_only_a_consequence_says_so(run: RunResult, loser: str, words: str) -> None:
    found = next(s for s in judge(run).suspects if s.cause == loser)
    assert found.verdict == "possible"
    assert words in found.summary
    assert found.remedies == []
    assert found.evidence


def test_a_server_without_descriptors_that_accepted_nothing_more() -> None:
    """All three links of the chain confirm by themselves; the first is the cause."""
    timeline = [
        runs.point(t / 10, attempted=400, connected=186, accepted=57, queue_depth=min(129, 20 * t), server_fds=64)
        for t in range(31)
    ]
    diagnosis = judge(runs.server_without_descriptors(timeline=timeline))
    assert diagnosis.cause == "server_open_files"
    explained = [s.cause for s in diagnosis.suspects if s.summary.startswith("Explained by server_open_files")]
    # The queue of 128 is somaxconn too: what cut it would be the cause, if anybody emptied it.
    assert explained == ["server_not_accepting", "backlog_clamped", "accept_queue_overflow"]


@pytest.mark.parametrize(
    ("without_port", "cause"), [(300, "accept_queue_overflow"), (400, "time_wait_port_exhaustion")]
)
def test_two_that_met_independently_the_costlier_is_named(without_port: int, cause: str) -> None:
    """A storm of short connections: the ports and the queue at once. 327 connects timed out."""
    ten_ports = runs.ports(used=10, worst_source_used=10, time_wait=10, capacity=10)
    storm = runs.overflowed(
        failures=[runs.failure("connect", "own_timeout", 327), runs.failure("connect", "EADDRNOTAVAIL", without_port)],
        client={"port_use": ten_ports},
    )
    diagnosis = judge(storm)
    assert diagnosis.cause == cause
    other = {"accept_queue_overflow", "time_wait_port_exhaustion"} - {cause}
    loser = next(s for s in diagnosis.suspects if s.cause in other)
    assert loser.verdict == "possible"
    assert f"Met as well, but {cause} accounts for more" in loser.summary
    assert loser.remedies


def test_at_equal_cost_the_kernels_counters_come_before_our_own_lag() -> None:
    workers = [runs.worker(worst_lag_ms=9000.0)]
    run = runs.overflowed(config={"in_flight": 2000}, client={"workers": workers}, syn_retransmits={})
    diagnosis = judge(run)
    assert diagnosis.cause == "accept_queue_overflow"
    loser = next(s for s in diagnosis.suspects if s.cause == "generator_saturated")
    assert loser.verdict == "possible"
    assert "explained by accept_queue_overflow" in loser.summary


def test_accept_failures_are_no_clients_cost() -> None:
    """accept() fails over and over for the same waiting connection: its count says nothing about clients."""
    run = runs.client_without_descriptors(
        server=runs.embedded(),
        failures=[runs.failure("connect", "EMFILE", 304), runs.failure("accept", "EMFILE", 90_000)],
    )
    assert judge(run).cause == "client_open_files"


# Who is named where several are true: the more specific of them, as far as it is what cost most ----------------------

STALLED = runs.watch(worst_depth=129, last_depth=129, full_samples=9, rose_only=True, drops=900, accepted_at_end=0)


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        # The clamp is the reason only where it was cut and where a longer queue would have held.
        (runs.clamped(1024), "backlog_clamped"),
        (runs.clamped(None), "backlog_clamped"),
        (runs.clamped(128), "accept_queue_overflow"),
        # Resets name cookies or the sysctl where they are most of the damage; else the queue behind them.
        (runs.reset_by_cookies(), "cookie_reset"),
        (
            runs.reset_by_cookies(
                failures=[runs.failure("write", "ECONNRESET", 20), runs.failure("connect", "own_timeout", 21)]
            ),
            "accept_queue_overflow",
        ),
        (
            runs.aborted(failures=[runs.failure("read", "ECONNRESET", 20), runs.failure("connect", "own_timeout", 21)]),
            "accept_queue_overflow",
        ),
        # A storm is one of short connections, and of too little patience.
        (runs.storm(0.5), "short_connection_storm"),
        (runs.storm(1.0), "short_connection_storm"),
        (runs.storm(1.1), "backlog_clamped"),
        (runs.storm(0.5).replace(command="hold"), "backlog_clamped"),
        # A server that stopped is the origin of whatever its queue does.
        (
            runs.storm(
                server=runs.local(STALLED, deltas=runs.deltas(ListenOverflows=900)),
                funnel=runs.funnel(500, 130, accepted=0),
                timeline=runs.stuck_timeline(129),
            ),
            "server_not_accepting",
        ),
        (runs.stalled(config={"backlog_asked": 1024}), "server_not_accepting"),
        # CPU to spare: the queue is short, its accepting thread is not starved.
        (runs.starved(0.3), "accept_queue_overflow"),
        # More packets met a full accept queue than a full SYN queue.
        (runs.syn_flooded(ListenOverflows=2000, ListenDrops=2900), "backlog_clamped"),
    ],
)
def test_precedence(run: RunResult, cause: str) -> None:
    assert judge(run).cause == cause


# Healthy -----------------------------------------------------------------------------------------------------------

SERVERS: dict[str, ServerSide] = {
    "embedded": runs.embedded(),
    "local": runs.local(runs.watch(worst_depth=3)),
    "unreadable": runs.local(processes=None),
    "remote": runs.remote(),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("shape", ["hold", "bench", "flood", "churn"])
def test_a_healthy_run_accuses_nobody(shape: str, server: ServerSide) -> None:
    run = {
        "hold": runs.run(server=server),
        "bench": runs.healthy_bench(server),
        "flood": runs.healthy_bench(server).replace(config={"mode": "flood", "connections": 100, "depth": 64}),
        "churn": runs.healthy_churn(server),
    }[shape]
    diagnosis = judge(run)
    assert diagnosis.cause is None
    assert diagnosis.side is None
    assert {s.verdict for s in diagnosis.suspects} <= {"ruled_out", "not_observed"}
    for suspect in diagnosis.suspects:
        assert suspect.evidence, suspect.cause
        assert suspect.remedies == []
    assert diagnosis.summary.startswith("Nothing failed")


def test_what_was_not_observed_is_not_ruled_out() -> None:
    found = verdicts(runs.run(server=runs.remote()))
    unseen = {cause for cause, verdict in found.items() if verdict == "not_observed"}
    assert unseen >= {
        "server_open_files",
        "server_not_accepting",
        "accept_thread_starved",
        "defer_accept_drops",
        "syn_queue_overflow",
        "backlog_clamped",
        "accept_queue_overflow",
    }


def test_a_remote_server_that_is_silent_is_never_confirmed() -> None:
    run = runs.stalled(server=runs.remote())
    diagnosis = judge(run)
    assert diagnosis.cause is None
    assert {s.cause for s in diagnosis.suspects if s.verdict == "possible"} == {
        "path_flow_table_full",  # the first succeeded, then none: a full flow table looks so too
        "server_open_files",
        "server_not_accepting",
        "accept_queue_overflow",
    }
    assert "no cause is confirmed" in diagnosis.summary


# No cause ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (runs.run(failures=[runs.failure("read", "wrong_bytes", 3)]), "all of them replies that are not an echo (3)"),
        (runs.run(failures=[runs.failure("status", "503", 1)]), "connected; the one reply was 503."),
        (
            runs.run(
                failures=[runs.failure("status", "503", 4_312), runs.failure("status", "404", 8)],
                requests=Requests(count=10_000, http_status={"200": 5_680, "404": 8, "503": 4_312}),
            ),
            "All 400 connections connected; 4,320 of 10,000 replies were 503 (4,312), 404 (8).",
        ),
        (
            runs.run(failures=[runs.failure("read", "eof", 1), runs.failure("status", "500", 9)]),
            "1 failure, all of them closed by the peer at read (1); none of the known causes explains it. And all 9 "
            "replies were 500.",
        ),
        (runs.run(funnel=runs.funnel(0, 0)), "Nothing was attempted"),
        (runs.run(client={"workers": [runs.worker(lost="killed")]}), "one of our own workers was lost"),
        (runs.run(server=runs.remote()), "can't be seen from here: --server-via"),
        (runs.run(failures=[Failure(phase="accept", errno="ECONNABORTED", count=2)]), "Nothing failed"),
    ],
)
def test_without_a_cause_the_summary_says_what_is_known(run: RunResult, words: str) -> None:
    diagnosis = judge(run)
    assert diagnosis.cause is None
    assert words in diagnosis.summary


# Any record at all -------------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(run=of(RunResult))
def test_never_raises_and_names_at_most_one_cause(run: RunResult) -> None:
    diagnosis = judge(run)
    confirmed = [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"]
    assert confirmed == ([diagnosis.cause] if diagnosis.cause else [])
    assert [s.cause for s in diagnosis.suspects] == ORDER
    assert diagnosis.summary
    assert all(s.summary and (s.evidence or s.verdict == "not_observed") for s in diagnosis.suspects)
    assert decode(encode(diagnosis), Diagnosis, DIAGNOSIS_SCHEMA).cause == diagnosis.cause


BENT = st.fixed_dictionaries(
    {},
    optional={
        "server": st.builds(
            lambda watch, **fields: runs.local(runs.watch(**watch), **fields),
            watch=st.fixed_dictionaries(
                {
                    "worst_depth": st.integers(0, 131),
                    "last_depth": st.integers(0, 131),
                    "rose_only": st.booleans(),
                    "drops": st.none() | st.integers(0, 3),
                    "queued_at_end": st.none() | st.integers(0, 131),
                    "accepted_at_end": st.none() | st.integers(0, 3),
                }
            ),
            observed=st.booleans(),
            deltas=st.none() | st.builds(runs.deltas, ListenOverflows=st.integers(0, 3)),
        ),
        "failures": st.lists(
            st.builds(
                runs.failure,
                phase=st.sampled_from(["connect", "write", "read", "accept"]),
                errno=st.sampled_from(["EMFILE", "EADDRNOTAVAIL", "ECONNREFUSED", "own_timeout", "eof", "EPIPE"]),
                count=st.integers(1, 400),
            ),
            max_size=3,
        ),
        "client": st.fixed_dictionaries(
            {
                "workers": st.lists(st.builds(runs.worker, worst_lag_ms=st.none() | st.floats(0, 9000)), max_size=2),
                "port_use": st.none()
                | st.builds(runs.ports, used=st.integers(0, 12), time_wait=st.integers(0, 12), capacity=st.just(10)),
            }
        ),
    },
)


@settings(max_examples=400, deadline=None)
@given(fields=BENT)
def test_plausible_runs_keep_to_the_rules(fields: dict[str, typing.Any]) -> None:
    run = runs.run(**fields)
    diagnosis = judge(run)
    confirmed = [s.cause for s in diagnosis.suspects if s.verdict == "confirmed"]
    assert confirmed == ([diagnosis.cause] if diagnosis.cause else [])
    if not run.server.observed:
        assert diagnosis.cause not in {"accept_queue_overflow", "server_not_accepting"}
    for suspect in diagnosis.suspects:
        assert bool(suspect.remedies) <= (suspect.verdict in ("confirmed", "possible"))
    assert judge(run) == diagnosis


def test_the_judge_reads_only_the_record() -> None:
    """The same bytes give the same verdict: a run from another machine is judged as here."""
    run = runs.stalled(client={"workers": [Worker(pid=1, role="client")]})
    again = decode(encode(run), RunResult, "estab.run/1")
    assert judge(again) == judge(run)
