"""The workloads: each a few callbacks on the client's loop."""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Mapping
from typing import Any

from estab.load.block import EOF, OWN_TIMEOUT, REQUEST_NS_AT, SETTLED
from estab.load.exchange import ECHO, NONE
from estab.load.pyengine.client import AWAITING_FIN, START_BATCH, ClientLoop, Conn, Workload
from estab.load.pyengine.counting import CHUNK, Count


class RequestResponse(Workload):
    """So many requests in flight a connection, the next when one is answered."""

    asks = True

    def _begin(self, conn: Conn) -> None:
        self.client.ask(conn)
        conn.began.append(time.monotonic_ns())

    def connected(self, conn: Conn) -> None:
        """Sends the first requests."""
        for _ in range(self.client.config["depth"]):
            self._begin(conn)
        self.client.wait_for(conn)
        self.client.write_wanted(conn)

    def readable(self, conn: Conn) -> None:
        """Takes answers, asks anew."""
        client = self.client
        if client.read(conn) <= 0:
            return
        conn.due -= client.completed
        for _ in range(client.completed):
            client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
            if not client.ending and not conn.is_last:
                self._begin(conn)
        client.answered(client.completed)
        if conn.due:
            client.wait_for(conn)
        else:
            client.waiting.pop(conn, None)
        if conn.is_last or (client.ending and not conn.due):
            client.done(conn)
        else:
            client.write_wanted(conn)

    def writable(self, conn: Conn) -> None:
        """Goes on where the socket was full."""
        self.client.write_wanted(conn)

    def at_end(self, conn: Conn) -> None:
        """Ends what has nothing in flight."""
        if not conn.due:
            self.client.done(conn)


