"""The client's loop: starts connects as the plan allows, waits, hands events to the workload, ends what is overdue."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from estab.errors import ParseError
from estab.kernel.formats import tcp_info
from estab.kernel.formats.tcp_info import TcpInfo
from estab.load.addresses import socket_address
from estab.load.block import (
    CLOSING,
    CONNECT_NS_AT,
    DONE,
    EOF,
    EXCESS_BYTES,
    MOST_GAPS,
    OWN_TIMEOUT,
    READY,
    REPLY_BYTES,
    RUNNING,
    SETTLED,
    STALL_WORDS,
    STATUS,
    WRONG_BYTES,
)
from estab.load.exchange import ECHO, NONE
from estab.load.pyengine.counting import (
    CHUNK,
    NS_PER_MS,
    PERIOD,
    Count,
    close,
    control_read,
    describe,
    payload,
    set_option,
)
from estab.load.pyengine.open_loop import ClientSchedule
from estab.load.pyengine.replies import Reply, Taken, new_reply

IP_BIND_ADDRESS_NO_PORT = 24
START_BATCH = 64
REST_NS = 10 * NS_PER_MS
NO_ECHO_AFTER = 20  # replies
STALLED = (OWN_TIMEOUT, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)  # what waited in vain
CONNECTING, OPEN, AWAITING_FIN = "connecting", "open", "awaiting_fin"
READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP


def _is_outstanding(info: TcpInfo, code: int) -> bool:
    """What the kernel gave up itself it has dropped (`tcp_write_err`, net/ipv4/tcp_timer.c): nothing is outstanding."""
    return code != OWN_TIMEOUT or info.unacked > 0


class Conn:
    """One connection."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.sock: socket.socket | None = None
        self.state = CONNECTING
        self.events = 0
        self.started_ns = time.monotonic_ns()
        self.rank = 0  # so many connects of this worker began before it
        self.sent = self.received = self.want = 0
        self.send_at = self.receive_at = 0
        self.due = 0  # replies (flood of echoes: not counted)
        self.reply: Reply | None = None  # the one that is due next, where it is no echo
        self.shown = b""  # how it began, once it has
        self.is_last = False  # the reply after which the peer closes has come
        self.began: deque[int] = deque()  # of requests in flight (rr), or of the one that is timed (flood)
        self.timed_until = 0
        self.idle_since_ns = 0
        self.rested_ns = 0  # for how long it had rested when the request that is due began; 0: it is the first
        self.has_rested = False  # a reply has come to what was asked after a rest


class Workload:
    """What a workload does on the shared loop; this base does nothing."""

    loops = False  # a slot whose connection has ended begins the next one
    ends_by_parent = False  # stays until the parent says "close", whatever the duration
    asks = False  # needs something to ask
    paced = False  # asks at a rate, once all are connected; the duration counts from then
    rests = False  # has gaps for which connections rest between requests; ends by itself

    def __init__(self, client: ClientLoop) -> None:
        self.client = client

    def due(self, now: int) -> None:
        """An open loop begins what is due."""

    def due_ns(self) -> int | None:
        """When `due` has something to do next, where that is not the schedule's to say."""
        return None

    def failed(self, conn: Conn, code: int) -> None:
        """The connection is about to be ended for that."""

    def may_begin(self) -> bool:
        """Whether an open loop has a connection (a slot) free for what is due next."""
        return False

    def connected(self, conn: Conn) -> None:
        """The connection is ESTABLISHED."""

    def readable(self, conn: Conn) -> None:
        """Something can be read, or the peer is gone."""

    def writable(self, conn: Conn) -> None:
        """Something can be written."""

    def at_end(self, conn: Conn) -> None:
        """The duration is over."""


