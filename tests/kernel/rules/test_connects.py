"""What became of connects, as TCP's counters tell: at each bound, and where a counter counts more than connects."""

from __future__ import annotations

import pytest

from estab.kernel.rules.connects import Connects, connects


@pytest.mark.parametrize(
    ("counted", "wanted", "connected"),
    [
        ({"active_opens": 0, "attempt_fails": 0}, Connects(0, 0, 0, 0), 0),
        ({"active_opens": 5, "attempt_fails": 0}, Connects(5, 0, 0, 0), 5),
        ({"active_opens": 5, "attempt_fails": 5}, Connects(5, 5, 0, 0), 0),
        ({"active_opens": 5, "attempt_fails": 2, "aborts_on_timeout": 1, "unanswered": 1}, Connects(5, 1, 1, 0), 3),
        # A second in SYN-SENT is seen: what timed out unseen was somebody else's.
        ({"active_opens": 5, "attempt_fails": 2, "aborts_on_timeout": 1}, Connects(4, 1, 0, 0), 3),
        # Aborts of connections that were established are no connects that timed out.
        ({"active_opens": 5, "attempt_fails": 2, "aborts_on_timeout": 9, "unanswered": 2}, Connects(5, 0, 2, 0), 3),
        # Half-open connections that were reset are a server's.
        ({"active_opens": 5, "attempt_fails": 3, "embryonic_resets": 3}, Connects(5, 0, 0, 0), 5),
        # What the kernel timed out was not given up by the program.
        ({"active_opens": 5, "attempt_fails": 1, "aborts_on_timeout": 1, "unanswered": 3}, Connects(5, 0, 1, 2), 2),
        ({"active_opens": 2, "attempt_fails": 0, "unanswered": 9}, Connects(2, 0, 0, 2), 0),
        # Others of the namespace failed too, or a counter began anew.
        ({"active_opens": 1, "attempt_fails": 7}, Connects(1, 1, 0, 0), 0),
        ({"active_opens": -3, "attempt_fails": -1}, Connects(0, 0, 0, 0), 0),
    ],
)
def test_what_became_of_them(counted: dict[str, int], wanted: Connects, connected: int) -> None:
    became = connects(**counted)
    assert became == wanted
    assert became.connected == connected