class Flood(Workload):
    """Writes without waiting, counts what comes back; one request at a time is timed.

    An echo is known by its bytes, any other reply by how many came before it.
    """

    asks = True

    def __init__(self, client: ClientLoop) -> None:
        super().__init__(client)
        self._echoes = client.config["reply"] == ECHO
        self._size: int = client.config["size"]

    def _begun(self, conn: Conn) -> int:
        """Requests of which a byte at least was handed to the kernel."""
        return -(-conn.sent // self._size)

    def connected(self, conn: Conn) -> None:
        """Asks for both directions."""
        self.client.wait_for(conn)
        self.client.watch(conn, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLOUT)

    def readable(self, conn: Conn) -> None:
        """Counts what came back."""
        client = self.client
        if client.read(conn) <= 0:
            return
        client.wait_for(conn)  # there is always more to come: it writes for as long as the run lasts
        if client.completed:
            client.answered(client.completed)
        if not self._echoes:
            conn.due -= client.completed
        so_far = conn.received if self._echoes else self._begun(conn) - conn.due
        if conn.began and so_far >= conn.timed_until:
            client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
        if conn.is_last:  # who closes answers nothing more (RFC 9112, 9.6)
            client.done(conn)
        elif client.ending:
            self.at_end(conn)

    def writable(self, conn: Conn) -> None:
        """Writes more, for as long as the run lasts."""
        if self.client.ending:
            self.at_end(conn)
            return
        begun = self._begun(conn)
        if not conn.began:
            conn.timed_until = (begun + 1) * self._size if self._echoes else begun + 1
            conn.began.append(time.monotonic_ns())
        self.client.write(conn, CHUNK - CHUNK % min(self._size, CHUNK))
        if not self._echoes:
            conn.due += self._begun(conn) - begun

    def at_end(self, conn: Conn) -> None:
        """Stops writing; what is on its way may come back.

        A part of an echo comes back too; of anything else what has begun is asked to its end, and answered.
        """
        conn.want = conn.sent if self._echoes else self._begun(conn) * self._size
        if not self.client.write_wanted(conn):
            return
        if conn.sent == conn.want and (conn.received == conn.sent if self._echoes else not conn.due):
            self.client.done(conn)


class Hold(Workload):
    """Opens, stays, closes when told."""

    ends_by_parent = True

    def connected(self, conn: Conn) -> None:
        """Stays; or goes at once, when all are told to."""
        if self.client.ending:
            self.client.done(conn)

    def readable(self, conn: Conn) -> None:
        """A greeting is counted and dropped; an early end is a failure."""
        self.client.read(conn)

    def at_end(self, conn: Conn) -> None:
        """Closes."""
        self.client.done(conn)


class Churn(Workload):
    """Connects, perhaps asks once, closes, and again."""

    loops = True

    def may_begin(self) -> bool:
        """A slot is free."""
        return bool(self.client.ready and self.client.to_start)

    def connected(self, conn: Conn) -> None:
        """Asks, or ends at once."""
        client = self.client
        asks = client.config["reply"] != NONE
        if asks:
            client.ask(conn)
        conn.began.append(conn.started_ns if client.schedule.rate_per_s else time.monotonic_ns())
        if not client.write_wanted(conn):
            return
        if asks:
            client.wait_for(conn)
        else:
            self._finish(conn)

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
        while conn.due:
            if self.client.read(conn) <= 0:
                return
            conn.due -= self.client.completed
        self.client.answered(1)
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


class Rate(Workload):
    """Requests at a rate, over connections that stay: each takes the connection that has been idle longest."""

    asks = True
    paced = True

    def connected(self, conn: Conn) -> None:
        """Waits for its turn."""
        self._idle(conn)

    def _idle(self, conn: Conn) -> None:
        self.client.waiting.pop(conn, None)
        conn.idle_since_ns = time.monotonic_ns()
        self.client.idle[conn] = None

    def may_begin(self) -> bool:
        """A connection is idle."""
        return bool(self.client.idle)

    def due(self, now: int) -> None:
        """Sends what is due; at the end, closes what is idle."""
        client = self.client
        if not client.schedule.start_ns and client.count.get("state") >= SETTLED and not client.ending:
            client.open_loop_begin(now)
        for _ in range(START_BATCH):
            if not client.idle or not client.schedule_is_due(now):
                break
            conn, _none = client.idle.popitem(last=False)
            conn.began.append(client.take_due(time.monotonic_ns(), conn.idle_since_ns))
            client.ask(conn)
            client.wait_for(conn)
            client.write_wanted(conn)
        if client.ending and not client.has_backlog(now):
            client.abandon_backlog(now)
            for conn in list(client.idle):
                client.done(conn)

    def readable(self, conn: Conn) -> None:
        """Takes the answer."""
        client = self.client
        if client.read(conn) <= 0:
            return
        conn.due -= client.completed
        if conn.began and not conn.due:
            client.count.latency("request", REQUEST_NS_AT, time.monotonic_ns() - conn.began.popleft())
            client.answered(1)
            if conn.is_last and client.config["renews"]:
                client.done(conn)
                return
            self._idle(conn)
        elif conn.began:
            client.wait_for(conn)
        client.write_wanted(conn)

    def writable(self, conn: Conn) -> None:
        """Goes on where the socket was full."""
        self.client.write_wanted(conn)


class Rest(Workload):
    """Asks, is answered, rests for its gap, and asks again, until each has been asked after one rest."""

    asks = True
    rests = True

    def __init__(self, client: ClientLoop) -> None:
        super().__init__(client)
        self._lost = 0  # connections that were asked in vain after a rest

    def _gap(self, conn: Conn) -> int:
        config = self.client.config
        return int(conn.slot * len(config["gaps_ns"]) // config["connections"])

    def _add(self, conn: Conn, name: str, number: int = 1) -> None:
        self.client.count.words[self.client.count.gap_word(self._gap(conn), name)] += number

    def connected(self, conn: Conn) -> None:
        """Asks for the first time."""
        self._ask(conn)

    def _ask(self, conn: Conn) -> None:
        conn.began.append(time.monotonic_ns())
        self.client.ask(conn)
        self.client.wait_for(conn)
        self.client.write_wanted(conn)

    def _ask_again(self, conn: Conn) -> None:
        self.client.idle.pop(conn)
        conn.rested_ns = max(1, time.monotonic_ns() - conn.idle_since_ns)
        self._ask(conn)

    def _due_ns(self, conn: Conn) -> int:
        return conn.idle_since_ns + int(self.client.config["gaps_ns"][self._gap(conn)])

    def due_ns(self) -> int | None:
        """When the next has rested."""
        return min((self._due_ns(conn) for conn in self.client.idle), default=None)

    def due(self, now: int) -> None:
        """Asks those that have rested; those that go on are there to show that they still are answered."""
        client = self.client
        for conn in [conn for conn in client.idle if self._due_ns(conn) <= now]:
            self._ask_again(conn)
        if not client.ending and not client.to_start and all(conn.has_rested for conn in client.conns.values()):
            client.end_ns = now

    def readable(self, conn: Conn) -> None:
        """Takes the answer."""
        client = self.client
        if conn in client.idle:
            self._listen(conn)
            return
        if client.read(conn) <= 0:
            return
        conn.due -= client.completed
        if conn.due:
            client.wait_for(conn)
            return
        now = time.monotonic_ns()
        client.count.latency("request", REQUEST_NS_AT, now - conn.began.pop())
        client.answered(1)
        if conn.rested_ns:
            conn.has_rested = True
            self._add(conn, "answered")
            client.count.words[client.count.gap_word(self._gap(conn), "last_answer_ns")] = now - client.count.start_ns
        if conn.is_last or client.ending:
            client.done(conn)
        else:
            self._rest(conn, now)

    def _rest(self, conn: Conn, now: int) -> None:
        if not conn.has_rested:
            self._add(conn, "rested")
        self.client.waiting.pop(conn, None)
        conn.idle_since_ns = now
        self.client.idle[conn] = None

    def _listen(self, conn: Conn) -> None:
        """Who rests asked for nothing: bytes are a greeting, or the word that goes before an end, and are dropped."""
        assert conn.sock is not None
        try:
            data = conn.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.client.fail_waiting(conn, error.errno or 0)
            return
        if data:
            self.client.count.add("bytes_received", len(data))
        else:
            self.client.fail_waiting(conn, EOF)

    def writable(self, conn: Conn) -> None:
        """Goes on where the socket was full."""
        self.client.write_wanted(conn)

    def failed(self, conn: Conn, code: int) -> None:
        """Notes how it ended, for how long it had rested, and when that was over."""
        client, is_resting = self.client, conn in self.client.idle
        if not is_resting and not conn.rested_ns:
            return
        until = time.monotonic_ns() if is_resting else conn.began[-1]
        rested_ns, since_ns = until - conn.idle_since_ns, until - client.count.start_ns
        first = not any(client.count.words[client.count.gap_word(self._gap(conn), name)] for name in _ENDS)
        for name, value, pick in (
            ("least_ns", rested_ns, min), ("most_ns", rested_ns, max), ("first_ns", since_ns, min),
            ("last_ns", since_ns, max),
        ):  # fmt: skip
            word = client.count.gap_word(self._gap(conn), name)
            client.count.words[word] = value if first else pick(client.count.words[word], value)
        how = _END_OF.get(code, "wrong")
        self._add(conn, how)
        self._add(conn, "unasked", int(is_resting))
        lost = how == "silent" and client.is_unacknowledged(conn, code)
        self._add(conn, "unacknowledged", int(lost))
        self._lost += not is_resting
        if client.config["most_lost"] and self._lost >= client.config["most_lost"] and not client.ending:
            client.end_ns = time.monotonic_ns()

    def at_end(self, conn: Conn) -> None:
        """Those that go on are asked once more, so that their last answer comes after the last rest."""
        if conn not in self.client.idle:
            return
        if conn.has_rested:
            self._ask_again(conn)
        else:
            self.client.done(conn)


_END_OF = {
    EOF: "closed", errno.EPIPE: "closed", errno.ECONNRESET: "reset", OWN_TIMEOUT: "silent", errno.ETIMEDOUT: "silent",
}  # fmt: skip
_ENDS = ("closed", "reset", "silent", "wrong")

WORKLOADS: dict[str, type[Workload]] = {
    "rr": RequestResponse,
    "flood": Flood,
    "hold": Hold,
    "churn": Churn,
    "rate": Rate,
    "rest": Rest,
}


def run_client(block_fd: int, control_fd: int, config: Mapping[str, Any]) -> None:
    """Loads until it is over or the control pipe says so. Raises OSError with what kept it from starting."""
    count = Count(block_fd)
    try:
        ClientLoop(count, control_fd, config, WORKLOADS[config["workload"]]).run()
    finally:
        count.close()
