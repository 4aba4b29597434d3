"""Writing the shared block, and what both loops of the Python engine share: the payload and the control pipe."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping

from estab.kernel.formats.endpoint import is_unix
from estab.load.block import (
    EXAMPLE_BYTES,
    FAILURE_BYTES,
    FAILURE_KINDS,
    FAILURE_WORDS,
    FAILURES_AT,
    FIRST_STALLS,
    GAP_WORDS,
    GAPS_AT,
    HTTP_STATUS_AT,
    INDEX,
    LAST_STALLS,
    MAGIC,
    ORDER_KINDS,
    ORDER_WORDS,
    ORDERS_AT,
    OTHER,
    REPLY_BYTES,
    RETRANSMIT_BUCKETS,
    RETRANSMITS_AT,
    STALL_BYTES,
    STALL_WORDS,
    STALLS_AT,
    STATUS_FIRST,
    Block,
    hdr_index,
)
from estab.phases import PHASES

CHUNK = 65536
PERIOD = 8191  # the payload repeats after so many bytes: a prime, so that no request size hides a shift
NS_PER_MS = 1_000_000


def payload() -> bytes:
    """PERIOD + CHUNK bytes of the fixed pseudo-random sequence that is sent."""
    x, first = 20170905, bytearray()
    for _ in range(PERIOD):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        first.append((x >> 16) & 0xFF)
    repeats = (PERIOD + CHUNK) // PERIOD + 1
    return bytes((first * repeats)[: PERIOD + CHUNK])


def control_read(fd: int) -> str:
    """What the parent said: `g` go, `c` close, or `q` when its end of the pipe is gone."""
    return os.read(fd, 1).decode() or "q"


def describe(sock: socket.socket | None, peer: tuple[object, ...]) -> str:
    """ "local -> peer", the local half left out where the socket has none, as a client's UNIX socket never has."""
    if is_unix(str(peer[0])):
        return str(peer[0])

    def one(address: tuple[object, ...]) -> str:
        host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
        return f"{host}:{address[1]}"

    local = None
    if sock is not None:
        try:
            local = sock.getsockname()
        except OSError:
            local = None
    return f"{one(local)} -> {one(peer)}" if local and local[1] and local[0] not in ("0.0.0.0", "::") else one(peer)


def close(sock: socket.socket) -> None:
    """Closes it: Linux does even where it says that it could not (close(2))."""
    with contextlib.suppress(OSError):
        sock.close()


def set_option(sock: socket.socket, level: int, option: int, value: int | bytes) -> None:
    """Sets what is good to have: a kernel that refuses is not a connection that fails."""
    with contextlib.suppress(OSError):
        sock.setsockopt(level, option, value)


