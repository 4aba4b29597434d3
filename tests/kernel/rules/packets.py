"""Hand-made TCP packets and a delaying wire, for use inside a namespace that a test made, and nowhere else."""

from __future__ import annotations

import heapq
import select
import socket
import struct
import time

from tests.namespaces import in_the_starting_namespace

_ETH_P_ALL, _ETH_P_IP = 3, 0x0800
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_SO_RCVBUFFORCE = 33
_LOOPBACK = socket.inet_aton("127.0.0.1")


def checksum(data: bytes) -> int:
    """The Internet checksum of `data`, padded to an even length."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(
    source: bytes,
    ports: tuple[int, int],
    seq: int,
    ack: int = 0,
    *,
    flags: int,
    data: bytes = b"",
    options: bytes = b"",
) -> bytes:
    """A whole IPv4 packet to 127.0.0.1 with one TCP segment in it, checksum and all."""
    length = 20 + len(options)
    head = struct.pack("!HHIIBBHHH", *ports, seq % 2**32, ack % 2**32, (length // 4) << 4, flags, 65535, 0, 0) + options
    pseudo = source + _LOOPBACK + struct.pack("!BBH", 0, 6, length + len(data))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head + data)) + head[18:]
    size = 20 + length + len(data)
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 6, 0, source, _LOOPBACK) + head + data


def raw_socket() -> socket.socket:
    """A socket that sends packets as they are. Raises RuntimeError in the namespace that the tests started in."""
    if in_the_starting_namespace():
        raise RuntimeError("hand-made packets are sent only inside a namespace that the test made")
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def flood(port: int, syns: int) -> None:
    """`syns` SYNs, each from its own address in 10.0.0.0/8 that will never answer. Needs a default route out of lo."""
    with raw_socket() as out:
        for number in range(1, syns + 1):
            source = struct.pack("!I", (10 << 24) + number)
            out.sendto(segment(source, (1000, port), number, flags=_SYN, options=_mss(1460)), ("127.0.0.1", 0))


def _mss(size: int) -> bytes:
    return struct.pack("!BBH", 2, 4, size)


class HandMade:
    """One TCP client, segment by segment, from 10.0.0.1; the server's answers are read off lo."""

    def __init__(self, port: int, mss: int = 1460, isn: int = 1_000_000) -> None:
        self._ports, self._isn, self._mss = (2000, port), isn, mss
        self._source = socket.inet_aton("10.0.0.1")
        self._out = raw_socket()
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._tap.bind(("lo", _ETH_P_IP))
        self._server_isn = 0

    def syn(self) -> None:
        """The SYN; waits for the SYN-ACK."""
        self._send(self._isn, 0, flags=_SYN, options=_mss(self._mss))
        self._server_isn = self._answer(_SYN | _ACK)

    def ack(self, shift: int = 0, data: bytes = b"") -> None:
        """A segment whose seq lies `shift` bytes after ISN + 1."""
        self._send(self._isn + 1 + shift, self._server_isn + 1, flags=_ACK, data=data)

    def was_reset(self) -> bool:
        """Whether an RST to this client has passed by now. On lo an answer is there before send() returns."""
        return self._answer(_RST, wait_s=0) != -1

    def close(self) -> None:
        self._out.close()
        self._tap.close()

    def _send(self, seq: int, ack: int, *, flags: int, data: bytes = b"", options: bytes = b"") -> None:
        packet = segment(self._source, self._ports, seq, ack, flags=flags, data=data, options=options)
        self._out.sendto(packet, ("127.0.0.1", 0))

    def _answer(self, flags: int, wait_s: float = 5) -> int:
        """The seq of the next packet to this client that has all of `flags` set; -1 where there is none."""
        deadline = time.monotonic() + wait_s
        while select.select([self._tap], [], [], max(0.0, deadline - time.monotonic()))[0]:
            packet = self._tap.recv(4096)
            if packet[16:20] == self._source and packet[33] & flags == flags:
                return int.from_bytes(packet[24:28], "big")
        if wait_s:
            raise TimeoutError(f"no packet with flags {flags:#x} came back")
        return -1


class Wire:
    """Two ends of a relay: what comes in at one leaves at the other `delay_s` later. `carry()` never returns.

    The first `together` SYNs from the left leave together, once all of them have come: on a machine of any speed they
    arrive within one round trip, for nothing that answers them leaves before.
    """

    def __init__(self, left: str, right: str, delay_s: float, together: int = 0) -> None:
        self._ends = [self._open(left), self._open(right)]
        self._delay_s = delay_s
        self._together = together
        self._held: dict[bytes, bytes] = {}  # by addresses and ports: one that was sent again is the same
        self._due: list[tuple[float, int, socket.socket, bytes]] = []
        self._serial = 0

    @staticmethod
    def _open(name: str) -> socket.socket:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        try:
            end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        except PermissionError:  # in a user namespace: as much as rmem_max allows, some 550 SYNs
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        end.bind((name, _ETH_P_ALL))
        end.setblocking(False)
        return end

    def carry(self) -> None:
        """Relay until killed."""
        left, right = self._ends
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for end in select.select(self._ends, [], [], wait)[0]:
                for frame in self._drain(end):
                    if end is left and self._together and _is_syn(frame):
                        self._hold(frame)
                    else:
                        self._later(right if end is left else left, frame)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, out, frame = heapq.heappop(self._due)
                out.send(frame)

    def _hold(self, frame: bytes) -> None:
        self._held.setdefault(frame[26:38], frame)
        if len(self._held) == self._together:
            self._together = 0
            moment = time.monotonic()
            for held in self._held.values():
                self._later(self._ends[1], held, moment)

    def _later(self, out: socket.socket, frame: bytes, moment: float | None = None) -> None:
        self._serial += 1
        due = (time.monotonic() if moment is None else moment) + self._delay_s
        heapq.heappush(self._due, (due, self._serial, out, frame))

    @staticmethod
    def _drain(end: socket.socket) -> list[bytes]:
        """What has come in; frames that this end sent itself (PACKET_OUTGOING) are not news."""
        frames = []
        while True:
            try:
                frame, address = end.recvfrom(65535)
            except BlockingIOError:
                return frames
            if address[2] != socket.PACKET_OUTGOING:
                frames.append(frame)


def _is_syn(frame: bytes) -> bool:
    """Whether an Ethernet frame holds a client's SYN: IPv4 without options, as all of these are."""
    return frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[47] & (_SYN | _ACK) == _SYN
