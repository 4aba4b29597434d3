"""`estab explain`."""

from __future__ import annotations

import sys

from estab.cli.show import OK, console
from estab.errors import UsageError
from estab.words import nearest

_LEAST_LETTERS = 4  # of a word that is looked for on the pages


def explain(cause: str | None = None, /) -> int:
    """What a cause is: its symptom, mechanism, how to see it by hand, what fixes it and what does nothing.

    Without CAUSE all causes are listed. An errno or a state is looked up on all pages.

    Example: estab explain accept_queue_overflow

    Parameters
    ----------
    cause
        A cause, as accept_queue_overflow, or a word, as EADDRNOTAVAIL or CLOSE_WAIT.
    """
    from estab.diagnose.suspects import BY_ID, CAUSES
    from estab.report.explain import render_causes, render_page

    name = "" if cause is None else cause.strip().lower().replace("-", "_").replace(" ", "_")
    if name in BY_ID:
        render_page(name, console())
    elif cause is None:
        render_causes(CAUSES, console())
    elif telling := _telling_of(cause):
        render_causes([BY_ID[found] for found in telling], console())
    else:
        raise UsageError(f"there is no cause {cause!r}{nearest(name, BY_ID)} (estab explain lists them all)")
    sys.stdout.flush()
    return OK


def _telling_of(word: str) -> list[str]:
    """The causes whose pages have the word."""
    from estab.diagnose.suspects import CAUSES
    from estab.report.cause_pages import page_of

    if len(word) < _LEAST_LETTERS:
        return []
    pages = {cause.id: page_of(cause.id) for cause in CAUSES}
    return [name for name, page in pages.items() if page is not None and word.lower() in page.text.lower()]
