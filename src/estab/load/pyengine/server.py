"""The server's loop: accepts as fast or as slowly as asked, echoes or swallows, and counts."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from estab.load.block import DONE, RUNNING
from estab.load.pyengine.counting import CHUNK, NS_PER_MS, Count, close, control_read, describe, set_option

ECHO, SINK, STALL = range(3)
ACCEPT_BATCH = 64
EMFILE_REST_NS = 10 * NS_PER_MS
GONE = (errno.ECONNRESET, errno.EPIPE)


class _Peer:
    __slots__ = ("served", "sock", "spill")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.spill = b""
        self.served = 0


class _Server:
    def __init__(self, count: Count, control_fd: int, config: Mapping[str, Any]) -> None:
        self.count = count
        self.control = control_fd
        self.service = config["service"]
        self.gap_ns = config["accept_gap_ns"]
        self.pause_ns, self.pause_every_ns = config["pause_ns"], config["pause_every_ns"]
        self.pause_at_ns = time.monotonic_ns() + self.pause_every_ns
        self.close_after = config["close_after"]
        self.reset = config["reset"]
        self.listener = socket.socket(fileno=config["listener"])
        self.peers: dict[int, _Peer] = {}
        self.accept_at_ns = 0
        self.quit = False
        self.poll = select.epoll()
        self.poll.register(control_fd, select.EPOLLIN)
        self.listening = self.service != STALL
        self.poll.register(self.listener, select.EPOLLIN if self.listening else 0)

    def fail(self, phase: str, code: int, sock: socket.socket | None) -> None:
        try:
            peer = sock.getpeername() if sock else ()
        except OSError:
            peer = ()
        example = describe(sock, peer) if peer and sock and sock.family != socket.AF_UNIX else ""
        self.count.failure(phase, code, example)
        self.count.add("failed")

    def end(self, peer: _Peer) -> None:
        if self.reset:
            set_option(peer.sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peers.pop(peer.sock.fileno(), None)
        close(peer.sock)
        self.count.add("open", -1)
        self.count.add("closed")

    def fault(self, peer: _Peer, phase: str, error: OSError) -> None:
        if error.errno in GONE:
            self.count.add("peer_resets")
        else:
            self.fail(phase, error.errno or 0, peer.sock)
        self.end(peer)

    def write(self, peer: _Peer, data: bytes) -> bool:
        try:
            sent = peer.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fault(peer, "write", error)
            return False
        self.count.add("bytes_sent", sent)
        had, peer.spill = bool(peer.spill), data[sent:]
        if bool(peer.spill) != had:
            more = select.EPOLLOUT if peer.spill else 0
            # While its answer waits, nothing more is read from a peer.
            try:
                self.poll.modify(peer.sock, more or select.EPOLLIN)
            except OSError as error:  # nobody would say when
                self.fault(peer, "write", error)
                return False
        return not peer.spill

    def serve(self, peer: _Peer) -> None:
        if peer.spill and not self.write(peer, peer.spill):
            return
        try:
            data = peer.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.fault(peer, "read", error)
            return
        if not data:
            self.end(peer)
            return
        if peer.served == 0:
            self.count.add("first_byte")
        peer.served += len(data)
        self.count.add("bytes_received", len(data))
        if self.service == ECHO and not self.write(peer, data):
            return
        if peer.served >= self.close_after:
            self.end(peer)

    def listen_for(self, on: bool) -> None:
        if self.listening == on:
            return
        with contextlib.suppress(OSError):  # the next turn tries again
            self.poll.modify(self.listener, select.EPOLLIN if on else 0)
            self.listening = on

    def accept_some(self) -> None:
        now = time.monotonic_ns()
        if self.accept_at_ns > now:
            return
        for _ in range(ACCEPT_BATCH):
            try:
                sock, _address = self.listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:
                self.fail("accept", error.errno or 0, None)
                self.accept_at_ns = now + EMFILE_REST_NS
                self.listen_for(False)
                return
            self.welcome(sock)
            if not self.gap_ns:
                continue
            self.accept_at_ns = max(self.accept_at_ns, now - NS_PER_MS) + self.gap_ns
            if self.accept_at_ns > now:
                self.listen_for(False)
                return
        self.listen_for(True)

    def welcome(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.count.add("accepted")
        self.count.add("open")
        peer = _Peer(sock)
        self.peers[sock.fileno()] = peer
        try:
            self.poll.register(sock, select.EPOLLIN)
        except OSError as error:
            self.fail("accept", error.errno or 0, sock)
            self.end(peer)
            return
        if self.service == ECHO:
            set_option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.close_after == 0:
            self.end(peer)

    def on_event(self, fd: int) -> None:
        if fd == self.control:
            self.quit = control_read(fd) in "qc"
        elif fd == self.listener.fileno():
            self.accept_some()
        elif fd in self.peers:
            self.serve(self.peers[fd])

    def wait_s(self) -> float:
        now = time.monotonic_ns()
        at = now + 1000 * NS_PER_MS if self.listening or self.service == STALL else self.accept_at_ns
        if self.pause_ns:
            at = min(at, self.pause_at_ns)
        return max(0.0, (at - now) / 1e9)

    def pause_if_due(self) -> None:
        """Answers nobody for a while; only the parent's word is heard."""
        if not self.pause_ns or time.monotonic_ns() < self.pause_at_ns:
            return
        end = self.pause_at_ns + self.pause_ns
        while not self.quit and (left := end - time.monotonic_ns()) > 0:
            if select.select([self.control], [], [], left / 1e9)[0]:
                self.quit = control_read(self.control) in "qc"
        self.pause_at_ns += self.pause_every_ns

    def events(self) -> list[tuple[int, int]]:
        try:
            return self.poll.poll(self.wait_s())
        except OSError as error:  # nothing more is heard of anybody, the parent included
            self.fail("accept", error.errno or 0, None)
            for peer in list(self.peers.values()):
                self.end(peer)
            self.quit = True
            return []

    def loop(self) -> None:
        while not self.quit:
            for fd, _events in self.events():
                self.on_event(fd)
            if not self.listening and self.service != STALL:
                self.accept_some()
            self.pause_if_due()
            self.count.cpu()


def run_server(block_fd: int, control_fd: int, config: Mapping[str, Any]) -> None:
    """Serves until the control pipe says so. Raises OSError with what kept it from starting."""
    count = Count(block_fd)
    server = _Server(count, control_fd, config)
    count.begin()
    count.set("state", RUNNING)
    server.loop()
    count.cpu()
    count.set("ended_ns", time.monotonic_ns())
    count.set("state", DONE)
    for peer in list(server.peers.values()):
        close(peer.sock)
    server.listener.detach()  # it was given, and is its giver's to close
    server.poll.close()
    count.close()
