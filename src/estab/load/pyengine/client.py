"""The client's loop: starts connects as the plan allows, waits, hands events to the workload, ends what is overdue."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from estab.load.block import (
    CLOSING,
    CONNECT_NS_AT,
    DONE,
    EOF,
    OWN_TIMEOUT,
    READY,
    REQUEST_NS_AT,
    RUNNING,
    SETTLED,
    WRONG_BYTES,
)
from estab.load.pyengine.counting import CHUNK, NS_PER_MS, PERIOD, Count, control_read, describe, payload

IP_BIND_ADDRESS_NO_PORT = 24
START_BATCH = 64
REST_NS = 10 * NS_PER_MS
TOTAL_RETRANS_AT = 100  # of tcpi_total_retrans in struct tcp_info (include/uapi/linux/tcp.h)
CONNECTING, OPEN, AWAITING_FIN = "connecting", "open", "awaiting_fin"
READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP


class Conn:
    """One connection."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.sock: socket.socket | None = None
        self.state = CONNECTING
        self.events = 0
        self.started_ns = time.monotonic_ns()
        self.sent = self.received = self.want = 0
        self.send_at = self.receive_at = slot * 257 % PERIOD
        self.began: deque[int] = deque()  # of requests in flight (rr), or of the one that is timed (flood)
        self.timed_until = 0


class Workload:
    """What a workload does on the shared loop; this base does nothing and never ends by itself."""

    loops = False
    has_end = True
    uses_depth = False

    def __init__(self, client: Client) -> None:
        self.client = client

    def connected(self, conn: Conn) -> None:
        """The connection is ESTABLISHED."""

    def readable(self, conn: Conn) -> None:
        """Something can be read, or the peer is gone."""

    def writable(self, conn: Conn) -> None:
        """Something can be written."""

    def at_end(self, conn: Conn) -> None:
        """The duration is over."""


