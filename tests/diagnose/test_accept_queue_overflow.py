from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone


def verdict(listener: dict[str, object], counters: dict[str, int] | None, **fields: object) -> str:
    return alone(
        "accept_queue_overflow", runs.run(server=runs.local(runs.watch(**listener), deltas=counters), **fields)
    ).verdict


@pytest.mark.parametrize(
    ("listener", "overflows", "deferred", "expected"),
    [
        # The limit and one more: B+1 fit, and only what is turned away beyond that counts.
        ({"worst_depth": 128, "drops": 0}, 0, 0, "ruled_out"),
        ({"worst_depth": 129, "drops": 0}, 0, 0, "ruled_out"),
        ({"worst_depth": 129, "drops": 7}, 7, 0, "confirmed"),
        # Ten samples a second can miss the peak: the listener's own drops tell.
        ({"worst_depth": 128, "drops": 7}, 7, 0, "confirmed"),
        ({"worst_depth": 0, "drops": 7}, 7, 0, "confirmed"),
        # The namespace overflowed, but another listener did.
        ({"worst_depth": 129, "drops": 0}, 7, 0, "ruled_out"),
        ({"worst_depth": 0, "drops": 0}, 7, 0, "ruled_out"),
        # sk_drops alone never means overflow: TCP_DEFER_ACCEPT, the SYN queue (docs/kernel.md rule 5).
        ({"worst_depth": 0, "drops": 50}, 0, 50, "ruled_out"),
        ({"worst_depth": 0, "drops": 50}, 0, 0, "ruled_out"),
        ({"worst_depth": 0, "drops": 50}, 3, 50, "not_observed"),
        ({"worst_depth": 0, "drops": 50}, 3, 47, "confirmed"),
        ({"worst_depth": 129, "drops": 50}, 3, 50, "confirmed"),
        # What was not read.
        ({"worst_depth": 129, "drops": None}, 7, 0, "confirmed"),
        ({"worst_depth": 128, "drops": None}, 7, 0, "not_observed"),
    ],
)
def test_needs_both_the_namespaces_counter_and_something_of_this_listener(
    listener: dict[str, object], overflows: int, deferred: int, expected: str
) -> None:
    counters = runs.deltas(ListenOverflows=overflows, TCPDeferAcceptDrop=deferred)
    assert verdict(listener, counters) == expected


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"worst_depth": 129, "drops": 7}, "not_observed"),  # drops alone, of unknown kind
        ({"worst_depth": 129, "drops": None}, "not_observed"),
        ({"worst_depth": 129, "drops": 0}, "ruled_out"),
    ],
)
def test_without_counters_drops_of_unknown_kind_prove_nothing(listener: dict[str, object], expected: str) -> None:
    assert verdict(listener, None) == expected


def test_what_cannot_be_told_is_possible_where_connections_suffered() -> None:
    suffered = {"failures": [runs.failure("connect", "ETIMEDOUT", 3)]}
    assert verdict({"worst_depth": 129, "drops": None}, None, **suffered) == "possible"


def test_counters_fall_back_on_the_two_snapshots() -> None:
    before = runs.snapshot(counters={"TcpExt.ListenOverflows": 100})
    after = runs.snapshot(counters={"TcpExt.ListenOverflows": 107})
    server = runs.local(runs.watch(worst_depth=129, drops=None), deltas=None, before=before, after=after)
    suspect = alone("accept_queue_overflow", runs.run(server=server))
    assert suspect.verdict == "confirmed"
    assert any(e.field == "TcpExt.ListenOverflows" and e.value == 7 for e in suspect.evidence)


