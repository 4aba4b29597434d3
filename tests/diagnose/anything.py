"""Records built from the types of their fields alone, whether they make sense or not: what `of` gives."""

from __future__ import annotations

import typing
from functools import cache

import msgspec
from hypothesis import strategies as st

INTEGERS = st.one_of(st.integers(-3, 500), st.integers(-(2**63), 2**63 - 1))
WORDS = [
    "connect",
    "write",
    "read",
    "close",
    "accept",
    "EMFILE",
    "ENFILE",
    "EADDRNOTAVAIL",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "own_timeout",
    "eof",
    "ECONNRESET",
    "EPIPE",
    "EHOSTUNREACH",
    "EPERM",
    "client",
    "server",
    "hold",
    "churn",
    "bench",
    "0",
    "1",
    "6.18.44",
    "²",
]
NAMES = [
    "connections",
    "timeout_s",
    "ramp_per_s",
    "backlog_asked",
    "target",
    "0",
    "1",
    "net.core.somaxconn",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reuse_delay",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syn_linear_timeouts",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.EmbryonicRsts",
    "TcpExt.TCPSynRetrans",
    "Tcp.PassiveOpens",
    "TcpExt.ListenDrops",
    "conntrack_allowance_exceeded",
    "conntrack_allowance_available",
    "NETFILTER_DROP",
    "TcpExt.ListenOverflows",
    "TcpExt.TCPDeferAcceptDrop",
    "TcpExt.SyncookiesFailed",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=8)
KEYS = st.sampled_from(NAMES) | st.text(max_size=5)
BASICS: dict[object, st.SearchStrategy[typing.Any]] = {
    int: INTEGERS,
    float: st.floats(),
    str: TEXTS,
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def of(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Values of a field's type, without any regard to whether they make sense together."""
    if kind in BASICS:
        return BASICS[kind]
    if typing.get_origin(kind) is not None or typing.get_args(kind):
        return _of_generic(typing.get_origin(kind), typing.get_args(kind))
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: of(field.type) for field in fields if field.name != "schema"})


def _of_generic(origin: typing.Any, arguments: tuple[typing.Any, ...]) -> st.SearchStrategy[typing.Any]:
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(KEYS, of(arguments[1]), max_size=3)
    return st.one_of([of(one) for one in arguments])