class ClientLoop(ClientSchedule):
    """The loop and what it counts."""

    def __init__(
        self, count: Count, control_fd: int, config: Mapping[str, Any], workload: Callable[[ClientLoop], Workload]
    ) -> None:
        super().__init__(count, config)
        self.control = control_fd
        self.target = config["target"]
        self.family, self.address = socket_address(self.target)
        self.payload = payload() if config["reply"] <= ECHO else config["request"]
        self.period = PERIOD if config["reply"] <= ECHO else len(self.payload)
        self.completed = 0  # replies, by the last read
        self.poll = select.epoll()
        self.poll.register(control_fd, select.EPOLLIN)
        self.conns: dict[int, Conn] = {}  # by descriptor
        self.ready = list(range(config["connections"] - 1, -1, -1))
        self.waiting: OrderedDict[Conn, int] = OrderedDict()
        self.resting: deque[tuple[int, int]] = deque()
        self.next_source = 0
        self.ending = self.quit = self.no_echo = False
        self.wrong_replies = 0
        self.drain_end_ns = self.drained_bytes = 0
        self.idle: OrderedDict[Conn, None] = OrderedDict()
        self.workload = workload(self)
        if self.workload.asks and config["reply"] == NONE:
            raise ValueError(f"{config['workload']} needs a size of at least 1")
        if self.workload.rests != bool(config["gaps_ns"]) or len(config["gaps_ns"]) > MOST_GAPS:
            raise ValueError(f"gaps_ns of {config['workload']} is a list of {'1 to 64 times' * self.workload.rests}")
        self.schedules_connects = self.workload.loops and config["rate_per_s"] > 0

    # --- the end of a connection ---

    def wait_for(self, conn: Conn) -> None:
        """Starts its time-out, or starts it again: something came."""
        self.waiting.pop(conn, None)
        if self.config["timeout_ns"]:
            self.waiting[conn] = time.monotonic_ns() + self.config["timeout_ns"]

    def _shut(self, conn: Conn) -> None:
        self.waiting.pop(conn, None)
        self.idle.pop(conn, None)
        self.count.add("connecting" if conn.state == CONNECTING else "open", -1)
        if conn.sock:
            self.conns.pop(conn.sock.fileno(), None)
            close(conn.sock)
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

    def _note_stall(self, conn: Conn, sock: socket.socket, code: int) -> None:
        info = self._tcp_info(sock)
        if info is None:
            return
        now, start_ns = time.monotonic_ns(), self.count.start_ns
        since = self.waiting[conn] - self.config["timeout_ns"] if conn in self.waiting else conn.started_ns
        since = conn.began[0] if conn.began and conn not in self.waiting else since
        moments = {"at_ns": now, "asked_ns": since, "heard_ns": now - info.last_ack_recv_ms * NS_PER_MS,
                   "received_ns": now - info.last_data_recv_ms * NS_PER_MS}  # fmt: skip
        words = {name: max(0, moment - start_ns) for name, moment in moments.items()}
        words |= {name: getattr(info, name) or 0 for name in STALL_WORDS if name not in words}
        self.count.stall(describe(sock, self.target), words, unacknowledged=_is_outstanding(info, code))

    def is_unacknowledged(self, conn: Conn, code: int) -> bool:
        """Whether what was sent last has not arrived, as the kernel knows by its acknowledgements."""
        info = self._tcp_info(conn.sock) if conn.sock is not None else None
        return info is not None and _is_outstanding(info, code)

    def fail(self, conn: Conn, phase: str, code: int) -> None:
        """Counts a failure and ends the connection."""
        self.workload.failed(conn, code)
        if phase != "connect" and conn.sock and code in (errno.ECONNRESET, errno.EPIPE, EOF):
            self._note_order(conn, code)
        if phase != "connect" and conn.sock and code in STALLED:
            self._note_stall(conn, conn.sock, code)
        self.count.failure(phase, code, describe(conn.sock, self.target), conn.shown)
        self.count.add("failed")
        renews = self.config["renews"]
        if not self.workload.loops and not renews and not self.ending:
            self.count.add("failed_before_end")
            self.count.add("failed_ranks", conn.rank)
        self._shut(conn)
        # What never was a connection is not tried again, but where that is the load.
        if not self.ending and (self.workload.loops or (renews and phase != "connect")):
            self.resting.append((time.monotonic_ns() + REST_NS, conn.slot))
        else:
            self._free(conn.slot)

    def fail_waiting(self, conn: Conn, code: int) -> None:
        """A failure at the phase that the connection is in."""
        self.fail(conn, "connect" if conn.state == CONNECTING else "reply" if conn.shown else "read", code)

    def _renew(self) -> None:
        """In place of a connection that has ended, where the load wants as many as before."""
        if self.config["renews"] and not self.ending:
            self.to_start += 1

    def _free(self, slot: int) -> None:
        if not self.ready:
            self.free_at_ns = time.monotonic_ns()
        self.ready.append(slot)

    def done(self, conn: Conn) -> None:
        """Ends a connection that did what it should."""
        if self.config["reset"] and conn.sock:
            set_option(conn.sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._shut(conn)
        self.count.add("completed")
        self._free(conn.slot)
        self._renew()

    # --- the start of a connection ---

    def watch(self, conn: Conn, events: int) -> bool:
        """Asks epoll for `events`, level-triggered. False: it refused, and the connection is over."""
        if conn.sock is None or conn.events == events:
            return conn.sock is not None
        try:
            if conn.events:
                self.poll.modify(conn.sock, events)
            else:
                self.poll.register(conn.sock, events)
        except OSError as error:
            self.fail_waiting(conn, error.errno or 0)
            return False
        conn.events = events
        return True

    def _open_socket(self, conn: Conn) -> None:
        conn.sock = socket.socket(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if self.config["no_delay"]:
            set_option(conn.sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sources = self.config["sources"]
        if sources:
            source = sources[self.next_source % len(sources)]
            self.next_source += 1
            set_option(conn.sock, socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            conn.sock.bind((source[0], 0))

    def _start(self, conn: Conn) -> None:
        if self.config["reply"] == ECHO:  # each begins elsewhere in it, so that none gets another's bytes unseen
            conn.send_at = conn.receive_at = conn.slot * 257 % PERIOD
        elif self.config["reply"] != NONE:
            conn.reply = new_reply(self.config)
        conn.rank = self.count.get("attempted")
        self.count.add("attempted")
        self.count.add("connecting")
        if self.schedules_connects:
            conn.started_ns = self.take_due(time.monotonic_ns(), self.free_at_ns)
        try:
            self._open_socket(conn)
            assert conn.sock is not None
            error = conn.sock.connect_ex(self.address)
        except OSError as failure:
            error = failure.errno or 0
        if error not in (0, errno.EINPROGRESS, errno.EINTR):
            self.fail(conn, "connect", error)
            return
        assert conn.sock is not None
        self.conns[conn.sock.fileno()] = conn
        self.wait_for(conn)
        self.watch(conn, select.EPOLLOUT)

    def _tcp_info(self, sock: socket.socket) -> TcpInfo | None:
        try:
            return tcp_info.parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, tcp_info.SIZE))
        except (OSError, ParseError):  # a UNIX socket's
            return None

    def _established(self, conn: Conn) -> None:
        assert conn.sock is not None
        try:
            error = conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as failure:
            error = failure.errno or 0
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
        info = self._tcp_info(conn.sock)
        self.count.retransmits(info.total_retrans if info is not None else 0)
        if reset:
            self.fail(conn, "read", error)
            return
        if self.watch(conn, select.EPOLLIN | select.EPOLLRDHUP):
            self.workload.connected(conn)

    # --- reading and writing, for every workload ---

    def read(self, conn: Conn) -> int:
        """Reads once. Above 0: something came, and completed `completed` replies; 0: nothing now; -1: it is over."""
        assert conn.sock is not None
        self.completed = 0
        try:
            data = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.fail_waiting(conn, error.errno or 0)
            return -1
        if not data:
            return self._take_end(conn)
        if conn.received == 0:
            self.count.add("first_byte")
        conn.received += len(data)
        self.count.add("bytes_received", len(data))
        if self.config["reply"] == NONE:  # nothing was sent, so nothing is known of what comes
            return len(data)
        return self._take_echo(conn, data) if self.config["reply"] == ECHO else self._take_replies(conn, data)

    def _take_end(self, conn: Conn) -> int:
        if conn.shown and conn.reply is not None and conn.reply.ends_with_connection:
            self._reply_ended(conn, conn.reply, is_last=True)
            return 1
        self.fail_waiting(conn, EOF)
        return -1

    def _take_echo(self, conn: Conn, data: bytes) -> int:
        size = self.config["size"]
        same = self.payload[conn.receive_at : conn.receive_at + len(data)] == data
        conn.receive_at = (conn.receive_at + len(data)) % PERIOD
        if not same or conn.received > conn.sent:
            conn.shown = data
            return self._wrong_reply(conn, "read", WRONG_BYTES)
        self.completed = conn.received // size - (conn.received - len(data)) // size
        return len(data)

    def _wrong_reply(self, conn: Conn, phase: str, code: int) -> int:
        """A peer of whose replies none is what was expected has nothing else to say."""
        self.fail(conn, phase, code)
        self.wrong_replies += 1
        if self.wrong_replies >= NO_ECHO_AFTER and not self.count.get("requests"):
            self.no_echo = True
        return -1

    def _take_replies(self, conn: Conn, data: bytes) -> int:
        at = 0
        while at < len(data):
            reply = conn.reply
            assert reply is not None
            is_due = self.completed < conn.due
            taken = reply.take(data[at:]) if is_due else Taken(len(data) - at, code=EXCESS_BYTES)
            if taken.is_over and at + taken.size < len(data) and self.completed + 1 == conn.due:
                taken = replace(taken, code=EXCESS_BYTES)
            conn.shown += data[at : at + taken.size][: REPLY_BYTES - len(conn.shown)]
            at += taken.size
            if taken.code:
                return self._wrong_reply(conn, "reply", taken.code)
            if taken.is_over:
                self._reply_ended(conn, reply, is_last=taken.is_last)
            if taken.is_last:  # of what else is in flight nothing is answered (RFC 9112, 9.6)
                break
        return len(data)

    def _reply_ended(self, conn: Conn, reply: Reply, *, is_last: bool) -> None:
        """A status of HTTP from 400 on is a reply that nobody wished for; but the connection goes on."""
        self.completed += 1
        conn.is_last = is_last
        if reply.status:
            self.count.http_status(reply.status)
            if not 200 <= reply.status < 400:
                self.count.failure("status", STATUS + reply.status, describe(conn.sock, self.target), conn.shown)
        conn.shown, conn.reply = b"", new_reply(self.config)

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
        conn.send_at = (conn.send_at + sent) % self.period
        self.count.add("bytes_sent", sent)
        return sent

    def ask(self, conn: Conn) -> None:
        """One more request may be sent; its reply is due."""
        conn.want += self.config["size"]
        conn.due += 1

    def write_wanted(self, conn: Conn) -> bool:
        """Writes what may be written. False: the connection is over.

        While a long request goes out, its answer is not overdue.
        """
        before = conn.sent
        while conn.sent < conn.want:
            sent = self.write(conn, conn.want - conn.sent)
            if sent < 0:
                return False
            if sent == 0:
                break
        full = select.EPOLLOUT if conn.sent < conn.want else 0
        if full and conn.sent > before and conn in self.waiting:
            self.wait_for(conn)
        return self.watch(conn, select.EPOLLIN | select.EPOLLRDHUP | full)

    def answered(self, requests: int) -> None:
        """Counts requests answered in full."""
        now = time.monotonic_ns()
        self.count.add("requests", requests)
        self.count.set("last_answer_ns", now)

    # --- the loop ---

    def _may_start(self, now: int) -> bool:
        if (self.ending and not self.has_backlog(now)) or not self.ready or not self.to_start:
            return False
        if self.schedules_connects and not self.schedule_is_due(now):
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
        if self.schedule.start_ns and self.workload.may_begin() and (not self.ending or self.has_backlog(now)):
            at = min(at, self.schedule.next_ns)
        if self.waiting:
            at = min(at, next(iter(self.waiting.values())))
        if (due_ns := self.workload.due_ns()) is not None:
            at = min(at, due_ns)
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
            self.fail_waiting(conn, OWN_TIMEOUT)
        while self.resting and self.resting[0][0] <= now:
            self._free(self.resting.popleft()[1])
            self._renew()

    def _begin_end(self, now: int) -> None:
        self.ending = True
        self.end_ns = self.end_ns or now
        if not self.has_backlog(now):
            self.abandon_backlog(now)
        self.drain_end_ns = now + self.config["drain_ns"]
        self.drained_bytes = self.count.get("bytes_received")
        self.count.set("state", CLOSING)
        if not self.workload.loops:
            self.count.set("stayed", self.count.get("open"))
        self.resting.clear()
        for conn in list(self.conns.values()):
            if conn.state == OPEN:
                self.workload.at_end(conn)

    def _stop_early(self, now: int) -> None:
        """More of the same would tell nothing: what is due is not begun any more."""
        self.count.set("no_echo", 1)
        self.end_ns = now
        self.abandon_backlog(now)
        self._begin_end(now)

    def _end_drain(self, now: int) -> None:
        received = self.count.get("bytes_received")
        if received != self.drained_bytes:  # answers may go on for as long as they keep coming
            self.drained_bytes, self.drain_end_ns = received, now + self.config["drain_ns"]
            return
        for conn in list(self.conns.values()):
            if conn in self.idle:
                self.done(conn)
            else:
                self.fail_waiting(conn, OWN_TIMEOUT)

    def _give_up(self, code: int) -> None:
        """Without epoll nothing more is heard of any connection, nor of the parent: all is over, and counted."""
        now = time.monotonic_ns()
        self.ending = True
        self.end_ns = self.end_ns or now
        self.abandon_backlog(now)
        self.resting.clear()
        for conn in list(self.conns.values()):
            self.fail_waiting(conn, code)

    def _events(self, wait_s: float) -> list[tuple[int, int]]:
        try:
            return self.poll.poll(wait_s)
        except OSError as error:
            self._give_up(error.errno or 0)
            return []

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
        # A loop of connects without an end has nothing to settle: it runs beside what does.
        endless = self.workload.loops and not self.end_ns and not self.config["attempts"]
        busy = not endless and (self.to_start or self.count.get("connecting") or self.resting)
        if self.count.get("state") == RUNNING and not busy:
            self.count.set("settled_ns", now)
            self.count.set("state", SETTLED)

    def _is_over(self) -> bool:
        idle = not self.conns and not self.resting
        if self.quit:
            return True
        if self.ending:
            return idle and self.to_start == 0
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
            self.workload.due(now)
            if self.ending and self.to_start and not self.has_backlog(now):
                self.abandon_backlog(now)
            asleep = time.monotonic_ns()
            self.count.most("worst_lag_ns", asleep - now)
            wait_s = self._wait_s(asleep)
            events = self._events(wait_s)
            now = time.monotonic_ns()
            # Later than asked for: a worker that was kept from the CPU, whether or not events wait for it by now.
            self.count.most("worst_lag_ns", now - asleep - int(wait_s * 1e9))
            for fd, what in events:
                self._dispatch(fd, what)
            self._expire(now)
            if self.no_echo and not self.ending:
                self._stop_early(now)
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
            timed = not self.workload.ends_by_parent and not self.workload.paced and self.config["duration_ns"]
            self.end_ns = start + self.config["duration_ns"] if timed else 0
            if self.schedules_connects:
                self.open_loop_begin(start)
            self.count.set("state", RUNNING)
            self._loop()
            if not self.quit:
                self.abandon_backlog(time.monotonic_ns())
            self.count.set("ended_ns", time.monotonic_ns())
            self.count.set("state", DONE)
        for conn in list(self.conns.values()):
            if conn.sock:
                close(conn.sock)
        self.poll.close()
