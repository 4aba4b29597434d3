"""`find_idle`: for how long a connection may rest before the server ends it, or something on the way forgets it."""

from __future__ import annotations

from collections.abc import Callable

from estab.api.execute import execute
from estab.api.gaps import EACH, GapsRequest
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, LoadOptions
from estab.diagnose.idle_times import IdleTimes, idle_times
from estab.load.conductor import Stop
from estab.load.plan import MOST_DURATION_S, check_range
from estab.load.search import IdleSearch
from estab.records import RunResult
from estab.records.search import IdleStep, IdleTime

LEAST_S, MOST_S = 0.1, 120.0

RoundCallback = Callable[[IdleStep], None]


def find_idle(
    target: str | None = None,
    *,
    most_s: float = MOST_S,
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    stepped: RoundCallback | None = None,
) -> IdleTime:
    """Lets connections to `target` rest side by side for ever closer times, up to `most_s` seconds, and asks again.

    What ends by itself, by FIN or RST, is timed, and the search is over as soon as it has. What is only lost, so that
    who asks gets no answer or a RST, is searched for: two or three rounds, each as long as the time that is looked for
    and the timeout. Where nothing ends, it takes `most_s`. What is asked is an echo, or as in `bench`. `stepped` is
    told of each round. Raises as `hold` does.
    """
    check_range("most_s", most_s, LEAST_S, MOST_DURATION_S)
    search = IdleSearch(most_s)
    rounds = _Rounds(target or "embedded server", most_s)
    while (gaps_s := search.next()) is not None:
        asked = GapsRequest.of(
            gaps_s, size_bytes=size_bytes, http=http, request=request, until=until, reply_bytes=reply_bytes,
            most_lost=EACH,
        )  # fmt: skip
        run = execute(asked, target, options, stop=stop, progress=progress)
        if run.interrupted:
            break
        times = rounds.add(run)
        if stepped is not None:
            stepped(rounds.steps[-1])
        if not times.borne and not times.connections:  # not one has rested: there is nothing to search
            break
        search.tried(times.longest_borne_s, _lost_s(times), _ended_s(times))
    return rounds.result(search).replace(interrupted=stop is not None and stop.is_set)


def _lost_s(times: IdleTimes) -> float | None:
    """The shortest rest after which a connection was asked in vain."""
    return min((gap.gap_s for gap in (*times.ended, *times.mixed) if gap.ended > gap.unasked), default=None)


def _ended_s(times: IdleTimes) -> float | None:
    """After how long a rest the first ended by itself, where most did."""
    unasked = times.count(lambda gap: gap.unasked)
    return times.rested_s[0] if times.rested_s is not None and unasked * 2 > times.connections else None


class _Rounds:
    """The rounds so far, and what they say."""

    def __init__(self, target: str, most_s: float) -> None:
        self.target, self.most_s = target, most_s
        self.steps: list[IdleStep] = []
        self._last: RunResult | None = None
        self._best: RunResult | None = None  # the last that a cause was named for, or that something ended in

    def add(self, run: RunResult) -> IdleTimes:
        """One more round; what became of its rests."""
        self.steps.append(IdleStep(gaps=run.idle_gaps, seconds=run.elapsed_s, cause=run.cause))
        times = idle_times(run)
        self._last = run
        if run.cause is not None or (times.connections and (self._best is None or self._best.cause is None)):
            self._best = run
        return times

    def result(self, search: IdleSearch) -> IdleTime:
        """What is known by now."""
        shown = self._best or self._last
        result = IdleTime(
            target=self.target,
            most_s=self.most_s,
            steps=self.steps,
            borne_s=search.borne_s or None,
            lost_s=search.lost_s,
            set_by=shown.cause if shown is not None else None,
            diagnosis=shown.diagnosis if shown is not None else None,
        )
        if search.ended_s is not None:
            return result.replace(idle_s=search.ended_s, how=self._how(), confirmed=True)
        if search.lost_s is not None:
            middle_s = round((search.borne_s + search.lost_s) / 2, 3)
            return result.replace(idle_s=middle_s, how="lost", confirmed=search.is_near)
        if search.borne_s >= self.most_s:
            return result.replace(confirmed=True)
        return result.replace(note=self._why_unknown())

    def _how(self) -> str:
        times = idle_times(self._best) if self._best is not None else IdleTimes([], [], [])
        return "closed" if times.count(lambda gap: gap.closed) >= times.count(lambda gap: gap.reset) else "reset"

    def _why_unknown(self) -> str | None:
        if self._last is None:
            return None
        if not any(gap.rested for gap in self._last.idle_gaps):
            return "no connection was answered and kept open, so none could rest"
        return "what rested did not part by its time"