def test_slow_connects_without_a_failure_confirm() -> None:
    server = runs.local(runs.watch(worst_depth=129, drops=30), deltas=runs.deltas(ListenOverflows=30))
    suspect = alone("accept_queue_overflow", runs.run(syn_retransmits={"0": 370, "1": 30}, server=server))
    assert suspect.verdict == "confirmed"
    assert "30 connects had to send their SYN again" in suspect.summary


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "not_observed"),
        ({"failures": [runs.failure("connect", "own_timeout", 9)]}, "possible"),
        ({"failures": [runs.failure("connect", "ETIMEDOUT", 9)]}, "possible"),
        ({"failures": [runs.failure("write", "EPIPE", 9)]}, "possible"),
        ({"syn_retransmits": {"0": 399, "1": 1}}, "possible"),
        # Who was answered had been accepted: what is late then waits for the program.
        ({"failures": [runs.failure("read", "own_timeout", 9)], "funnel": runs.funnel(first_byte=400)}, "ruled_out"),
        ({"failures": [runs.failure("read", "own_timeout", 9)], "funnel": runs.funnel(first_byte=399)}, "possible"),
        # Closing early and refusing is nothing that a full queue does.
        ({"failures": [runs.failure("read", "eof", 9)]}, "not_observed"),
        ({"failures": [runs.failure("connect", "ECONNREFUSED", 9)]}, "not_observed"),
    ],
)
def test_the_client_alone_never_confirms(fields: dict[str, object], expected: str) -> None:
    assert alone("accept_queue_overflow", runs.run(server=runs.remote(), **fields)).verdict == expected


def test_reuseport_zero_drops_of_the_fullest_do_not_speak_for_the_others() -> None:
    counters = runs.deltas(ListenOverflows=5)
    assert verdict({"listeners": 4, "worst_depth": 129, "drops": 0}, counters) == "confirmed"
    assert verdict({"listeners": 1, "worst_depth": 129, "drops": 0}, counters) == "ruled_out"


def test_cookie_resets_and_ghosts_stand_in_the_evidence() -> None:
    full = runs.watch(worst_depth=129, drops=900, queued_at_end=129, accepted_at_end=60)
    server = runs.local(full, deltas=runs.deltas(ListenOverflows=900, SyncookiesFailed=2140))
    failures = [runs.failure("write", "ECONNRESET", 11)]
    suspect = alone(
        "accept_queue_overflow", runs.run(funnel=runs.funnel(400, 400, accepted=60), failures=failures, server=server)
    )
    fields = {e.field: e.value for e in suspect.evidence}
    assert fields["TcpExt.SyncookiesFailed"] == 2140
    assert fields["ghosts"] == 400 - 11 - 189


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(
    somaxconn: int | None, name: str = "app", limit: int = 128, **fields: object
) -> dict[str, tuple[bool, str]]:
    full = runs.watch(limit=limit, worst_depth=limit + 1, drops=9)
    sysctls = {"net.core.somaxconn": None if somaxconn is None else [somaxconn]}
    owner = runs.Process(pid=9, name=name, fds=20, nofile_soft=1024)
    server = runs.local(
        full, deltas=runs.deltas(ListenOverflows=9), before=runs.snapshot(sysctls=sysctls), processes=[owner]
    )
    return {
        r.command: (r.works, r.why)
        for r in alone("accept_queue_overflow", runs.run(**{"server": server, **fields})).remedies
    }


def test_a_limit_at_somaxconn_needs_the_sysctl_and_a_new_listen() -> None:
    found = remedies(128)
    assert found["sysctl -w net.core.somaxconn=512"][0]
    assert found["restart the server"][0]
    assert not found["a bigger backlog in the program alone"][0]


def test_a_limit_below_somaxconn_is_the_programs_own() -> None:
    found = remedies(4096, name="nginx")
    command = next(c for c in found if c.startswith("listen 5000 backlog=512;"))
    assert found[command][0]
    assert "The program asked for only" in found[command][1]
    assert not any(works and "somaxconn" in c for c, (works, _) in found.items())


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nginx", "backlog=512"),
        ("redis-server", "tcp-backlog 512"),
        ("node", "backlog: 512"),
        ("python3.11", "sock.listen(512)"),
        ("java", "ServerSocket(5000, 512)"),
        ("unheard-of", "listen(fd, 512)"),
    ],
)
def test_the_programs_setting_is_named(name: str, word: str) -> None:
    assert any(word in command for command in remedies(4096, name=name))