class Client:
    """The loop and what it counts."""

    def __init__(self, count: Count, control_fd: int, config: Mapping[str, Any]) -> None:
        self.count, self.control, self.config = count, control_fd, config
        self.target = config["target"]
        self.family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        self.payload = payload()
        self.poll = select.epoll()
        self.poll.register(control_fd, select.EPOLLIN)
        self.conns: dict[int, Conn] = {}  # by descriptor
        self.ready = list(range(config["connections"] - 1, -1, -1))
        self.waiting: OrderedDict[Conn, int] = OrderedDict()
        self.resting: deque[tuple[int, int]] = deque()
        self.next_source = 0
        self.ending = self.quit = False
        self.end_ns = self.drain_end_ns = self.drained_bytes = self.to_start = 0
        self.workload: Workload = WORKLOADS[config["workload"]](self)

    # --- the end of a connection ---

    def wait_for(self, conn: Conn) -> None:
        """Starts its time-out."""
        if self.config["timeout_ns"]:
            self.waiting[conn] = time.monotonic_ns() + self.config["timeout_ns"]

    def _shut(self, conn: Conn) -> None:
        self.waiting.pop(conn, None)
        self.count.add("connecting" if conn.state == CONNECTING else "open", -1)
        if conn.sock:
            self.conns.pop(conn.sock.fileno(), None)
            conn.sock.close()
            self.count.add("closed")
        conn.sock = None

    def _note_order(self, conn: Conn, first: int) -> None:
        """Asks the socket once more in each direction."""
        assert conn.sock is not None
        write = read = 0
        try:
            conn.sock.send(self.payload[:1])
        except OSError as error:
            write = error.errno or 0
        try:
            read = 0 if conn.sock.recv(1) else EOF
        except OSError as error:
            read = error.errno or 0
        self.count.order(first, write, read)

    def fail(self, conn: Conn, phase: str, code: int) -> None:
        """Counts a failure and ends the connection."""
        if phase != "connect" and conn.sock and code in (errno.ECONNRESET, errno.EPIPE, EOF):
            self._note_order(conn, code)
        self.count.failure(phase, code, describe(conn.sock, self.target))
        self._shut(conn)
        if self.workload.loops and not self.ending:
            self.resting.append((time.monotonic_ns() + REST_NS, conn.slot))
        else:
            self.ready.append(conn.slot)

    def done(self, conn: Conn) -> None:
        """Ends a connection that did what it should."""
        if self.config["reset"] and conn.sock:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._shut(conn)
        self.count.add("completed")
        self.ready.append(conn.slot)

    # --- the start of a connection ---

    def watch(self, conn: Conn, events: int) -> None:
        """Asks epoll for `events`, level-triggered."""
        if conn.sock is None or conn.events == events:
            return
        if conn.events:
            self.poll.modify(conn.sock, events)
        else:
            self.poll.register(conn.sock, events)
        conn.events = events

    def _open_socket(self, conn: Conn) -> None:
        conn.sock = socket.socket(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if self.config["no_delay"]:
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sources = self.config["sources"]
        if sources:
            source = sources[self.next_source % len(sources)]
            self.next_source += 1
            conn.sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            conn.sock.bind((source[0], 0))

    def _start(self, conn: Conn) -> None:
        self.count.add("attempted")
        self.count.add("connecting")
        host, port, scope = self.target
        try:
            self._open_socket(conn)
            assert conn.sock is not None
            error = conn.sock.connect_ex((host, port, 0, scope) if self.family == socket.AF_INET6 else (host, port))
        except OSError as failure:
            error = failure.errno or 0
        if error not in (0, errno.EINPROGRESS):
            self.fail(conn, "connect", error)
            return
        assert conn.sock is not None
        self.conns[conn.sock.fileno()] = conn
        self.wait_for(conn)
        self.watch(conn, select.EPOLLOUT)

    def _established(self, conn: Conn) -> None:
        assert conn.sock is not None
        error = conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # A RST that answers a SYN is ECONNREFUSED; ECONNRESET and EPIPE come to an ESTABLISHED connection alone
        # (net/ipv4/tcp_input.c tcp_reset), even where we learn of both in one event.
        reset = error in (errno.ECONNRESET, errno.EPIPE)
        if error and not reset:
            self.fail(conn, "connect", error)
            return
        took = time.monotonic_ns() - conn.started_ns
        self.waiting.pop(conn, None)
        conn.state = OPEN
        self.count.add("connecting", -1)
        self.count.add("open")
        self.count.add("connected")
        self.count.latency("connect", CONNECT_NS_AT, took)
        info = conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS_AT + 4)
        self.count.retransmits(struct.unpack_from("I", info, TOTAL_RETRANS_AT)[0])
        if reset:
            self.fail(conn, "read", error)
            return
        self.watch(conn, select.EPOLLIN | select.EPOLLRDHUP)
        self.workload.connected(conn)

    # --- reading and writing, for every workload ---

    def read(self, conn: Conn) -> int:
        """Reads once and verifies. Bytes; 0: nothing now; -1: the connection is over."""
        assert conn.sock is not None
        try:
            data = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.fail(conn, "read", error.errno or 0)
            return -1
        if not data:
            self.fail(conn, "read", EOF)
            return -1
        if conn.received == 0:
            self.count.add("first_byte")
        conn.received += len(data)
        self.count.add("bytes_received", len(data))
        if self.config["size"] == 0:
            return len(data)
        same = self.payload[conn.receive_at : conn.receive_at + len(data)] == data
        conn.receive_at = (conn.receive_at + len(data)) % PERIOD
        if same and conn.received <= conn.sent:
            return len(data)
        self.fail(conn, "read", WRONG_BYTES)
        return -1

    def write(self, conn: Conn, size: int) -> int:
        """Writes up to `size` bytes once. Bytes; 0: the socket is full; -1: the connection is over."""
        assert conn.sock is not None
        try:
            sent = conn.sock.send(self.payload[conn.send_at : conn.send_at + min(size, CHUNK)])
        except BlockingIOError:
            return 0
        except OSError as error:
            self.fail(conn, "write", error.errno or 0)
            return -1
        conn.sent += sent
        conn.send_at = (conn.send_at + sent) % PERIOD
        self.count.add("bytes_sent", sent)
        return sent

    def write_wanted(self, conn: Conn) -> bool:
        """Writes what may be written. False: the connection is over."""
        while conn.sent < conn.want:
            sent = self.write(conn, conn.want - conn.sent)
            if sent < 0:
                return False
            if sent == 0:
                break
        full = select.EPOLLOUT if conn.sent < conn.want else 0
        self.watch(conn, select.EPOLLIN | select.EPOLLRDHUP | full)
        return True

    def answered(self, conn: Conn, requests: int) -> None:
        """Counts requests answered in full; each was begun at the next moment in `conn.began`."""
        now = time.monotonic_ns()
        self.count.add("requests", requests)
        self.count.set("last_answer_ns", now)

    # --- the loop ---

    def _may_start(self, now: int) -> bool:
        if self.ending or not self.ready or not self.to_start:
            return False
        if self.count.get("connecting") >= self.config["in_flight"]:
            return False
        ramp = self.config["ramp_per_s"]
        return not ramp or self.count.get("attempted") < (now - self.count.start_ns) / 1e9 * ramp + 1

    def _start_due(self, now: int) -> None:
        for _ in range(START_BATCH):
            if not self._may_start(now):
                return
            self.to_start -= 1
            self._start(Conn(self.ready.pop()))

    def _wait_s(self, now: int) -> float:
        if self._may_start(now) or self._is_over():
            return 0.0
        at = now + 1000 * NS_PER_MS
        if self.waiting:
            at = min(at, next(iter(self.waiting.values())))
        if self.resting:
            at = min(at, self.resting[0][0])
        if self.ending:
            at = min(at, self.drain_end_ns)
        elif self.end_ns:
            at = min(at, self.end_ns)
        if self.to_start and self.config["ramp_per_s"] and not self.ending:
            at = min(at, now + NS_PER_MS)
        return max(0.0, (at - now) / 1e9)

    def _expire(self, now: int) -> None:
        while self.waiting and next(iter(self.waiting.values())) <= now:
            conn = next(iter(self.waiting))
            self.fail(conn, "connect" if conn.state == CONNECTING else "read", OWN_TIMEOUT)
        while self.resting and self.resting[0][0] <= now:
            self.ready.append(self.resting.popleft()[1])

    def _begin_end(self, now: int) -> None:
        self.ending = True
        self.to_start = 0
        self.drain_end_ns = now + self.config["drain_ns"]
        self.drained_bytes = self.count.get("bytes_received")
        self.count.set("state", CLOSING)
        self.resting.clear()
        for conn in list(self.conns.values()):
            if conn.state == OPEN:
                self.workload.at_end(conn)

    def _end_drain(self, now: int) -> None:
        received = self.count.get("bytes_received")
        if received != self.drained_bytes:  # answers may go on for as long as they keep coming
            self.drained_bytes, self.drain_end_ns = received, now + self.config["drain_ns"]
            return
        for conn in list(self.conns.values()):
            self.fail(conn, "connect" if conn.state == CONNECTING else "read", OWN_TIMEOUT)

    def _dispatch(self, fd: int, events: int) -> None:
        if fd == self.control:
            said = control_read(fd)
            self.quit = self.quit or said == "q"
            if said == "c" and not self.ending:
                self._begin_end(time.monotonic_ns())
            return
        conn = self.conns.get(fd)
        if conn is None:
            return
        if conn.state == CONNECTING:
            self._established(conn)
            return
        if events & READABLE:
            self.workload.readable(conn)
        if conn.sock is not None and events & select.EPOLLOUT:
            self.workload.writable(conn)

    def _note_settled(self, now: int) -> None:
        busy = self.to_start or self.count.get("connecting") or self.resting
        if self.count.get("state") == RUNNING and not busy:
            self.count.set("settled_ns", now)
            self.count.set("state", SETTLED)

    def _is_over(self) -> bool:
        idle = not self.conns and not self.resting
        if self.quit:
            return True
        if self.ending:
            return idle
        return bool(self.end_ns) and idle and self.to_start == 0

    def _wait_for_go(self) -> bool:
        self.count.set("state", READY)
        if control_read(self.control) != "g":
            return False
        while (early := self.count.get("start_ns") - time.monotonic_ns()) > 0:
            time.sleep(early / 1e9)
        return True

    def _loop(self) -> None:
        now = time.monotonic_ns()
        while not self._is_over():
            self._start_due(now)
            self._note_settled(now)
            asleep = time.monotonic_ns()
            self.count.most("worst_lag_ns", asleep - now)
            wait_s = self._wait_s(asleep)
            events = self.poll.poll(wait_s)
            now = time.monotonic_ns()
            # Later than asked for: a worker that was kept from the CPU, whether or not events wait for it by now.
            self.count.most("worst_lag_ns", now - asleep - int(wait_s * 1e9))
            for fd, what in events:
                self._dispatch(fd, what)
            self._expire(now)
            if not self.ending and self.end_ns and now >= self.end_ns:
                self._begin_end(now)
            if self.ending and self.conns and now >= self.drain_end_ns:
                self._end_drain(now)
            self.count.cpu()

    def run(self) -> None:
        """Runs to the end."""
        if self._wait_for_go():
            self.count.begin()
            start = self.count.start_ns
            self.to_start = (self.config["attempts"] or 1 << 62) if self.workload.loops else self.config["connections"]
            self.end_ns = start + self.config["duration_ns"] if self.workload.has_end else 0
            self.count.set("state", RUNNING)
            self._loop()
            self.count.set("ended_ns", time.monotonic_ns())
            self.count.set("state", DONE)
        for conn in list(self.conns.values()):
            if conn.sock:
                conn.sock.close()
        self.poll.close()


