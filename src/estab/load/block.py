"""The shared block: what a worker counts in and its parent reads while it runs. `_engine/block.h` is its twin.

What lives here: the layout and its reading. One block is one memfd of `SIZE` bytes, one writer. All slots are u64.
"""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from typing import Self

from estab.phases import OWN_CODES, PHASES

MAGIC = 0x6573746162303031
SLOTS = (
    "magic", "state", "start_ns", "started_ns", "settled_ns", "last_answer_ns", "ended_ns", "cpu_ns", "worst_lag_ns",
    "attempted", "connected", "first_byte", "completed", "failed", "open", "connecting", "closed", "accepted",
    "requests", "bytes_sent", "bytes_received", "peer_resets", "failure_kinds", "connect_count", "connect_sum_ns",
    "connect_max_ns", "request_count", "request_sum_ns", "request_max_ns", "order_kinds",
    "schedule_ns", "scheduled", "late", "worst_late_ns", "waited", "unsent",
    "no_echo", "stayed", "failed_before_end", "failed_ranks", "stalled", "unacknowledged", "heard_ns",
)  # fmt: skip
STARTING, READY, RUNNING, SETTLED, CLOSING, DONE = range(6)
OWN_TIMEOUT, EOF, WRONG_BYTES, OTHER, MALFORMED, HEADER_TOO_LONG, EXCESS_BYTES = range(1000, 1007)
STATUS = 2000  # from here on: a status of HTTP that nobody wished for
CODE_NAMES = dict(zip(range(OWN_TIMEOUT, EXCESS_BYTES + 1), OWN_CODES, strict=True))

RETRANSMIT_BUCKETS = 16
FAILURE_KINDS = 32
EXAMPLE_BYTES = 96
REPLY_BYTES = 32
STATUS_FIRST, STATUS_KINDS = 100, 500
MOST_GAPS = 64
ORDER_KINDS = 16
FIRST_STALLS = LAST_STALLS = 8
HDR_HALF = 1024
HDR_LENGTH = 33 * HDR_HALF
HDR_HIGHEST_NS = 3_600_000_000_000  # as `kernel.formats.hdr` has it, which a worker need not import

RETRANSMITS_AT = len(SLOTS) * 8
FAILURES_AT = RETRANSMITS_AT + RETRANSMIT_BUCKETS * 8
FAILURE_WORDS = 6
FAILURE_BYTES = FAILURE_WORDS * 8 + EXAMPLE_BYTES + REPLY_BYTES
ORDERS_AT = FAILURES_AT + FAILURE_KINDS * FAILURE_BYTES
ORDER_WORDS = 4
HTTP_STATUS_AT = ORDERS_AT + ORDER_KINDS * ORDER_WORDS * 8
GAPS_AT = HTTP_STATUS_AT + STATUS_KINDS * 8
GAP_WORDS = (
    "rested", "answered", "last_answer_ns", "closed", "reset", "silent", "wrong", "unasked", "unacknowledged",
    "least_ns", "most_ns", "first_ns", "last_ns",
)  # fmt: skip
STALLS_AT = GAPS_AT + MOST_GAPS * len(GAP_WORDS) * 8
STALL_WORDS = (
    "at_ns", "asked_ns", "heard_ns", "received_ns", "unacked", "retransmits", "backoff", "total_retrans", "rto_us",
    "bytes_acked", "bytes_received", "snd_mss", "pmtu",
)  # fmt: skip
STALL_BYTES = len(STALL_WORDS) * 8 + EXAMPLE_BYTES
CONNECT_NS_AT = STALLS_AT + (FIRST_STALLS + LAST_STALLS) * STALL_BYTES
REQUEST_NS_AT = CONNECT_NS_AT + HDR_LENGTH * 8
SIZE = REQUEST_NS_AT + HDR_LENGTH * 8

INDEX = {name: i for i, name in enumerate(SLOTS)}


def code_name(code: int) -> str:
    """The kernel's name of an errno (`ECONNREFUSED`), of what no errno tells (`own_timeout`), or a status (`503`)."""
    if code >= STATUS:
        return str(code - STATUS)
    return CODE_NAMES.get(code) or errno.errorcode.get(code, f"errno_{code}")


def hdr_index(value_ns: int) -> int:
    """Where HdrHistogram(1, 3.6e12, 3) counts a value, 0 to HDR_LENGTH - 1."""
    value = min(value_ns, HDR_HIGHEST_NS)
    bucket = (value | 2047).bit_length() - 11
    return (bucket + 1) * HDR_HALF + (value >> bucket) - HDR_HALF


