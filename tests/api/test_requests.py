"""Requests and options are checked when they are made, and name their parameters; the record's config comes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from tests.diagnose import runs

from estab import BenchRequest, ChurnRequest, HoldRequest, LoadOptions, RunResult, Service, UsageError
from estab.api.asking import AskingRequest
from estab.cluster.messages import Order
from estab.load.plan import MOST_CONNECTIONS, MOST_DEPTH, MOST_SIZE
from estab.records import RUN_SCHEMA, decode, encode


@pytest.mark.parametrize(
    ("make", "parameter"),
    [
        (partial(HoldRequest, connections=0), "connections"),
        (partial(HoldRequest, connections=-5), "connections"),
        (partial(HoldRequest, connections=MOST_CONNECTIONS + 1), "connections"),
        (partial(HoldRequest, duration_s=0.0), "duration_s"),
        (partial(HoldRequest, duration_s=float("nan")), "duration_s"),
        (partial(HoldRequest, duration_s=float("inf")), "duration_s"),
        (partial(HoldRequest, in_flight=0), "in_flight"),
        (partial(HoldRequest, ramp_per_s=0.0), "ramp_per_s"),
        (partial(HoldRequest, ramp_per_s=float("nan")), "ramp_per_s"),
        (partial(HoldRequest, trickle_per_s=0.0), "trickle_per_s"),
        (partial(HoldRequest, churn_rate_per_s=float("inf")), "churn_rate_per_s"),
        (partial(ChurnRequest, size_bytes=-1), "size_bytes"),
        (partial(ChurnRequest, size_bytes=MOST_SIZE + 1), "size_bytes"),
        (partial(ChurnRequest, attempts=-1), "attempts"),
        (partial(ChurnRequest, arrivals="constant"), "arrivals"),
        (partial(ChurnRequest, close="slam"), "close"),
        (partial(ChurnRequest, first_close="nobody"), "first_close"),
        (partial(BenchRequest, size_bytes=0), "size_bytes"),
        (partial(BenchRequest, depth=0), "depth"),
        (partial(BenchRequest, depth=MOST_DEPTH + 1), "depth"),
        (partial(BenchRequest, mode="fast"), "mode"),
        (partial(BenchRequest, mode="rate"), "rate_per_s"),
        (partial(BenchRequest, rate_per_s=5.0), "rate_per_s"),
        (partial(BenchRequest, mode="rate", rate_per_s=0.0), "rate_per_s"),
        (partial(BenchRequest, mode="rate", rate_per_s=5.0, depth=2), "depth"),
        (partial(BenchRequest, mode="flood", depth=2), "depth"),
        (partial(BenchRequest, arrivals="constant"), "arrivals"),
        (partial(BenchRequest, arrivals="never"), "arrivals"),
        (partial(BenchRequest, http="x"), "http"),
        (partial(BenchRequest, http="/", request=b"?"), "request"),
        (partial(BenchRequest, http="/", size_bytes=9), "size_bytes"),
        (partial(BenchRequest, http="/", until=b"x"), "until"),
        (partial(BenchRequest, request=b"?"), "until"),
        (partial(BenchRequest, request=b"GET / HTTP/2\r\n\r\n"), "until"),
        (partial(BenchRequest, request=b"", until=b"x"), "request"),
        (partial(BenchRequest, request=bytes((1 << 20) + 1), until=b"x"), "request"),
        (partial(BenchRequest, request=b"?", until=b""), "until"),
        (partial(BenchRequest, request=b"?", until=b"x" * 256), "until"),
        (partial(BenchRequest, request=b"?", until=b"x", reply_bytes=1), "reply_bytes"),
        (partial(BenchRequest, request=b"?", reply_bytes=0), "reply_bytes"),
        (partial(BenchRequest, until=b"x"), "until"),
        (partial(BenchRequest, until_close=True), "until_close"),
        (partial(ChurnRequest, reply_bytes=5), "reply_bytes"),
        (partial(HoldRequest, http="/"), "trickle_per_s"),
        (partial(HoldRequest, size_bytes=5), "trickle_per_s"),
        (partial(HoldRequest, trickle_per_s=1.0, request=b"?", until_close=True), "until_close"),
        (partial(LoadOptions, timeout_s=-1.0), "timeout_s"),
        (partial(LoadOptions, processes=0), "processes"),
    ],
)
def test_what_cannot_be_is_not_made(make: Callable[[], object], parameter: str) -> None:
    with pytest.raises(UsageError, match=f"`{parameter}`"):
        make()


def test_the_config_is_what_was_asked() -> None:
    assert HoldRequest(connections=10).config() == {
        "connections": 10, "duration_s": 5.0, "ramp_per_s": None, "in_flight": 10, "reset": False,
        "trickle_per_s": None, "size_bytes": None, "churn_rate_per_s": None,
    }  # fmt: skip
    assert BenchRequest(mode="rate", rate_per_s=9.0).config()["arrivals"] == "poisson"
    assert BenchRequest().config()["arrivals"] is None


@pytest.mark.parametrize(("embedded", "size_bytes"), [(True, 1), (False, 0)])
def test_a_churn_asks_once_where_the_server_would_be_outrun(embedded: bool, size_bytes: int) -> None:
    target = None if embedded else "10.0.0.2:80"
    assert ChurnRequest().resolved(target).config()["size_bytes"] == size_bytes
    assert ChurnRequest(size_bytes=7).resolved(target).size_bytes == 7


@pytest.mark.parametrize(
    ("request_", "target", "words"),
    [
        (BenchRequest(http="/"), None, "`http` needs a `target`"),
        (BenchRequest(), "https://h/x", "is TLS.*estab run -- oha https://h/x"),
        (BenchRequest(request=b"?", until=b"!"), "wss://h/x", "is TLS"),
        (ChurnRequest(http="/"), "https://h/", "is TLS"),
        (BenchRequest(size_bytes=9), "http://h/", "`size_bytes`.*`target` 'http://h/' asks for a page"),
        (BenchRequest(), "http://h/ü", "`target` has the path"),
        (BenchRequest(mode="flood", request=b"?", until_close=True), "h:1", "`mode` flood asks again"),
        (BenchRequest(request=b"?", until_close=True, depth=2), "h:1", "`depth` 2 asks again"),
    ],
)
def test_what_cannot_be_asked_there(request_: BenchRequest | ChurnRequest, target: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        request_.resolved(target)


@pytest.mark.parametrize(
    ("request_", "target", "asked"),
    [
        (BenchRequest(), "h:1", {"size_bytes": 64}),
        (BenchRequest(), "http://h:1/a?b#c", {"size_bytes": None, "http": "/a?b"}),
        (BenchRequest(http="/b"), "http://h:1/a", {"http": "/b"}),
        (BenchRequest(), "ws://h:1/a", {"size_bytes": 64}),
        (BenchRequest(request=b"\0\n", until=b"\\"), "http://h:1/a", {"request": r"\x00\n", "until": r"\\"}),
        (BenchRequest(request=b"?" * 5000, reply_bytes=7), "h:1", {"request_bytes": 5000, "reply_bytes": 7}),
        (ChurnRequest(), "http://h/", {"http": "/", "size_bytes": None}),
        (ChurnRequest(), "https://h/", {"size_bytes": 0}),
        (ChurnRequest(size_bytes=0), "http://h/", {"size_bytes": 0}),
        (ChurnRequest(request=b"?", until_close=True), "h:1", {"first_close": "server", "until_close": True}),
        (HoldRequest(), "http://h/", {"size_bytes": None}),
        (HoldRequest(), "https://h/", {"size_bytes": None}),
        (HoldRequest(trickle_per_s=1.0), "http://h/x", {"http": "/x"}),
        (HoldRequest(trickle_per_s=1.0), "h:1", {"size_bytes": 64}),
    ],
)
def test_what_is_asked(request_: AskingRequest, target: str, asked: dict[str, object]) -> None:
    config = request_.resolved(target).config()
    assert {key: config.get(key) for key in asked} == asked
    given = {
        key for key in ("http", "request", "until", "reply_bytes", "until_close", "request_bytes") if key in config
    }
    assert given <= set(asked) | {"request"}


@pytest.mark.parametrize(
    "request_",
    [
        BenchRequest(depth=3),
        BenchRequest(request=b"\xff\0", until=b"\n"),
        HoldRequest(ramp_per_s=5.0),
        ChurnRequest(close="rst"),
    ],
)
def test_a_request_crosses_to_another_host(request_: BenchRequest | HoldRequest | ChurnRequest) -> None:
    options = LoadOptions(timeout_s=1.0, sources=("10.0.0.1",), service=Service("sink", backlog=7))
    order = Order(run="r", who="w", target="10.0.0.2:80", request=request_, options=options)
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order


def test_a_record_of_before_the_renaming_is_read() -> None:
    """What the first records call `workers`, `accept_gap_s` and `churn_per_s` has one name everywhere since."""
    now = {"processes": 3, "accept_delay_s": 0.5, "churn_rate_per_s": 7.0}
    record = runs.run(config={**HoldRequest().config(), **now})
    data = encode(record).replace(b'"processes":3', b'"workers":3')
    data = data.replace(b'"accept_delay_s"', b'"accept_gap_s"').replace(b'"churn_rate_per_s"', b'"churn_per_s"')
    read = decode(data, RunResult, RUN_SCHEMA)
    assert {key: read.config[key] for key in now} == now
    assert read == record
