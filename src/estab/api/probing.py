"""The probes of a run: which are made and when, within one bound on connects. What they told stands in the record.

Each is bounded in number and time by itself; `MOST_CONNECTS` bounds them all together, those of the command `probe`
included. Nothing here raises for what the network does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from estab.diagnose import telling
from estab.diagnose.cause import Probe
from estab.diagnose.probed import lost_by_chance
from estab.load.conductor import Stop
from estab.load.exchange import Exchange
from estab.load.plan import Address
from estab.load.probing import sizes, source_ports
from estab.load.probing.connects import Attempt, attempts
from estab.load.probing.ping import PingRefused, ping
from estab.load.target import MOST_PORT
from estab.records import ConnectTry, NotTried, OtherPort, Ping, Probes, RunResult, SizeProbe

MOST_CONNECTS = 99
MOST_S = 30.0  # a bound that the times of all of them together keep
_BEFORE_S = 1.0
_TWICE_S = 2.5  # a SYN is sent again after a second
_TARGET_TRIES = 2
_OTHER_TRIES = 1
_BESIDE, _BESIDE_APART_S = 24, 0.02
_FEW_PORTS = 12  # where not one connect got through, as many tell as much


@dataclass(frozen=True)
class ProbeTarget:
    """What is probed: an address, from where, and what is asked there.

    `other_port` is another port of its host; 0: the next one. `ports_used`: local ports that connect() takes from.
    """

    target: Address
    source: str | None
    exchange: Exchange
    timeout_s: float
    other_port: int = 0
    ports_used: tuple[int, int] | None = None

    @property
    def beside(self) -> Address:
        """Another port of the target's host."""
        host, port, scope = self.target
        return host, self.other_port or (port + 1 if port < MOST_PORT else port - 1), scope


class Probing:
    """The probes of one run. `of_command`: it is that of the command `probe`, which makes them all."""

    def __init__(self, subject: ProbeTarget, stop: Stop | None, *, of_command: bool) -> None:
        self._subject, self._stop, self._of_command = subject, stop, of_command
        self._made = Probes()
        self._left = MOST_CONNECTS
        self._size: SizeProbe | None = None
        self._ping_refused = False

    def before(self) -> None:
        """Before the load: does another port answer, and a ping? What was silent before tells nothing afterwards."""
        with self._timed():
            ms, tried = self._beside_a_ping([Attempt(self._subject.beside, self._subject.source)], _BEFORE_S)
            self._made = self._made.replace(
                other_port=OtherPort(port=self._subject.beside[1], before=tried[0]),
                ping=None if self._ping_refused else Ping(asked_before=True, before_ms=ms),
            )

    def held(self, still_open: int) -> None:
        """While so many connections of the load are held: is it this port alone that new ones do not reach?"""
        with self._timed():
            self._ask_other_port(still_open)

    def after(self, run: RunResult) -> RunResult:
        """The run with what its probes told; `run` is judged without them."""
        if self._of_command:
            self._left -= run.funnel.attempted
        wanted = frozenset(Probe) if self._of_command else telling.wanted(run)
        with self._timed():
            for step in self._steps(run, wanted):
                if self._stop is None or not self._stop.is_set:
                    step()
        made = self._made.replace(connects=MOST_CONNECTS - self._left, seconds=round(self._made.seconds, 3))
        interrupted = self._stop is not None and self._stop.is_set
        return run.replace(probes=made, size_probe=self._size, interrupted=run.interrupted or interrupted)

    def _steps(self, run: RunResult, wanted: Collection[Probe]) -> Iterator[Callable[[], None]]:
        other = self._made.other_port
        if Probe.OTHER_PORT in wanted and (other is None or not other.tries):
            yield lambda: self._ask_other_port(0)
        if Probe.SOURCE_PORTS in wanted:
            yield lambda: self._ask_from_ports(source_ports.MOST if run.funnel.connected else _FEW_PORTS)
        if Probe.OTHER_PORT in wanted:
            yield self._ask_beside
        if Probe.SIZES in wanted:
            yield lambda: self._ask_sizes(run)

    # -- each probe ---------------------------------------------------------------------------------------------------

    def _ask_other_port(self, still_open: int) -> None:
        subject = self._subject
        there, beside = Attempt(subject.target, subject.source), Attempt(subject.beside, subject.source)
        ms, tried = self._beside_a_ping([there] * _TARGET_TRIES + [beside] * _OTHER_TRIES, _TWICE_S)
        target, tries = tried[:_TARGET_TRIES], tried[_TARGET_TRIES:]
        other, pinged = self._made.other_port or OtherPort(port=subject.beside[1]), self._made.ping or Ping()
        self._made = self._made.replace(
            other_port=other.replace(target=_known(target), tries=_known(tries), open=still_open),
            ping=None if self._ping_refused else pinged.replace(ms=ms),
        )

    def _ask_from_ports(self, wanted: int) -> None:
        ports = source_ports.choose(self._subject.ports_used, min(wanted, self._left), time.monotonic_ns() // 1000)
        made = source_ports.probe(self._subject.target, self._subject.source, ports, self._left, self._stop)
        self._left -= sum(len(each.tries) for each in made.ports)
        self._made = self._made.replace(source_ports=made)

    def _ask_beside(self) -> None:
        """Where some SYNs to the target were lost, are some to a port that answers lost as well?"""
        other, ports = self._made.other_port, self._made.source_ports
        if other is None or not any(each.answered for each in other.tries) or not lost_by_chance(ports):
            return
        asked = [
            Attempt(self._subject.beside, self._subject.source, 0, number * _BESIDE_APART_S)
            for number in range(_BESIDE)
        ]
        self._made = self._made.replace(other_port=other.replace(beside=_known(self._connect(asked, _TWICE_S))))

    def _ask_sizes(self, run: RunResult) -> None:
        if not self._subject.exchange.asks:
            self._not_tried("sizes", "it sends a request, and none was given")
        elif not run.funnel.connected:
            self._not_tried("sizes", "no connect got through")
        elif self._left < sizes.CONNECTS:
            self._not_tried("sizes", f"{MOST_CONNECTS} connects are the bound")
        else:
            subject = self._subject
            asked = sizes.asking(subject.target, subject.exchange, subject.timeout_s, subject.source)
            self._size = sizes.probe(asked, self._left, time.monotonic() + MOST_S - self._made.seconds)
            self._left -= 0 if self._size is None else self._size.connects or sizes.CONNECTS

    # -- what they share ----------------------------------------------------------------------------------------------

    def _connect(self, asked: list[Attempt], within_s: float) -> list[ConnectTry | None]:
        asked = asked[: self._left]
        self._left -= len(asked)
        return attempts(asked, within_s, self._stop)

    def _beside_a_ping(self, asked: list[Attempt], within_s: float) -> tuple[float | None, list[ConnectTry | None]]:
        with ThreadPoolExecutor(1) as thread:
            pinging = thread.submit(ping, self._subject.target, _BEFORE_S)
            tried = self._connect(asked, within_s)
            try:
                return pinging.result(), tried
            except PingRefused as error:
                self._ping_refused = True
                self._not_tried("ping", str(error))
                return None, tried

    def _not_tried(self, probe: str, why: str) -> None:
        entry = NotTried(probe=probe, why=why)
        if entry not in self._made.not_tried:
            self._made = self._made.replace(not_tried=[*self._made.not_tried, entry])

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._made = self._made.replace(seconds=self._made.seconds + time.monotonic() - began_s)


def _known(tried: list[ConnectTry | None]) -> list[ConnectTry]:
    return [each for each in tried if each is not None]
