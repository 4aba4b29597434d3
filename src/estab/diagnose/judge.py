"""The verdict on a run: every suspect is asked, then `decide`."""

from __future__ import annotations

from estab.diagnose.decide import decide, not_observed, open_questions
from estab.diagnose.program import judge_program
from estab.diagnose.suspects import CAUSES
from estab.kernel.formats import first_bytes
from estab.records import Diagnosis, RunResult, Suspect
from estab.words import plural


def judge(run: RunResult) -> Diagnosis:
    """The verdict on a run: one cause or none, and every suspect with its evidence. Pure; never raises."""
    if run.program is not None:
        return judge_program(run, run.program)
    judged = decide(
        [(cause, cause.judge_run(run)) for cause in CAUSES],
        run,
        failures=lambda cause: cause.failures(run),
        without_cause=lambda suspects: _no_cause(run, suspects),
    )
    return judged.replace(summary=judged.summary + _unseen(run, judged.suspects))


def _unseen(run: RunResult, suspects: list[Suspect]) -> str:
    """How many causes could not be judged, and what would show them, as a further sentence."""
    unseen = not_observed(suspects)
    if not unseen or not run.funnel.attempted:
        return ""
    how = "" if run.server.observed else ": --server-via 'ssh HOST estab observe --port {port}' shows the server's end"
    return f" {unseen} of {len(suspects)} causes can't be seen from here{how}."


def _no_cause(run: RunResult, suspects: list[Suspect]) -> str:
    failures = run.client_failures
    if questions := open_questions(suspects):
        told = plural(failures, "failure") if failures else "Nothing failed, but not all was well"
        return f"{told}; no cause is confirmed. {questions}"
    if failures and run.no_echo is not None:
        return first_bytes.no_echo(run.no_echo.first_bytes or "")
    if failures:
        worst = max((f for f in run.failures if f.is_clients), key=lambda f: f.count)
        most = f", {'all' if worst.count == failures else 'most'} of them {worst.kind.words} ({worst.count:,})"
        return (
            f"{plural(failures, 'failure')}{most}; "
            f"none of the known causes explains {'it' if failures == 1 else 'them'}."
        )
    if lost := run.lost_workers:
        whose = "one of our own workers was" if len(lost) == 1 else f"{len(lost):,} of our own workers were"
        return f"Nothing failed, but {whose} lost: the run is not complete."
    if not run.funnel.attempted:
        return "Nothing was attempted, so there is nothing to judge."
    return f"Nothing failed: {run.funnel.connected:,} of {run.funnel.attempted:,} connected, no limit was met."
