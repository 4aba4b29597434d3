import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.kernel.rules import RuleInputError, syn_queue
from estab.kernel.rules.accept_queue import granted
from estab.kernel.rules.kernel_version import parse

NEW = parse("6.18.44")

# docs/kernel.md's table: backlog, somaxconn, tcp_max_syn_backlog, tcp_syncookies, SYN_RECV after 6,000 unanswered SYNs.
TABLE = [
    (5, 4096, 2048, 0, 6), (5, 4096, 2048, 1, 6), (5, 4096, 2048, 2, 0),
    (128, 128, 2048, 0, 129), (128, 128, 2048, 1, 129),
    (128, 128, 128, 0, 97), (128, 4096, 64, 0, 49),
    (1024, 4096, 128, 0, 97), (1024, 4096, 128, 1, 1025),
    (4096, 4096, 2048, 0, 1537), (4096, 4096, 2048, 1, 4097),
]  # fmt: skip


@pytest.mark.parametrize(("backlog", "somaxconn", "max_syn_backlog", "cookies", "expected"), TABLE)
def test_the_table(backlog: int, somaxconn: int, max_syn_backlog: int, cookies: int, expected: int) -> None:
    outcome = syn_queue.flood(6000, granted(backlog, somaxconn), max_syn_backlog, cookies, NEW)
    assert outcome is not None
    assert outcome.half_open == expected


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("5.15.176", 128), ("5.15.177", 129), ("5.15.178", 129), ("6.1.124", 128), ("6.1.125", 129), ("6.1.192", 129),
        ("6.12.9", 128), ("6.12.10", 129), ("6.12.117", 129), ("6.13.0", 129), ("6.11.11", 128), ("4.4.0", 128),
        ("6.1.0-18-amd64", None), ("6.14.0-27-generic", 129),
    ],
)  # fmt: skip
def test_rule_9_changed(release: str, expected: int | None) -> None:
    assert syn_queue.fits_backlog(128, parse(release)) == expected


@pytest.mark.parametrize(
    ("m", "expected"),
    [(0, 1), (1, 2), (3, 4), (4, 4), (5, 5), (63, 49), (64, 49), (65, 50), (127, 97), (128, 97), (129, 98)],
)
def test_rule_10_three_quarters_and_one(m: int, expected: int) -> None:
    assert syn_queue.fits_max_syn_backlog(m) == expected


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_around_the_bound_of_the_backlog(extra: int) -> None:
    dropped = max(0, extra)
    off = syn_queue.flood(129 + extra, 128, 2048, 0, NEW)
    on = syn_queue.flood(129 + extra, 128, 2048, 1, NEW)
    assert off is not None
    assert on is not None
    assert (off.half_open, off.dropped, off.bound) == (129 + extra - dropped, dropped, "backlog" if dropped else "none")
    assert off.counters == ({"TCPReqQFullDrop": 1, "ListenDrops": 1} if dropped else {})
    assert (on.half_open, on.cookies) == (129 + extra - dropped, dropped)
    assert on.counters == ({"TCPReqQFullDoCookies": 1, "SyncookiesSent": 1} if dropped else {})


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_around_the_bound_of_m(extra: int) -> None:
    outcome = syn_queue.flood(97 + extra, 128, 128, 0, NEW)
    assert outcome is not None
    assert outcome.half_open == min(97, 97 + extra)
    assert outcome.counters == ({"ListenDrops": 1} if extra == 1 else {})
    assert outcome.bound == ("tcp_max_syn_backlog" if extra == 1 else "none")


def test_rule_10_does_not_bind_proven_peers() -> None:
    assert syn_queue.fits(128, 128, 0, NEW, proven_peers=True) == 129


def test_a_hidden_patch_level_is_unknown_only_where_it_matters() -> None:
    debian = parse("6.1.0-18-amd64")
    assert syn_queue.fits(128, 2048, 1, debian) is None
    assert syn_queue.fits(128, 128, 0, debian) == 97  # the bound of M is lower either way
    assert syn_queue.fits(128, 128, 2, debian) == 0
    assert syn_queue.flood(10, 128, 2048, 1, debian) is None


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000), st.sampled_from([0, 1, 2]))
def test_every_syn_has_one_fate(syns: int, limit: int, m: int, cookies: int) -> None:
    outcome = syn_queue.flood(syns, limit, m, cookies, NEW)
    assert outcome is not None
    assert outcome.half_open + outcome.cookies + outcome.dropped == syns
    assert outcome.half_open <= limit + 1
    assert outcome.dropped == 0 or cookies == 0
    assert outcome.counters.get("ListenDrops", 0) == outcome.dropped


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_rule_11_m_is_never_asked_with_cookies(m: int, other: int) -> None:
    assert syn_queue.fits(128, m, 1, NEW) == syn_queue.fits(128, other, 1, NEW)


@pytest.mark.parametrize(("cookies", "m"), [(3, 0), (-1, 0), (0, -1)])
def test_refuses(cookies: int, m: int) -> None:
    with pytest.raises(RuleInputError):
        syn_queue.fits(5, m, cookies, NEW)
