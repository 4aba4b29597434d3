"""The verdict on a run: every suspect is asked, then `decide`."""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.cause import Cause, Judgement
from estab.diagnose.decide import decide, not_observed, open_questions
from estab.diagnose.evidence import unknown
from estab.diagnose.program import judge_program
from estab.diagnose.suspects import CAUSES, first_address_dead
from estab.diagnose.telling import hint
from estab.kernel.formats import first_bytes
from estab.records import Diagnosis, RunResult, Suspect
from estab.words import plural

_NOT_ALL_WELL = "Nothing failed, but not all was well"


def judge(run: RunResult) -> Diagnosis:
    """The verdict on a run: one cause or none, and every suspect with its evidence. Pure; never raises."""
    if run.program is not None:
        return judge_program(run, run.program)
    judged = decide(
        [(cause, _judgement(cause, run)) for cause in CAUSES],
        run,
        failures=lambda cause: cause.failures(run),
        without_cause=lambda suspects: _no_cause(run, suspects),
    )
    beside = first_address_dead.others_dead(run)
    said = [judged.summary, *([] if beside is None else [beside])]
    return judged.replace(summary=" ".join(said) + _unseen(run, judged.suspects))


def _judgement(cause: Cause, run: RunResult) -> Judgement:
    path = facts.unix_target(run)
    if path is None or cause.over_unix:
        return cause.judge_run(run)
    text = f"The load went over {path}: no port, no packet and no counter of TCP is involved."
    return Judgement("ruled_out", text, [unknown("config", "target", f"{path} is a UNIX socket")])


def _unseen(run: RunResult, suspects: list[Suspect]) -> str:
    """How many causes could not be judged, and what would show them, as a further sentence."""
    unseen = not_observed(suspects)
    if not unseen or not run.funnel.attempted:
        return ""
    how = "" if run.server.observed else ": --server-via 'ssh HOST estab observe --port {port}' shows the server's end"
    return f" {unseen} of {len(suspects)} causes can't be seen from here{how}."


def _unwished(run: RunResult) -> str | None:
    """How many replies of HTTP had a status that nobody wished for. What the server says is no cause in TCP."""
    kinds = run.unwished
    if not kinds:
        return None
    count = sum(kind.count for kind in kinds)
    total = sum(((run.requests and run.requests.http_status) or {}).values())
    each = kinds[0].errno if len(kinds) == 1 else ", ".join(f"{kind.errno} ({kind.count:,})" for kind in kinds)
    of = f"{count:,} of {total:,}" if total > count else f"all {count:,}" if count > 1 else "the one"
    return f"{of} {'reply was' if max(count, total) == 1 else 'replies were'} {each}"


def _no_cause(run: RunResult, suspects: list[Suspect]) -> str:
    failures, replies = run.client_failures, _unwished(run)
    if questions := open_questions(suspects):
        told = plural(failures, "failure") if failures else _nothing_failed(run, replies)
        return " ".join(filter(None, [f"{told}; no cause is confirmed. {questions}", hint(run, suspects)]))
    if failures:
        return _unexplained(run, failures) + (f" And {replies}." if replies else "")
    if lost := run.lost_workers:
        whose = "one of our own workers was" if len(lost) == 1 else f"{len(lost):,} of our own workers were"
        return f"Nothing failed, but {whose} lost: the run is not complete."
    if not run.funnel.attempted:
        return "Nothing was attempted, so there is nothing to judge."
    if replies:
        return f"{_nothing_failed(run, replies)}."
    return f"Nothing failed: {run.funnel.connected:,} of {run.funnel.attempted:,} connected, no limit was met."


def _nothing_failed(run: RunResult, replies: str | None) -> str:
    """Of a run in which no connection failed, and yet not all was well."""
    connected, attempted = run.funnel.connected, run.funnel.attempted
    whole = "All" if connected == attempted else f"{connected:,} of"
    return f"{whole} {plural(attempted, 'connection')} connected; {replies}" if replies else _NOT_ALL_WELL


def _unexplained(run: RunResult, failures: int) -> str:
    """What most of the failures were, where no cause explains them."""
    if run.no_echo is not None:
        return first_bytes.no_echo(run.no_echo.first_bytes or "")
    if run.no_http is not None:
        return first_bytes.no_http(run.no_http.first_bytes or "")
    worst = max((f for f in run.failures if f.is_clients), key=lambda f: f.count)
    most = f", {'all' if worst.count == failures else 'most'} of them {worst.kind.words} ({worst.count:,})"
    return (
        f"{plural(failures, 'failure')}{most}; none of the known causes explains {'it' if failures == 1 else 'them'}."
    )
