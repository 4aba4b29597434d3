"""One thread with epoll, as event-driven servers are: accepts at once, and has limits of its own if it is asked to.

It writes "accepted", "refused" or "evicted" for each connection, and "EMFILE" once when it has no descriptor left.
"""

import argparse
import errno
import heapq
import selectors
import socket
import struct
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--address", default="0.0.0.0")
parser.add_argument("--backlog", type=int, default=1024)
parser.add_argument("--limit", type=int, default=0, help="so many connections at once")
parser.add_argument("--over", choices=("close", "reset", "wait", "evict"), default="close", help="what is over it")
parser.add_argument("--say", default="", help="what is said before what is over the limit is closed")
parser.add_argument("--answer-after", type=float, default=0, help="seconds until a request is answered")
parser.add_argument("--idle", type=float, default=0, help="close a connection that was silent for so long")
parser.add_argument("--life", type=float, default=0, help="close each connection after so many seconds")
parser.add_argument("--leak", action="store_true", help="never close what the client closed")
parser.add_argument("--deaf", action="store_true", help="read nothing")
parser.add_argument("--spin", type=float, default=0, help="seconds of work on the core for each request or connect")
parser.add_argument("--reset-on-data", action="store_true", help="reset a connection when it asks")
asked = parser.parse_args()

family = socket.AF_INET6 if ":" in asked.address else socket.AF_INET
listener = socket.create_server((asked.address, asked.port), family=family, backlog=asked.backlog)
listener.setblocking(False)
chooser = selectors.DefaultSelector()
chooser.register(listener, selectors.EVENT_READ)
last_heard: dict[socket.socket, float] = {}
born: dict[socket.socket, float] = {}
answers: list[tuple[float, int, socket.socket, bytes]] = []
words_said: set[str] = set()


def log(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def log_once(word: str) -> None:
    if word not in words_said:
        words_said.add(word)
        log(word)


def drop(connection: socket.socket, *, by_reset: bool = False) -> None:
    if connection in last_heard:
        if not asked.deaf:
            chooser.unregister(connection)
        del last_heard[connection], born[connection]
    if by_reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    if asked.over == "wait" and listener.fileno() not in chooser.get_map():
        chooser.register(listener, selectors.EVENT_READ)


def spin() -> None:
    until = time.thread_time() + asked.spin
    while time.thread_time() < until:
        pass


def accept() -> None:
    while True:
        if asked.limit and asked.over == "wait" and len(last_heard) >= asked.limit:
            chooser.unregister(listener)
            return
        try:
            connection, _address = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.EMFILE:
                log_once("EMFILE")
                time.sleep(0.01)
            return
        if asked.limit and len(last_heard) >= asked.limit:
            if asked.over == "evict":
                log("evicted")
                drop(min(last_heard, key=lambda each: last_heard[each]))
            else:
                log("refused")
                if asked.say:
                    connection.send(asked.say.encode() + b"\r\n")
                drop(connection, by_reset=asked.over == "reset")
                continue
        log("accepted")
        connection.setblocking(False)
        last_heard[connection] = born[connection] = time.monotonic()
        if not asked.deaf:
            chooser.register(connection, selectors.EVENT_READ)


def answer(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        drop(connection)


def read(connection: socket.socket) -> None:
    try:
        data = connection.recv(1 << 20)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if not data and asked.leak:
        chooser.unregister(connection)
    elif not data:
        drop(connection)
    elif asked.reset_on_data:
        drop(connection, by_reset=True)
    else:
        last_heard[connection] = time.monotonic()
        spin()
        if asked.answer_after:
            heapq.heappush(answers, (time.monotonic() + asked.answer_after, id(connection), connection, data))
        else:
            connection.setblocking(True)
            answer(connection, data)
            if connection.fileno() >= 0:
                connection.setblocking(False)


def expire() -> None:
    now = time.monotonic()
    while answers and answers[0][0] <= now:
        _due, _number, connection, data = heapq.heappop(answers)
        if connection in last_heard:
            answer(connection, data)
    if asked.idle:
        for connection in [each for each, heard in last_heard.items() if now - heard > asked.idle]:
            drop(connection)
    if asked.life:
        for connection in [each for each, begun in born.items() if now - begun > asked.life]:
            drop(connection)


log("ready")
tick = 0.01 if asked.answer_after or asked.idle or asked.life else None
while True:
    for key, _mask in chooser.select(tick):
        if key.fileobj is listener:
            accept()
            spin()
        elif key.fileobj in last_heard:
            read(key.fileobj)
    expire()
