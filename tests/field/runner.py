"""Plays situations side by side, each by a process in namespaces of its own, and marks what was said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.field.mark import Mark, Said, mark
from tests.field.situation import Situation

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 60


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A situation's mark, why it is not right, what was said (None where nothing was), and which proofs failed."""

    situation: Situation
    mark: Mark
    why: str
    said: Said | None
    unproved: tuple[str, ...]
    seconds: float


def play_all(
    situations: Iterable[Situation], jobs: int, told: Callable[[Outcome], None] = lambda _outcome: None
) -> list[Outcome]:
    """The outcomes, in order. `told` gets each when it is known. One that was not set up is tried once more."""
    with ThreadPoolExecutor(jobs) as pool:

        def played(situation: Situation) -> Outcome:
            outcome = play(situation)
            if outcome.mark == "not set up":
                outcome = play(situation)
            told(outcome)
            return outcome

        return list(pool.map(played, situations))


def play(situation: Situation) -> Outcome:
    """Plays one in a process of its own. Never raises for what happens there."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="estab-field-") as folder:
        Path(folder).chmod(0o755)  # servers that give up root read their files
        done = subprocess.run(
            [*_alone(), sys.executable, "-m", "tests.field.play", situation.name, folder],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=_ROOT,
            timeout=_WITHIN_S,
        )
    seconds = time.monotonic() - started_s
    outcome = json.loads(done.stdout) if done.returncode == 0 else {"unproved": [done.stderr.strip()[-500:]]}
    unproved = tuple(outcome["unproved"])
    said = Said(**outcome["said"]) if "said" in outcome else None
    if said is None or unproved:
        return Outcome(
            situation=situation, mark="not set up", why=unproved[0], said=said, unproved=unproved, seconds=seconds
        )
    value, why = mark(situation.truth, said)
    return Outcome(situation=situation, mark=value, why=why, said=said, unproved=(), seconds=seconds)


def chosen(situations: Iterable[Situation], pattern: str) -> list[Situation]:
    """Those whose name matches."""
    return [situation for situation in situations if re.search(pattern, situation.name)]


def _alone() -> list[str]:
    """What leaves the host's network for good, and ends with all that it started when this process ends."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    apart = ["unshare", *as_root, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    return ["setpriv", "--pdeathsig", "KILL", *apart]