def test_an_unknown_program_gets_them_all() -> None:
    why = next(why for command, (_, why) in remedies(4096).items() if command.startswith("listen("))
    for word in ("nginx", "tcp-backlog", "server.listen({backlog", "sock.listen", "Go: somaxconn"):
        assert word in why


def test_an_embedded_server_says_what_was_asked_and_granted() -> None:
    full = runs.watch(limit=128, worst_depth=129, drops=9)
    run = runs.run(config={"backlog_asked": 1024}, server=runs.embedded(full, deltas=runs.deltas(ListenOverflows=9)))
    found = {r.command: r for r in alone("accept_queue_overflow", run).remedies}
    assert "1,024 was asked for, 128 was granted" in found["--backlog 512"].why


@pytest.mark.parametrize(("cookies", "named"), [(1, True), (2, True), (None, True), (0, False)])
def test_tcp_max_syn_backlog_does_nothing_with_cookies_on(cookies: int | None, named: bool) -> None:
    before = runs.snapshot(sysctls={"net.ipv4.tcp_syncookies": None if cookies is None else [cookies]})
    server = runs.local(runs.watch(worst_depth=129, drops=9), deltas=runs.deltas(ListenOverflows=9), before=before)
    found = [
        r
        for r in alone("accept_queue_overflow", runs.run(server=server)).remedies
        if "tcp_max_syn_backlog" in r.command
    ]
    assert bool(found) is named
    assert not any(r.works for r in found)


def test_a_bigger_queue_is_futile_where_clients_keep_coming_faster() -> None:
    """1,000 a second come, 200 are accepted: 512 instead of 128 delays the overflow by 384 / 800 = 0.48 s."""
    timeline = [
        runs.point(t / 10, attempted=100 * t, connected=20 * t, accepted=20 * t, queue_depth=129, queue_limit=128)
        for t in range(31)
    ]
    full = runs.watch(worst_depth=129, drops=9, full_samples=30)
    server = runs.local(full, deltas=runs.deltas(ListenOverflows=9))
    found = alone(
        "accept_queue_overflow", runs.run("churn", config={"connections": 400}, timeline=timeline, server=server)
    ).remedies
    bigger = next(r for r in found if r.command.startswith("sysctl -w net.core.somaxconn=512"))
    assert not bigger.works
    assert "delays the overflow by 0.5 s, and no more" in bigger.why
    assert found[0].works
    assert "200/s were accepted while 1,000/s came." in found[0].why


def test_an_unseen_listener_is_to_be_looked_at_first() -> None:
    run = runs.run(server=runs.remote(), failures=[runs.failure("connect", "ETIMEDOUT", 5)])
    assert alone("accept_queue_overflow", run).remedies[0].command.startswith("nstat -az TcpExtListenOverflows")


def test_hold_shows_a_foreign_servers_accepts_by_its_descriptors() -> None:
    timeline = [runs.point(t / 10, attempted=400, open=17, queue_depth=9, server_fds=8 + 2 * t) for t in range(20)]
    found = alone("accept_queue_overflow", runs.overflowed(timeline=timeline)).remedies
    assert any("With connections waiting, 20/s were accepted." in r.why for r in found)


def test_a_bigger_queue_works_for_a_burst() -> None:
    found = alone("accept_queue_overflow", runs.overflowed()).remedies
    assert found[0].command == "sysctl -w net.core.somaxconn=512"
    assert found[0].works


@pytest.mark.parametrize(("timeout_s", "named"), [(0.3, True), (1.0, True), (3.0, False), (0, False)])
def test_a_timeout_that_never_sees_a_retransmission_is_named(timeout_s: float, named: bool) -> None:
    run = runs.overflowed(config={"timeout_s": timeout_s})
    assert any(r.command == "--timeout 3" for r in alone("accept_queue_overflow", run).remedies) is named


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("accept_queue_overflow", runs.run()).verdict == "ruled_out"
