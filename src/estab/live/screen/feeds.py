"""Where rounds come from: a thread that looks, or a recording that is played. Both post messages to the app."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.app import App
from textual.message import Message
from textual.timer import Timer

from estab.errors import EstabError
from estab.live.incidents import begins
from estab.load.conductor import Stop
from estab.records import Snapshot

_LONGEST_WAIT_S = 5.0  # a gap in a recording is not sat out
_SLOWEST, _FASTEST = 0.01, 1000.0
_REMEMBERED = 600  # stepping back plays so many rounds again


@dataclass
class RoundArrived(Message):
    """A round was taken. `anew`: what was seen before is to be forgotten."""

    together: Sequence[Snapshot]
    anew: bool = False


@dataclass
class RoundsEnded(Message):
    """No round comes any more; `error` is why, where it should have."""

    error: BaseException | None = None


class LiveFeed:
    """Takes rounds in a thread until `stop`. What goes wrong there is told, not raised."""

    def __init__(self, rounds: Iterator[list[Snapshot]], stop: Stop) -> None:
        self._rounds, self._stop = rounds, stop
        self._thread: threading.Thread | None = None

    def start(self, app: App[int]) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, args=(app,), name="looks")
        self._thread.start()

    def finish(self) -> None:
        """Ask the thread to end and wait for it: what it records last is then written."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, app: App[int]) -> None:
        error: BaseException | None = None
        try:
            for together in self._rounds:
                if not self._stop.is_set:
                    app.post_message(RoundArrived(together))
        except (EstabError, OSError) as failure:
            error = failure
        if not self._stop.is_set:
            app.post_message(RoundsEnded(error))


class ReplayFeed:
    """Plays recorded rounds at the pace at which they were taken, times `speed`."""

    def __init__(self, rounds: Sequence[Sequence[Snapshot]], speed: float, before: int = 0) -> None:
        """`before`: so many rounds are shown at once, as what came before the moment to look at."""
        self.rounds, self.speed, self._before = rounds, speed, before
        self.paused = False
        self.position = 0  # how many rounds were played
        self._begins: list[int] | None = None
        self._app: App[int] | None = None
        self._timer: Timer | None = None

    def start(self, app: App[int]) -> None:
        """Play the first round at once, after those that come before it."""
        self._app = app
        if self._before:
            self._go_to(self._before)
        self._play()

    def finish(self) -> None:
        """Play no more."""
        if self._timer is not None:
            self._timer.stop()

    def toggle(self) -> None:
        """Pause, or go on."""
        self.paused = not self.paused
        self._schedule()

    def faster(self, factor: float) -> None:
        """Change the speed."""
        self.speed = min(_FASTEST, max(_SLOWEST, self.speed * factor))
        self._schedule()

    def step(self, by: int) -> None:
        """Pause, and play the next round, or go back to the one before."""
        self.paused = True
        self.finish()
        if by > 0 and self.position < len(self.rounds):
            self._play()
        elif by < 0 and self.position > 1:
            self._go_to(self.position - 1)

    def to_incident(self, by: int) -> bool:
        """Pause, and go to the next round at which distress began, or to the one before. Whether there is one."""
        if self._begins is None:
            self._begins = begins(self.rounds)
        ahead = [number for number in self._begins if number > self.position]
        behind = [number for number in self._begins if number < self.position]
        place = ahead[:1] if by > 0 else behind[-1:]
        self.paused = True
        self.finish()
        if place:
            self._go_to(place[0])
        return bool(place)

    def _go_to(self, position: int) -> None:
        """A model only goes forward: it is made anew and shown what came before."""
        self.position = position
        for number, together in enumerate(self.rounds[max(0, position - _REMEMBERED) : position]):
            self._post(RoundArrived(together, anew=number == 0))

    def _play(self) -> None:
        together = self.rounds[self.position]
        self.position += 1
        self._post(RoundArrived(together))
        if self.position == len(self.rounds):
            self._post(RoundsEnded())
        self._schedule()

    def _schedule(self) -> None:
        self.finish()
        if self.paused or self._app is None or not 0 < self.position < len(self.rounds):
            return
        gap = self.rounds[self.position][0].taken_at_s - self.rounds[self.position - 1][0].taken_at_s
        wait = min(_LONGEST_WAIT_S, max(0.0, gap)) if math.isfinite(gap) else 0.0
        self._timer = self._app.set_timer(max(0.01, wait / self.speed), self._play)

    def _post(self, message: Message) -> None:
        if self._app is not None:
            self._app.post_message(message)


Feed = LiveFeed | ReplayFeed
