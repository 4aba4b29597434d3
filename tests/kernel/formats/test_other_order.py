"""The parsers of native structs as they are on a machine of the other byte order, fed with bytes made in that order.

What is in the machine's own order is read by formats of `struct` that begin with "=". Here they are of the other order,
in a copy of the parsers; whatever else took this machine's order for granted would read something else.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from estab.kernel import formats
from estab.kernel.formats import inet_diag, interfaces

HERE = "<" if sys.byteorder == "little" else ">"
OTHER = ">" if HERE == "<" else "<"
COPY = "formats_of_the_other_order"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the parsers, importable as COPY."""
    folder = tmp_path_factory.mktemp("copied")
    source = Path(formats.__file__).parent
    for path in source.rglob("*.py"):
        place = folder / COPY / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8").replace('"=', f'"{OTHER}')
        place.write_text(text.replace("estab.kernel.formats", COPY), encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == COPY]:
        del sys.modules[name]


@pytest.fixture
def other_diag(copied: Path) -> ModuleType:
    return importlib.import_module(f"{COPY}.inet_diag")


@pytest.fixture
def other_interfaces(copied: Path) -> ModuleType:
    return importlib.import_module(f"{COPY}.interfaces")


def dump(order: str) -> bytes:
    """One datagram of a dump: a listener, a connection with an inode, and the end. `include/uapi/linux/inet_diag.h`."""
    parts = []
    for state, inode, rqueue, wqueue in ((10, 7001, 3, 128), (1, 7002, 0, 90)):
        body = struct.pack("BBBB", 2, state, 2, 1) + struct.pack("!HH", 8080, 40_000 * (state == 1))
        body += bytes([127, 0, 0, 1]).ljust(16, b"\0") + bytes([10, 1, 2, 3]).ljust(16, b"\0")
        body += struct.pack(f"{order}IQIIIII", 4, 0x0102030405060708, 1500, rqueue, wqueue, 1000, inode)
        body += struct.pack(f"{order}HH9I", 40, 7, *range(8), 513)  # INET_DIAG_SKMEMINFO
        parts.append(struct.pack(f"{order}IHHII", 16 + len(body), 20, 2, 1, 0) + body)
    return b"".join((*parts, struct.pack(f"{order}IHHIIi", 20, 3, 2, 1, 0, 0)))


def sockets(module: ModuleType, data: bytes) -> tuple[list[object], object]:
    collected = module.Sockets()
    state = collected.add(data)
    return [msgspec.structs.astuple(one) for one in collected.found], msgspec.structs.astuple(state)


def test_sockets(other_diag: ModuleType) -> None:
    (listener, connection), state = sockets(inet_diag, dump(HERE))
    assert state == (True, False, 0)
    assert 0x0102030405060708 in connection
    assert 513 in listener
    assert sockets(other_diag, dump(OTHER)) == ([listener, connection], state)


def test_counts(other_diag: ModuleType) -> None:
    def counted(module: ModuleType, data: bytes) -> tuple[object, ...]:
        counts = module.SocketCounts(ports=True, peers=True, sources=True)
        counts.add(data)
        return list(counts._counts), counts._ports, counts._peers, counts._sources

    assert counted(other_diag, dump(OTHER)) == counted(inet_diag, dump(HERE))


def test_a_request(other_diag: ModuleType) -> None:
    """The same words in the other order: what is not the network's is turned round."""
    asked = {"local_port": 8080, "remote_address": bytes([10, 1, 2, 3])}
    here, other = (module.request(2, 0b10, **asked) for module in (inet_diag, other_diag))
    assert len(here) == len(other)
    assert struct.unpack_from(f"{HERE}IHHII", here) == struct.unpack_from(f"{OTHER}IHHII", other)
    assert struct.unpack_from(f"{HERE}BBBxI", here, 16) == struct.unpack_from(f"{OTHER}BBBxI", other, 16)
    assert here[24:72] == other[24:72]  # ports and addresses
    assert struct.unpack_from(f"{HERE}HH", here, 72) == struct.unpack_from(f"{OTHER}HH", other, 72)


def test_statistics_of_an_interface(other_interfaces: ModuleType) -> None:
    def values(order: str) -> bytes:
        return struct.pack(f"{order}IIQQ", interfaces.GSTATS, 2, 1, 2**40 + 5)

    def names(order: str) -> bytes:
        text = b"".join(name.ljust(interfaces.STRING_SIZE, b"\0") for name in (b"rx", b"allowance"))
        return struct.pack(f"{order}III", interfaces.GSTRINGS, 1, 2) + text

    assert interfaces.statistics(names(HERE), values(HERE)) == {"rx": 1, "allowance": 2**40 + 5}
    assert other_interfaces.statistics(names(OTHER), values(OTHER)) == {"rx": 1, "allowance": 2**40 + 5}
    assert other_interfaces.drvinfo_request()[:4] == struct.pack(f"{OTHER}I", interfaces.GDRVINFO)
    info = struct.pack(f"{OTHER}IIQI", interfaces.GSSET_INFO, 0, 1 << interfaces.SET_STATISTICS, 9)
    assert other_interfaces.set_size(info) == 9
