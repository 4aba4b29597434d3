"""The workloads: each a few callbacks on the client's loop."""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from typing import Any

from estab.load.block import REQUEST_NS_AT, SETTLED
from estab.load.exchange import NONE
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
    """Writes without waiting, counts what comes back; one request at a time is timed."""

    asks = True

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


WORKLOADS: dict[str, type[Workload]] = {
    "rr": RequestResponse,
    "flood": Flood,
    "hold": Hold,
    "churn": Churn,
    "rate": Rate,
}


def run_client(block_fd: int, control_fd: int, config: Mapping[str, Any]) -> None:
    """Loads until it is over or the control pipe says so. Raises OSError with what kept it from starting."""
    count = Count(block_fd)
    try:
        ClientLoop(count, control_fd, config, WORKLOADS[config["workload"]]).run()
    finally:
        count.close()
