"""The C engine and the specification in Python give the same on captured and on mutated bytes."""

from __future__ import annotations

import signal
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab import _engine
from estab.errors import ParseError, ReadError
from estab.kernel.formats import inet_diag, netlink
from estab.kernel.formats.inet_diag import Established, SocketCounts
from estab.observe.fast_census import EngineCensus, EngineEstablished, Receiver, missing
from estab.records import PeerCount

DUMPS = sorted((Path(__file__).parents[1] / "data").glob("[0-9]*/inet*.bin"))


WANTED = {"ports": True, "peers": True, "sources": True, "packed_states": 1 << inet_diag.ESTABLISHED}
Make = Callable[..., SocketCounts]


def seen(census: SocketCounts) -> list[object]:
    """All that a census says."""
    return [
        census.held,
        census.unheld,
        census.total,
        census.by_state(),
        census.ports,
        census.peers,
        census.sources,
        census.local_ports,
        census.packed,
        census.resending,
        *(census.busiest_ports(most) for most in (0, 1, 2, 1000)),
        *(census.busiest_peers(most) for most in (0, 1, 2, 1000)),
    ]


def outcome(collector: SocketCounts, *datagrams: bytes) -> list[object]:
    said: list[object] = []
    for data in datagrams:
        try:
            said.append(collector.add(data))
        except ParseError as error:
            said.append((str(error), error.offset))
    return [*said, *seen(collector)]


def same(*datagrams: bytes) -> None:
    assert outcome(SocketCounts(**WANTED), *datagrams) == outcome(EngineCensus(**WANTED), *datagrams)
    assert outcome(SocketCounts(), *datagrams) == outcome(EngineCensus(), *datagrams)
    for at_server in (True, False):
        spec, fast = Established(at_server=at_server), EngineEstablished(at_server=at_server)
        assert outcome(spec, *datagrams) == outcome(fast, *datagrams)


def message(
    state: int, local: tuple[bytes, int], remote: tuple[bytes, int], *, kind: int, inode: int = 1, timer: int = 0,
    retransmits: int = 0,
) -> bytes:  # fmt: skip
    """A socket as the kernel says it, without attributes."""
    family = inet_diag.AF_INET if len(local[0]) == 4 else inet_diag.AF_INET6
    ends = struct.pack("!HH16s16s", local[1], remote[1], local[0], remote[0])
    body = struct.pack("=BBBB", family, state, timer, retransmits) + ends + bytes(28) + struct.pack("=I", inode)
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, 0, 1, 0) + body


def test_the_engine_is_built() -> None:
    assert EngineCensus is not SocketCounts
    assert isinstance(EngineCensus(), Receiver)


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.name)
def test_captured_bytes_whole_and_cut(path: Path) -> None:
    """The first three messages and the last are cut at every byte, each with a whole one before it."""
    data = path.read_bytes()
    same(data, data)
    starts = [0, *(each.start - netlink.HEADER.size for each in netlink.messages(data)), len(data)]
    messages = list(zip(starts, starts[1:], starts[2:], strict=False))
    for before, start, after in [*messages[:3], *messages[3:][-1:]]:
        for end in range(start, after):
            same(data[before:end])


@given(
    path=st.sampled_from(DUMPS),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    junk=st.binary(max_size=40),
)
def test_mutated_bytes(path: Path, changes: list[tuple[int, int]], junk: bytes) -> None:
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    same(bytes(data) + junk)


ADDRESSES = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
ENDS = st.tuples(ADDRESSES, st.integers(0, 65535))
# Few of each, so that they meet; and the peer of a socket that has none.
FEW = st.sampled_from([bytes(4), bytes(16), b"\n\0\0\1", b"\n\0\0\2", bytes(10) + b"\xff\xff\n\0\0\1"])
SOCKETS = st.builds(
    message,
    st.integers(0, 255),
    st.one_of(ENDS, st.tuples(FEW, st.integers(1, 3))),
    st.one_of(ENDS, st.tuples(FEW, st.integers(1, 3))),
    kind=st.sampled_from(inet_diag.KINDS),
    inode=st.integers(0, 1),
    timer=st.integers(0, 2),
    retransmits=st.integers(0, 3),
)


@given(sockets=st.lists(SOCKETS, max_size=60), at=st.integers(0, 60))
def test_sockets_of_any_kind(sockets: list[bytes], at: int) -> None:
    same(b"".join(sockets[:at]), b"".join(sockets[at:]))


@pytest.mark.parametrize("make", [SocketCounts, EngineCensus])
def test_whose_data_is_sent_again_and_again(make: Make) -> None:
    """ESTABLISHED, the timer of data, its second end in a row or later; as many as there is room for."""
    here, there = (b"\n\0\0\1", 40_000), (b"\n\0\0\2", 80)
    census = make()
    for state, timer, retransmits in ((1, 1, 1), (1, 1, 2), (1, 1, 9), (1, 2, 9), (4, 1, 9), (2, 1, 9)):
        census.add(message(state, here, there, kind=20, timer=timer, retransmits=retransmits))
    ends = inet_diag.mapped(2, here[0]) + inet_diag.mapped(2, there[0]) + struct.pack("!HH", 40_000, 80)
    assert census.resending == 2 * ends
    other = make()
    other.add(message(1, here, there, kind=20, timer=1, retransmits=2) * 2000)
    census.merge(other)
    assert census.resending == 1024 * ends


