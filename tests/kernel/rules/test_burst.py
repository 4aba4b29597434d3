import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, accept_queue, syn_queue
from estab.kernel.rules.burst import Clients, Prediction, Server, predict
from estab.kernel.rules.kernel_version import parse

NEW = parse("6.18.44")


def ask(clients: Clients, server: Server, at_s: float | None = None) -> Prediction:
    found = predict(clients, server, at_s)
    assert found is not None
    return found


def lows(found: Prediction) -> tuple[float, ...]:
    """connected, established, half_open, ghosts, waiting; asserts that they are exact."""
    assert found.exact
    return tuple(getattr(found, name).low for name in ("connected", "established", "half_open", "ghosts", "waiting"))


@pytest.mark.parametrize(
    ("cookies", "expected"), [(0, (129, 129, 0, 0, 271)), (1, (400, 129, 0, 271, 0)), (2, (400, 129, 0, 271, 0))]
)
def test_rule_16_within_one_round_trip(cookies: int, expected: tuple[int, ...]) -> None:
    clients = Clients(connects=400, within_s=0.009, rtt_s=0.01)
    assert lows(ask(clients, Server(limit=128, tcp_syncookies=cookies, kernel=NEW))) == expected


def test_rule_16_counters() -> None:
    outcome = ask(Clients(connects=400, within_s=0, rtt_s=0.01), Server(limit=128, kernel=NEW))
    moved = {name: count.low for name, count in outcome.counters.items() if count.high}
    names = ("ListenOverflows", "ListenDrops", "TCPReqQFullDoCookies", "SyncookiesSent", "SyncookiesRecv")
    assert moved == dict.fromkeys(names, 271)


@pytest.mark.parametrize("cookies", [0, 1, 2])
@pytest.mark.parametrize(("connects", "waiting"), [(128, 0), (129, 0), (130, 1), (400, 271)])
def test_rule_16_without_a_round_trip_time(cookies: int, connects: int, waiting: int) -> None:
    outcome = ask(
        Clients(connects=connects, within_s=0.5, rtt_s=0), Server(limit=128, tcp_syncookies=cookies, kernel=NEW)
    )
    assert lows(outcome) == (connects - waiting, connects - waiting, 0, 0, waiting)


def test_rule_16_over_more_than_one_round_trip_is_an_interval() -> None:
    outcome = ask(Clients(connects=400, within_s=0.02, rtt_s=0.01), Server(limit=128, kernel=NEW))
    assert not outcome.exact
    assert (outcome.connected.low, outcome.connected.high) == (129, 400)
    assert 248 in outcome.ghosts
    assert 259 in outcome.ghosts


@pytest.mark.parametrize(
    ("cookies", "within_s", "served", "reset"), [(0, 0.01166, 400, 0), (1, 0.01166, 186, 214), (2, 0.009, 129, 271)]
)
def test_rule_15_served_and_reset(cookies: int, within_s: float, served: int, reset: int) -> None:
    """The figures of rule 15, with SYNs spread evenly over 11.66 ms (what makes 186 of them)."""
    clients = Clients(
        connects=400,
        within_s=within_s,
        rtt_s=0.01,
        segment_bytes=(1400,) * 10,
        spread="even",
        tcp_syn_linear_timeouts=4,
    )
    server = Server(limit=128, tcp_syncookies=cookies, kernel=NEW, accepts_per_s=None, accepts_from_s=0.3)
    outcome = ask(clients, server, at_s=10)
    assert (outcome.accepted.low, outcome.errors["ECONNRESET"].low) == (served, reset)
    assert outcome.connected.low == 400


@pytest.mark.parametrize(("at_s", "waiting", "timed_out"), [(126.9, 271, 0), (127.2, 0, 271)])
def test_rule_17_the_rest_gives_up(at_s: float, waiting: int, timed_out: int) -> None:
    outcome = ask(Clients(connects=400, within_s=0.1, rtt_s=0), Server(limit=128, kernel=NEW), at_s)
    assert (outcome.waiting.low, outcome.errors["ETIMEDOUT"].low) == (waiting, timed_out)
    assert outcome.counters["ListenOverflows"].low == 271 * 7  # the SYN and six retransmissions of each


def test_rule_18_own_timeout_comes_before_the_first_retransmission() -> None:
    clients = Clients(connects=10, within_s=0, rtt_s=0, timeout_s=0.5)
    outcome = ask(clients, Server(limit=4, kernel=NEW), at_s=5)
    assert (outcome.errors["own_timeout"].low, outcome.counters["ListenOverflows"].low) == (5, 5)


def test_rule_4_half_open_ghosts_count_with_every_synack() -> None:
    """Ten SYNs, one every 2.1 ms at 10 ms: ACKs make room for four more half-open ones before the queue is full."""
    clients = Clients(connects=10, within_s=0.0189, rtt_s=0.01, spread="even")
    early = ask(clients, Server(limit=4, tcp_syncookies=0, kernel=NEW))
    assert (early.half_open.low, early.ghosts.low) == (4, 4)
    later = ask(clients, Server(limit=4, tcp_syncookies=0, kernel=NEW), at_s=2)
    again = 4 + 1  # four SYN-ACKs' ACKs, and the tenth client's SYN
    assert later.counters["ListenOverflows"].low - early.counters["ListenOverflows"].low == again


def test_rule_7_abort_on_overflow_resets_the_half_open_ones() -> None:
    clients = Clients(connects=10, within_s=0.0189, rtt_s=0.01, spread="even")
    outcome = ask(clients, Server(limit=4, tcp_syncookies=0, tcp_abort_on_overflow=1, kernel=NEW))
    assert (outcome.errors["ECONNRESET"].low, outcome.counters["EmbryonicRsts"].low) == (4, 4)


