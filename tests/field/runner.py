"""Plays situations side by side, each by a fork of this process in namespaces of its own, and marks what was said."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.field import play
from tests.field.mark import Mark, Said, mark
from tests.field.situation import Situation
from tests.forked import forked_call

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 110


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A situation's mark, why it is not right, what was said (None where nothing was), and which proofs failed."""

    situation: Situation
    mark: Mark
    why: str
    said: Said | None
    unproved: tuple[str, ...]
    seconds: float


class Runner:
    """So many situations at the same time. `told` gets each outcome when it is known, from any thread."""

    def __init__(self, jobs: int, told: Callable[[Outcome], None] = lambda _outcome: None) -> None:
        self._jobs, self._told = jobs, told
        self._playing: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def play_all(self, situations: Iterable[Situation]) -> list[Outcome]:
        """The outcomes, in order. One that was not set up is tried once more. An interrupt ends what plays."""
        with ThreadPoolExecutor(self._jobs) as pool:
            played = [pool.submit(self._play, situation) for situation in situations]
            try:
                return [each.result() for each in played]
            except BaseException:
                self._stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(self._playing):
                    process.kill()
                raise

    def _play(self, situation: Situation) -> Outcome:
        outcome = self._once(situation)
        if outcome.mark == "not set up" and not self._stopped:
            outcome = self._once(situation)
        if not self._stopped:
            self._told(outcome)
        return outcome

    def _once(self, situation: Situation) -> Outcome:
        started_s = time.monotonic()
        process = subprocess.Popen(
            **forked_call(lambda: play.alone(situation), "play", mortal=True), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_ROOT,
        )  # fmt: skip
        self._playing.add(process)
        try:
            said, complaints = process.communicate(timeout=_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, complaints = "", f"it took more than {_WITHIN_S} s {process.communicate()[1]}"
        finally:
            self._playing.discard(process)
        return _outcome(situation, said, complaints, time.monotonic() - started_s)


def _outcome(situation: Situation, printed: str, complaints: str, seconds: float) -> Outcome:
    """From what `play.py` printed; nothing where it was killed or failed."""
    answer = json.loads(printed) if printed else {"unproved": [complaints.strip()[-500:] or "it was ended"]}
    unproved = tuple(answer["unproved"])
    said = Said(**answer["said"]) if "said" in answer else None
    if said is None or unproved:
        value: Mark = "not set up"
        why = unproved[0]
    else:
        value, why = mark(situation.truth, said)
    return Outcome(situation=situation, mark=value, why=why, said=said, unproved=unproved, seconds=seconds)


def chosen(situations: Iterable[Situation], pattern: str) -> list[Situation]:
    """Those whose name matches."""
    return [situation for situation in situations if re.search(pattern, situation.name)]