def test_more_keys_than_a_table_begins_with() -> None:
    """10,000 ports and peers, met twice, in an order that has nothing to do with theirs."""
    listener = (b"\x7f\0\0\1", 80)
    clients = [(struct.pack("!I", number * 2654435761 % 2**32), number % 65536) for number in range(10_000)]
    data = b"".join(message(1, listener, client, kind=20) + message(1, client, listener, kind=18) for client in clients)
    same(data, data)
    census = EngineCensus(ports=True, peers=True)
    census.add(data)
    assert len(census.peers or {}) == 10_001
    assert census.busiest_ports(1)[0].states == {"ESTAB": 10_001}  # one of the clients has port 80 as well


@pytest.mark.parametrize("make", [SocketCounts, EngineCensus])
@given(parts=st.lists(st.sampled_from(DUMPS), min_size=2, max_size=4))
def test_merging_is_counting_on(make: Make, parts: list[Path]) -> None:
    options = {"ports": True, "peers": True, "sources": True}
    whole, sum_of_parts = make(**options), make(**options)
    for path in parts:
        part = make(**options)
        whole.add(path.read_bytes())
        part.add(path.read_bytes())
        sum_of_parts.merge(part)
    assert seen(whole) == seen(sum_of_parts)


RECORDS = st.lists(st.one_of(st.binary(min_size=36, max_size=36), st.integers(0, 9).map(lambda n: bytes([n] * 36))))


@given(these=RECORDS, those=RECORDS)
def test_what_one_end_has_and_the_other_has_not(these: list[bytes], those: list[bytes]) -> None:
    found = missing(b"".join(these), b"".join(those))
    assert found == b"".join(dict.fromkeys(one for one in these if one not in those))
    assert found == inet_diag.missing(b"".join(these), b"".join(those))


def test_many_that_are_missing() -> None:
    records = [struct.pack("!36s", b"%d" % number) for number in range(20_000)]
    these, those = b"".join(records), b"".join(reversed(records[::2]))
    assert missing(these, those) == missing(these + these, those) == b"".join(records[1::2])
    assert missing(those, these) == missing(b"", these) == b""
    assert missing(these, b"") == these


@pytest.mark.parametrize("find", [missing, inet_diag.missing])
def test_connections_that_are_not_whole(find: Callable[[bytes, bytes], bytes]) -> None:
    for these, those in ((bytes(35), b""), (b"", bytes(37))):
        with pytest.raises(ValueError, match="36 bytes each"):
            find(these, those)


def test_only_its_like_is_merged() -> None:
    with pytest.raises(TypeError, match="in C"):
        EngineCensus().merge(SocketCounts())
    one = _engine.census(False, False, False, 0, False)
    for other in (one, None):
        with pytest.raises(TypeError, match="another census"):
            one.merge(other)  # type: ignore[arg-type]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernels:
        yield ours, kernels


Ends = tuple[socket.socket, socket.socket]
ONE = message(1, (bytes(4), 1), (b"\n\0\0\1", 2), kind=20)
DONE = struct.pack("=IHHIIi", 20, netlink.NLMSG_DONE, 0, 1, 0, 0)


def receive(census: SocketCounts, ours: socket.socket, size: int = 4096) -> inet_diag.DumpState:
    assert isinstance(census, Receiver)
    return census.receive(ours.fileno(), bytearray(size))


def test_a_dump_is_received_to_its_end(ends: Ends) -> None:
    interrupted = netlink.HEADER.pack(16 + 72, 20, netlink.NLM_F_DUMP_INTR, 1, 0) + ONE[16:]
    for datagram in (ONE * 3, b"", interrupted, ONE + DONE, ONE):
        ends[1].send(datagram)
    census = EngineCensus(peers=True)
    assert receive(census, ends[0]) == inet_diag.DumpState(done=True, interrupted=True)
    assert census.total == 5
    assert census.busiest_peers(3) == [PeerCount(address="10.0.0.1", sockets=5)]


def test_a_damaged_datagram_stops_it(ends: Ends) -> None:
    for datagram in (ONE, ONE + ONE[:50]):
        ends[1].send(datagram)
    with pytest.raises(ParseError, match="88") as raised:
        receive(EngineCensus(), ends[0])
    assert raised.value.offset == len(ONE)


def test_an_answer_longer_than_the_buffer(ends: Ends) -> None:
    ends[1].send(ONE * 2)
    with pytest.raises(ReadError, match="longer than 100 bytes was truncated"):
        receive(EngineCensus(), ends[0], 100)


def test_no_answer(ends: Ends) -> None:
    ends[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        receive(EngineCensus(), ends[0])


def test_a_signal_while_waiting_for_an_answer(ends: Ends) -> None:
    """What a handler raises ends it; one that does not raise lets it go on."""
    census, said = EngineCensus(), []

    def answer(number: int, _: object) -> None:
        said.append(number)
        ends[1].send(ONE + DONE)

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, answer)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert receive(census, ends[0]).done
        assert (said, census.total) == ([signal.SIGALRM], 1)
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            receive(census, ends[0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_one_thread_at_a_time(ends: Ends) -> None:
    """A census that another thread fills cannot be looked at, and can be afterwards."""
    counting = _engine.census(True, True, True, 0, False)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(counting.receive, ends[0].fileno(), bytearray(4096))
        refused = 0
        while not refused:
            try:
                counting.peers()
            except RuntimeError as error:
                assert "one thread at a time" in str(error)
                refused += 1
        with pytest.raises(RuntimeError):
            _engine.census(True, True, True, 0, False).merge(counting)
        ends[1].send(ONE + DONE)
        assert under_way.result() == (len(ONE + DONE), len(ONE), 0)
    assert counting.peers() == {inet_diag.mapped(inet_diag.AF_INET, b"\n\0\0\1"): 1}