def test_a_server_that_accepts_as_fast_as_they_come_loses_nobody() -> None:
    outcome = ask(Clients(connects=1000, within_s=1, rtt_s=0), Server(limit=5, kernel=NEW, accepts_per_s=None))
    assert (outcome.accepted.low, outcome.waiting.low) == (1000, 0)


def test_a_slow_server_overflows_late() -> None:
    clients = Clients(connects=1000, within_s=10, rtt_s=0, spread="even")
    slow = ask(clients, Server(limit=128, kernel=NEW, accepts_per_s=90), at_s=10)
    assert slow.counters["ListenOverflows"].low == 0  # (128 + 1) / (100 - 90) is 12.9 s
    slower = ask(clients, Server(limit=128, kernel=NEW, accepts_per_s=50), at_s=10)
    assert slower.counters["ListenOverflows"].low > 0


@pytest.mark.parametrize(
    ("connects", "cookies", "segments", "expected"),
    [
        # connected, established, waiting, ghosts left, reset
        (400, 1, (), (400, 129, 0, 271, 0)),
        (400, 1, (1400, 1400), (400, 129, 0, 0, 271)),
        (400, 2, (1400, 1400), (400, 129, 0, 0, 271)),
        (400, 0, (1400, 1400), (129, 129, 271, 0, 0)),
        (128, 1, (9, 9), (128, 128, 0, 0, 0)),
        (129, 1, (9, 9), (129, 129, 0, 0, 0)),
        (130, 1, (9, 9), (130, 129, 0, 0, 1)),
        (130, 1, (9,), (130, 129, 0, 1, 0)),
    ],
)
def test_rules_15_and_16_who_is_reset(
    connects: int, cookies: int, segments: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    found = _full_at_once(connects, cookies, segments)
    counts = (found.connected, found.established, found.waiting, found.ghosts, found.errors["ECONNRESET"])
    assert tuple(count.low for count in counts) == expected


@pytest.mark.parametrize(
    ("segments", "reset"),
    [((), 0), ((1400,), 0), ((1400, 1400), 1), ((90, 90), 1), ((1,), 0), ((1, 1), 0), ((1, 1, 1, 1), 0),
     ((1, 1, 1, 1, 1), 1), ((3, 1), 0), ((3, 1, 1), 1), ((4, 1), 1)],
)  # fmt: skip
def test_rule_13_the_second_segment(segments: tuple[int, ...], reset: int) -> None:
    assert _full_at_once(130, 1, segments).errors["ECONNRESET"].low == reset


def _full_at_once(connects: int, cookies: int, segments: tuple[int, ...]) -> Prediction:
    clients = Clients(connects=connects, within_s=0, rtt_s=0.01, segment_bytes=segments)
    return ask(clients, Server(limit=128, tcp_syncookies=cookies, kernel=NEW), at_s=0.02)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 300), st.integers(0, 200), st.sampled_from([0, 1, 2]), st.integers(0, 300), st.booleans())
def test_agrees_with_the_arithmetic(connects: int, limit: int, cookies: int, m: int, writes: bool) -> None:
    segments = (90, 90) if writes else ()
    clients = Clients(connects=connects, within_s=0, rtt_s=0.01, segment_bytes=segments)
    outcome = ask(clients, Server(limit=limit, tcp_syncookies=cookies, tcp_max_syn_backlog=m, kernel=NEW), at_s=0.02)
    flood = syn_queue.flood(connects, limit, m, cookies, NEW)
    assert flood is not None
    # SYN-ACKs leave in the order of the SYNs, and so the half-open ones' ACKs come first.
    connected = flood.half_open + flood.cookies
    in_queue = min(connected, accept_queue.fits(limit))
    reset = min(connected - in_queue, flood.cookies) if writes else 0
    assert outcome.connected.low == connected
    assert outcome.established.low == in_queue
    assert outcome.errors["ECONNRESET"].low == reset
    assert outcome.ghosts.low == connected - in_queue - reset
    assert outcome.waiting.low == flood.dropped == connects - connected


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 200), st.floats(0, 0.1), st.floats(0, 0.1), st.integers(0, 100), st.sampled_from([0, 1, 2]))
def test_every_client_is_somewhere(connects: int, within_s: float, rtt_s: float, limit: int, cookies: int) -> None:
    clients = Clients(connects=connects, within_s=within_s, rtt_s=rtt_s, spread="even")
    outcome = ask(clients, Server(limit=limit, tcp_syncookies=cookies, kernel=NEW))
    assert outcome.established.low + outcome.ghosts.low + outcome.waiting.low == connects
    assert outcome.queued.low <= limit + 1
    assert outcome.counters["ListenDrops"].low >= outcome.counters["ListenOverflows"].low


def test_unknown_where_the_kernel_is() -> None:
    debian = parse("6.1.0-18-amd64")
    assert predict(Clients(connects=1, within_s=0, rtt_s=0), Server(limit=1, kernel=debian)) is None


@pytest.mark.parametrize(
    "clients",
    [
        Clients(connects=-1, within_s=0, rtt_s=0),
        Clients(connects=1, within_s=-1, rtt_s=0),
        Clients(connects=1, within_s=0, rtt_s=-1),
        Clients(connects=1, within_s=0, rtt_s=0, segment_bytes=(0,)),
        Clients(connects=1, within_s=0, rtt_s=0, tcp_syn_retries=0),
    ],
)
def test_refuses(clients: Clients) -> None:
    with pytest.raises(RuleInputError):
        predict(clients, Server(limit=1, kernel=NEW))