def hdr_value(index: int) -> int:
    """The lowest value, in ns, that is counted at `index`: the inverse of `hdr_index`."""
    bucket, sub = (index >> 10) - 1, (index & (HDR_HALF - 1)) + HDR_HALF
    if bucket < 0:
        bucket, sub = 0, sub - HDR_HALF
    return sub << bucket


@dataclass(frozen=True)
class FailureCount:
    """One line of the table of failures. `first_ns` and `last_ns` count from the worker's start.

    `reply`: how the first reply of this kind began, where it was one; else empty.
    """

    phase: str
    errno: str
    count: int
    first_ns: int
    last_ns: int
    example: str
    reply: bytes = b""


class Block:
    """A block in a memfd that is passed to the worker by number. Close it when it has been read."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, SIZE)
        self.words = memoryview(self._map).cast("Q")

    @classmethod
    def create(cls, name: str) -> Self:
        """A new block, all zero. `name` shows in /proc/PID/maps."""
        fd = os.memfd_create(name)
        os.ftruncate(fd, SIZE)
        return cls(fd)

    def close(self) -> None:
        """Gives the memory back."""
        self.words.release()
        self._map.close()
        os.close(self.fd)

    def get(self, slot: str) -> int:
        """One slot's value."""
        return self.words[INDEX[slot]]

    def set(self, slot: str, value: int) -> None:
        """Writes one slot."""
        self.words[INDEX[slot]] = value

    def counts(self) -> dict[str, int]:
        """Every slot by its name."""
        return dict(zip(SLOTS, self.words[: len(SLOTS)].tolist(), strict=True))

    def syn_retransmits(self) -> list[int]:
        """How many connects needed 0, 1, 2 … SYN retransmits; the last: so many or more."""
        start = RETRANSMITS_AT // 8
        return self.words[start : start + RETRANSMIT_BUCKETS].tolist()

    def failures(self) -> list[FailureCount]:
        """The table of failures, in the order in which their kinds appeared."""
        kinds = []
        for i in range(min(self.get("failure_kinds"), FAILURE_KINDS)):
            at = FAILURES_AT + i * FAILURE_BYTES
            phase, code, count, first_ns, last_ns, size = self.words[at // 8 : at // 8 + FAILURE_WORDS].tolist()
            example_at, reply_at = at + FAILURE_WORDS * 8, at + FAILURE_BYTES - REPLY_BYTES
            example = self._map[example_at:reply_at].split(b"\0", 1)[0].decode("ascii", "replace")
            name = PHASES[phase] if phase < len(PHASES) else f"phase_{phase}"
            reply = self._map[reply_at : reply_at + min(size, REPLY_BYTES)]
            kinds.append(FailureCount(name, code_name(code), count, first_ns, last_ns, example, reply))
        return kinds

    def http_status(self) -> dict[int, int]:
        """Replies of HTTP by status."""
        start = HTTP_STATUS_AT // 8
        counts = self.words[start : start + STATUS_KINDS].tolist()
        return {STATUS_FIRST + i: count for i, count in enumerate(counts) if count}

    def gaps(self, number: int) -> list[dict[str, int]]:
        """What became of the connections of the first so many gaps, as `struct gap` says it."""
        size = len(GAP_WORDS)
        starts = range(GAPS_AT // 8, GAPS_AT // 8 + number * size, size)
        return [dict(zip(GAP_WORDS, self.words[start : start + size].tolist(), strict=True)) for start in starts]

    def stalls(self) -> list[tuple[str, dict[str, int]]]:
        """Connections that got no answer in time: which, and the words of `struct stall`; the first and the last."""
        kept = []
        for number in range(min(self.get("stalled"), FIRST_STALLS + LAST_STALLS)):
            at = STALLS_AT + number * STALL_BYTES
            words = self.words[at // 8 : at // 8 + len(STALL_WORDS)].tolist()
            text_at = at + len(STALL_WORDS) * 8
            connection = self._map[text_at : at + STALL_BYTES].split(b"\0", 1)[0].decode("ascii", "replace")
            kept.append((connection, dict(zip(STALL_WORDS, words, strict=True))))
        return kept

    def error_orders(self) -> dict[tuple[str, ...], int]:
        """How often one more write and one more read gave these after a first error; "ok" is what worked."""
        orders = {}
        for i in range(min(self.get("order_kinds"), ORDER_KINDS)):
            at = ORDERS_AT // 8 + i * ORDER_WORDS
            *codes, count = self.words[at : at + ORDER_WORDS].tolist()
            orders[tuple(code_name(code) if code else "ok" for code in codes)] = count
        return orders

    def histogram_view(self, at: int) -> memoryview:
        """The buckets of the histogram at CONNECT_NS_AT or REQUEST_NS_AT: HDR_LENGTH native u64. Release it soon."""
        return self.words[at // 8 : at // 8 + HDR_LENGTH]
