"""The relay itself: what comes in at one end leaves at the other, later, or never.

It runs in a child of the lab, on packet sockets of two links that no host uses. One loop, two queues (all packets of a
direction wait equally long, so each queue is in order by itself), and the fates of packets in `_fate`.
"""

from __future__ import annotations

import math
import random
import select
import socket
import time
from collections import deque
from contextlib import suppress
from heapq import heappop, heappush
from multiprocessing.connection import Connection

from estab.lab.process import linux
from estab.lab.process.child import say
from estab.lab.wire import packets
from estab.lab.wire.pcapng import SNAP
from estab.lab.wire.spec import Captured, Filter, PassedSyn, WireCounts, WireReport, WireSpec

_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33  # `include/uapi/asm-generic/socket.h`
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23  # `include/uapi/linux/if_packet.h`
_BUFFER_BYTES = 16 << 20
_MOST_CAPTURED = 50_000
_MOST_TIMED = 20_000
_BATCH = 64  # packets taken from one end before the other gets its turn
_INJECT = 32  # hand-made packets sent before the answers are taken off
# So long before a packet is due it looks instead of sleeping, where a late wake-up is felt: a share of the delay.
_LOOKS_S, _FELT = 50e-6, 0.01
GATHER_S = 0.2
GATHERS_WITHIN_S = 0.5  # clients give up, or send their SYN again, within a second
CLIENT, SERVER = 0, 1
_ENDS = {"client": CLIENT, "server": SERVER}


def _open(link: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(_ETH_P_ALL))
    try:
        end.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    except PermissionError:  # in a user namespace: as much as rmem_max allows, some 550 SYNs
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    end.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    end.bind((link, _ETH_P_ALL))
    end.setblocking(False)
    return end