class RequestResponse(Workload):
    """So many requests in flight a connection, the next when one is answered."""

    def _begin(self, conn: Conn) -> None:
        conn.want += self.client.config["size"]
        conn.began.append(time.monotonic_ns())

    def connected(self, conn: Conn) -> None:
        """Sends the first requests."""
        for _ in range(self.client.config["depth"]):
            self._begin(conn)
        self.client.write_wanted(conn)

    def readable(self, conn: Conn) -> None:
        """Takes answers, asks anew."""
        client, size, before = self.client, self.client.config["size"], conn.received
        n = client.read(conn)
        if n <= 0:
            return
        answers = conn.received // size - before // size
        for _ in range(answers):
            client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
            if not client.ending:
                self._begin(conn)
        client.answered(conn, answers)
        if client.ending and conn.received == conn.want:
            client.done(conn)
        else:
            client.write_wanted(conn)

    def writable(self, conn: Conn) -> None:
        """Goes on where the socket was full."""
        self.client.write_wanted(conn)

    def at_end(self, conn: Conn) -> None:
        """Ends what has nothing in flight."""
        if conn.received == conn.want:
            self.client.done(conn)


class Flood(Workload):
    """Writes without waiting, counts what comes back; one request at a time is timed."""

    def connected(self, conn: Conn) -> None:
        """Asks for both directions."""
        self.client.watch(conn, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLOUT)

    def readable(self, conn: Conn) -> None:
        """Counts what came back."""
        client, size, before = self.client, self.client.config["size"], conn.received
        if client.read(conn) <= 0:
            return
        answers = conn.received // size - before // size
        if answers:
            client.answered(conn, answers)
        if conn.began and conn.received >= conn.timed_until:
            client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
        if client.ending and conn.received == conn.sent:
            client.done(conn)

    def writable(self, conn: Conn) -> None:
        """Writes more, for as long as the run lasts."""
        if self.client.ending:
            return
        size = self.client.config["size"]
        if not conn.began:
            conn.timed_until = (conn.sent + size - 1) // size * size + size
            conn.began.append(time.monotonic_ns())
        self.client.write(conn, CHUNK - CHUNK % min(size, CHUNK))

    def at_end(self, conn: Conn) -> None:
        """Stops writing; what is on its way may come back."""
        if conn.received == conn.sent:
            self.client.done(conn)
        else:
            self.client.watch(conn, select.EPOLLIN | select.EPOLLRDHUP)