class Count:
    """The writer of one block."""

    def __init__(self, block_fd: int) -> None:
        self.block = Block(os.dup(block_fd))
        self.words = self.block.words
        self.start_ns = time.monotonic_ns()
        self.cpu_start_ns = time.thread_time_ns()
        self.set("magic", MAGIC)

    def get(self, slot: str) -> int:
        """One slot's value."""
        return self.words[INDEX[slot]]

    def set(self, slot: str, value: int) -> None:
        """Writes a slot."""
        self.words[INDEX[slot]] = value

    def add(self, slot: str, n: int = 1) -> None:
        """Adds to a slot; `n` may be negative."""
        self.words[INDEX[slot]] += n

    def most(self, slot: str, value: int) -> None:
        """Raises a slot to `value`."""
        self.words[INDEX[slot]] = max(self.words[INDEX[slot]], value)

    def latency(self, kind: str, at: int, ns: int) -> None:
        """Counts a latency in the histogram at `at`; `kind` is connect or request."""
        self.words[at // 8 + hdr_index(ns)] += 1
        self.add(f"{kind}_count")
        self.add(f"{kind}_sum_ns", ns)
        self.most(f"{kind}_max_ns", ns)

    def retransmits(self, n: int) -> None:
        """Counts a connect that needed `n` SYN retransmits."""
        self.words[RETRANSMITS_AT // 8 + min(n, RETRANSMIT_BUCKETS - 1)] += 1

    def order(self, first: int, write: int, read: int) -> None:
        """Counts what one more write and one more read gave after the first error."""
        used = self.get("order_kinds")
        at = ORDERS_AT // 8
        for i in range(ORDER_KINDS):
            word = at + i * ORDER_WORDS
            if i == used:
                self.words[word], self.words[word + 1], self.words[word + 2] = first, write, read
                self.set("order_kinds", used + 1)
            if i == ORDER_KINDS - 1 or self.words[word : word + 3].tolist() == [first, write, read]:
                self.words[word + 3] += 1
                return

    def http_status(self, status: int) -> None:
        """Counts a reply of HTTP."""
        self.words[HTTP_STATUS_AT // 8 + status - STATUS_FIRST] += 1

    def gap_word(self, gap: int, name: str) -> int:
        """Where a figure of a gap stands among the words."""
        return GAPS_AT // 8 + gap * len(GAP_WORDS) + GAP_WORDS.index(name)

    def stall(self, connection: str, words: Mapping[str, int], *, unacknowledged: bool) -> None:
        """Counts a connection that got no answer in time, and keeps it among the first or the last of them."""
        number = self.get("stalled")
        self.add("stalled")
        self.add("unacknowledged", int(unacknowledged))
        self.most("heard_ns", words["heard_ns"])
        place = number if number < FIRST_STALLS else FIRST_STALLS + number % LAST_STALLS
        word = (STALLS_AT + place * STALL_BYTES) // 8
        for i, name in enumerate(STALL_WORDS):
            self.words[word + i] = words[name]
        self._write(word + len(STALL_WORDS), connection.encode("ascii", "replace"), EXAMPLE_BYTES - 1)

    def failure(self, phase: str, code: int, example: str, reply: bytes = b"") -> None:
        """Counts one failure; the example is kept for the first of its kind, and how its reply began."""
        at = self._failure_at(PHASES.index(phase), code)
        word = at // 8
        since_start_ns = time.monotonic_ns() - self.start_ns
        if self.words[word + 2] == 0:
            self.words[word + 3] = since_start_ns
            self.words[word + 5] = min(len(reply), REPLY_BYTES)
            self._write(word + FAILURE_WORDS, example.encode("ascii", "replace"), EXAMPLE_BYTES - 1)
            self._write(word + FAILURE_WORDS + EXAMPLE_BYTES // 8, reply, REPLY_BYTES)
        self.words[word + 4] = since_start_ns
        self.words[word + 2] += 1

    def _write(self, word: int, data: bytes, most: int) -> None:
        kept = data[:most] + bytes(-min(len(data), most) % 8)
        for i in range(0, len(kept), 8):
            self.words[word + i // 8] = int.from_bytes(kept[i : i + 8], sys.byteorder)

    def _failure_at(self, phase: int, code: int) -> int:
        used = self.get("failure_kinds")
        for i in range(used):
            at = FAILURES_AT + i * FAILURE_BYTES
            if self.words[at // 8] == phase and self.words[at // 8 + 1] == code:
                return at
        last = FAILURE_KINDS - 1
        at = FAILURES_AT + min(used, last) * FAILURE_BYTES
        if used < FAILURE_KINDS:
            self.words[at // 8] = phase
            self.words[at // 8 + 1] = OTHER if used == last else code
            self.set("failure_kinds", used + 1)
        return at

    def begin(self) -> None:
        """Starts the clocks."""
        self.start_ns = time.monotonic_ns()
        self.cpu_start_ns = time.thread_time_ns()
        self.set("started_ns", self.start_ns)

    def cpu(self) -> None:
        """Notes the CPU time since the start."""
        self.set("cpu_ns", time.thread_time_ns() - self.cpu_start_ns)

    def close(self) -> None:
        """Gives the memory back."""
        del self.words
        self.block.close()