class Relay:
    """One wire. `run()` returns when it is told to stop. Messages: ("report",), ("counts",), ("gather", n),
    ("hold", yes or no), ("inject", n, port, address, macs), ("stop",)."""

    def __init__(self, spec: WireSpec, links: tuple[str, str], connection: Connection) -> None:
        self.spec = spec
        self.ends = [_open(link) for link in links]
        self.connection = connection
        self.report = WireReport()
        self.delay = spec.rtt_s / 2
        self.looks_s = _LOOKS_S if self.delay * _FELT < _LOOKS_S else 0.0
        self.due: list[deque[tuple[float, bytes]]] = [deque(), deque()]  # by the end that they leave at
        self.table: set[packets.FlowKey] = set()
        self.passed_at: dict[packets.FlowKey, float] = {}  # when something of a flow passed last
        self.open: set[packets.FlowKey] = set()  # the client's connections that neither end has closed
        self.strayed: set[packets.FlowKey] = set()  # connections on which a stray segment was sent
        self.random = random.Random(spec.seed)
        self.spread: list[tuple[float, bytes]] = []  # SYNs that come later than others, a heap
        self.gathered: list[bytes] = []
        self.gather_left = spec.gather_syns
        self.gather_until = self.gather_at_most = 0.0
        self.syn_count = 0
        self.began_at: float | None = None  # when the client's first SYN came
        self.tokens, self.tokens_at = float(spec.syn_burst), time.monotonic()
        self.seen_syns: dict[bytes, int] = {}
        self.mac: list[bytes] = [b"", b""]
        self.to_inject: deque[bytes] = deque()
        self.sent = 0
        self.held = False
        self.stopped = False

    def run(self) -> None:
        """Relay until told to stop."""
        control = self.connection.fileno()
        descriptors = [*(end.fileno() for end in self.ends), control]
        linux.wake_in_time()
        linux.go_first()  # what waits here for a core would come late, or find the buffer full
        say(self.connection, "ready")
        while not self.stopped:
            ready = select.select(descriptors, [], [], self._wait_s())[0]
            told = control in ready
            for end in (CLIENT, SERVER):
                if told or descriptors[end] in ready:
                    self._take(end)
            self._inject()
            self._release()
            self._send_due()
            if told:  # last: who asks what was carried is not told less than has come, on a busy machine either
                self._obey()

    def _wait_s(self) -> float | None:
        now = time.monotonic()
        moments = [queue[0][0] for queue in (*self.due, self.spread) if queue and not self.held]
        if self.to_inject:
            return 0
        if self.gathered:
            moments.append(self.gather_until)
        return None if not moments else max(0.0, min(moments) - now - self.looks_s)

    def _obey(self) -> None:
        try:
            message = self.connection.recv()
        except EOFError:
            self.stopped = True
            return
        if message[0] == "stop":
            self.stopped = True
        elif message[0] == "report":
            self.report.flows = len(self.table)
            say(self.connection, self.report)
        elif message[0] == "counts":
            report = self.report
            say(self.connection, WireCounts(report.packets + self.sent, len(report.syns), report.injected))
        elif message[0] == "gather":
            self.gather_left = message[1]
            say(self.connection, "done")
        elif message[0] == "hold":
            self.held = message[1]
            say(self.connection, "done")
        elif message[0] == "inject":
            _, count, port, address, macs = message
            self.to_inject.extend(
                packets.orphan_syn(number, macs[1], macs[0], socket.inet_aton(address), port) for number in range(count)
            )

    # -- in -----------------------------------------------------------------------------------------------------------

    def _take(self, end: int) -> None:
        """What has come in at one end, each with its fate."""
        recv = self.ends[end].recv
        for _ in range(_BATCH):
            try:
                frame = recv(65535)
            except BlockingIOError:
                return
            except OSError:  # the host at that end is gone
                return
            now = time.monotonic()
            self.report.packets += 1
            why = self._fate(frame, end, now)
            if self.spec.capture:
                self._capture(end, frame, why)
            if why:
                self.report.lost += 1
            elif why is None:
                self._pass_on(frame, end, now + self.delay)

    def _pass_on(self, frame: bytes, end: int, moment: float) -> None:
        """It leaves at the other end at that moment, as it came or as the spec wants it."""
        if self.spec.strays and end == SERVER and packets.has_data(frame) and packets.flow(frame) not in self.strayed:
            self.strayed.add(packets.flow(frame))
            self.due[CLIENT].append((moment, packets.far_ahead(frame)))
        if self.spec.spoils is not None and end == _ENDS[self.spec.spoils]:
            frame = packets.with_wrong_checksum(frame)
        self.due[1 - end].append((moment, frame))

    def _fate(self, frame: bytes, end: int, now: float) -> str | None:
        """None: it goes on. Else why it does not; the empty text where it is only kept for a while."""
        if not packets.is_ipv4(frame):
            return None
        syn = end == CLIENT and packets.tcp_flags(frame) & (packets.SYN | packets.ACK) == packets.SYN
        why = self._ended(syn=syn) or self._lost_because(frame, end, syn)
        if syn:
            source, target = packets.ports(frame)
            self.report.syns.append(PassedSyn(at_s=now, source_port=source, target_port=target, arrived=why is None))
        if why is None and syn and self.gather_left:
            self._gather(frame, now)
            return ""
        if why is None and syn and self.spec.syn_spread_s:
            later = self.delay + self.random.uniform(0, self.spec.syn_spread_s)
            heappush(self.spread, (now + later, frame))
            return ""
        return why

    def _lost_because(self, frame: bytes, end: int, syn: bool) -> str | None:
        spec = self.spec
        if syn:
            self.syn_count += 1
            if self.syn_count in spec.lose_syns:
                return f"lost: SYN number {self.syn_count}, as asked"
        if (how := self._refused(frame, syn)) != "none":
            return self._refuse(frame, how, CLIENT)
        if spec.forgets_s is not None and self._forgotten(frame, spec.forgets_s, syn=syn):
            return self._refuse(frame, spec.forgotten, end)
        if (lost := self._not_taken(frame, end, syn)) is not None:
            return lost
        if spec.flows is not None and not self._tracked(frame):
            return f"lost: the flow table is full ({spec.flows} of {spec.flows})"
        return f"lost by chance ({spec.loss:.1%})" if spec.loss and self.random.random() < spec.loss else None

    def _ended(self, *, syn: bool) -> str | None:
        """That the way has ended, so long after the first SYN; None: it has not."""
        if syn and self.began_at is None:
            self.began_at = time.monotonic()
        if self.spec.ends_s is None or self.began_at is None or time.monotonic() - self.began_at <= self.spec.ends_s:
            return None
        return "lost: the way has ended"

    def _not_taken(self, frame: bytes, end: int, syn: bool) -> str | None:
        if syn and self.spec.syns_per_s is not None and not self._has_token(self.spec.syns_per_s):
            return f"lost: more than {self.spec.syns_per_s:g} SYNs a second"
        if self.spec.largest is not None and packets.ip_length(frame) > self.spec.largest:
            return f"lost: longer than {self.spec.largest} bytes"
        members = self.spec.members
        if members and end == CLIENT and packets.ports(frame)[0] // 2 % members == members - 1:
            return f"lost: member {members} of {members} is dead"
        return "for an address that never answers" if end == SERVER and packets.never_answers(frame) else None

    def _has_token(self, per_s: float) -> bool:
        """A bucket of `syn_burst` tokens that fills at `per_s`; a SYN takes one."""
        now = time.monotonic()
        self.tokens = min(float(self.spec.syn_burst), self.tokens + (now - self.tokens_at) * per_s)
        self.tokens_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def _tracked(self, frame: bytes) -> bool:
        """Whether a packet's flow is in the table, or finds room there. Entries stay: no flow here ends in time."""
        key = packets.flow(frame)
        if key in self.table:
            return True
        if len(self.table) >= (self.spec.flows or 0):
            return False
        self.table.add(key)
        return True

    def _refused(self, frame: bytes, syn: bool) -> Filter:
        if syn and self.spec.filter != "none":
            return self.spec.filter
        return "none" if self.spec.most is None or self._fits(frame, syn, self.spec.most) else "reset"

    def _fits(self, frame: bytes, syn: bool, most: int) -> bool:
        """Whether a packet is of one of so many connections at once: a FIN or RST of either end makes room."""
        key = packets.flow(frame)
        if packets.tcp_flags(frame) & (packets.FIN | packets.RST):
            self.open.discard(key)
        elif syn and key not in self.open:
            if len(self.open) >= most:
                return False
            self.open.add(key)
        return True

    def _forgotten(self, frame: bytes, after_s: float, *, syn: bool) -> bool:
        """Whether a packet's flow is known no more: nothing of it passed for so long, and no SYN began it anew."""
        key, now = packets.flow(frame), time.monotonic()
        if not syn and now - self.passed_at.get(key, -math.inf) > after_s:
            return True
        self.passed_at[key] = now
        return False

    def _refuse(self, frame: bytes, how: Filter, end: int) -> str:
        """What a filter does to a packet that came in at that end."""
        if how == "drop":
            return "dropped by a filter"
        answer = packets.refusal(frame, how)
        self.due[end].append((time.monotonic() + self.delay, answer))
        return f"rejected by a filter ({how})"

    def _gather(self, frame: bytes, now: float) -> None:
        if not self.gathered:
            self.gather_at_most = now + GATHERS_WITHIN_S
        self.gather_until = min(now + GATHER_S, self.gather_at_most)
        self.gathered.append(frame)
        self.gather_left -= 1

    # -- out ----------------------------------------------------------------------------------------------------------

    def _release(self) -> None:
        """The gathered SYNs leave together, once all are there or the time is over."""
        if self.gathered and (not self.gather_left or time.monotonic() >= self.gather_until):
            moment = time.monotonic() + self.delay
            self.due[SERVER].extend((moment, frame) for frame in self.gathered)
            self.report.together = max(self.report.together, len(self.gathered))
            self.gathered, self.gather_left = [], 0

    def _send_due(self) -> None:
        while self.spread and self.spread[0][0] <= time.monotonic() and not self.held:
            self.due[SERVER].appendleft(heappop(self.spread))  # it is due, so it may be the first
        for end in (CLIENT, SERVER) if not self.held else ():
            queue, out = self.due[end], self.ends[end]
            now = time.monotonic()
            while queue and queue[0][0] <= now:
                moment, frame = queue.popleft()
                with suppress(OSError):  # a full queue at the other side, or the host is gone
                    out.send(frame)
                self.sent += 1
                if self.spec.capture:
                    self._capture(end, frame, None)
                if len(self.report.added_s) < _MOST_TIMED:
                    self.report.added_s.append(time.monotonic() - moment)

    def _inject(self) -> None:
        """Hand-made SYNs, some at a time, so that the answers to them are taken off meanwhile."""
        for _ in range(min(_INJECT, len(self.to_inject))):
            frame = self.to_inject.popleft()
            try:
                self.ends[SERVER].send(frame)
            except OSError:
                self.to_inject.appendleft(frame)
                return
            self.report.injected += 1
            if self.spec.capture:
                self._capture(SERVER, frame, "hand-made: its source never answers")

    def _capture(self, end: int, frame: bytes, why: str | None) -> None:
        if len(self.report.captured) < _MOST_CAPTURED:
            comment = "; ".join(filter(None, (self._worth_saying(frame, end), why)))
            self.report.captured.append(
                Captured(at_ns=time.time_ns(), end=end, frame=frame[:SNAP], size=len(frame), comment=comment)
            )

    def _worth_saying(self, frame: bytes, end: int) -> str:
        """A comment for packets of interest that passed: SYNs that were sent again, and resets."""
        flags = packets.tcp_flags(frame) if packets.is_ipv4(frame) else 0
        if flags & packets.RST:
            return "a reset"
        if flags & (packets.SYN | packets.ACK) == packets.SYN and not packets.never_answers(frame):
            sent = self.seen_syns.get(frame[26:38], 0) + (end == CLIENT)  # it comes in there, and goes out later
            self.seen_syns[frame[26:38]] = sent
            return f"SYN number {sent} of this connection" if sent > 1 else ""
        return ""


def carry(spec: WireSpec, links: tuple[str, str], connection: Connection) -> None:
    """What the wire's child runs."""
    Relay(spec, links, connection).run()