class Hold(Workload):
    """Opens, stays, closes when told."""

    has_end = False

    def readable(self, conn: Conn) -> None:
        """A greeting is counted and dropped; an early end is a failure."""
        while self.client.read(conn) > 0:
            continue

    def at_end(self, conn: Conn) -> None:
        """Closes."""
        self.client.done(conn)


class Churn(Workload):
    """Connects, perhaps asks once, closes, and again."""

    loops = True

    def connected(self, conn: Conn) -> None:
        """Asks, or ends at once."""
        client = self.client
        conn.want = client.config["size"]
        conn.began.append(time.monotonic_ns())
        if not client.write_wanted(conn):
            return
        if conn.want == 0:
            self._finish(conn)
        else:
            client.wait_for(conn)

    def _finish(self, conn: Conn) -> None:
        if not self.client.config["server_closes_first"]:
            self.client.done(conn)
            return
        conn.state = AWAITING_FIN
        self.client.waiting.pop(conn, None)
        self.client.wait_for(conn)

    def writable(self, conn: Conn) -> None:
        """Goes on where the socket was full."""
        self.client.write_wanted(conn)

    def readable(self, conn: Conn) -> None:
        """Takes the answer, or the peer's FIN."""
        if conn.state == AWAITING_FIN:
            self._await_fin(conn)
            return
        while conn.received < conn.want:
            if self.client.read(conn) <= 0:
                return
        self.client.answered(conn, 1)
        self.client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
        self._finish(conn)

    def _await_fin(self, conn: Conn) -> None:
        assert conn.sock is not None
        try:
            data = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.client.fail(conn, "close", error.errno or 0)
            return
        if data:
            self.client.count.add("bytes_received", len(data))
        else:
            self.client.done(conn)


WORKLOADS: dict[str, type[Workload]] = {"rr": RequestResponse, "flood": Flood, "hold": Hold, "churn": Churn}


def run_client(block_fd: int, control_fd: int, config: Mapping[str, Any]) -> None:
    """Loads until it is over or the control pipe says so. Raises OSError with what kept it from starting."""
    count = Count(block_fd)
    try:
        Client(count, control_fd, config).run()
    finally:
        count.close()
