"""/proc/net/softnet_stat: what each CPU took off its receive queue, and dropped for want of room in it.

What lives here: `softnet_seq_show` in net/core/net-procfs.c. The queues are the machine's: every network namespace
shows the same file.
"""

from __future__ import annotations

from estab.errors import ParseError
from estab.kernel.formats import words
from estab.records import Softnet

_DROPPED, _SQUEEZED = 1, 2


def parse_softnet(data: bytes) -> Softnet:
    """The sums over all CPUs, one line each; kernels since 2.6 print nine columns or more.

    Raises ParseError where a line has fewer than three hexadecimal numbers, or there is none.
    """
    dropped = squeezed = offset = 0
    lines = data.splitlines(keepends=True)
    if not lines:
        raise ParseError("no line of a CPU", 0)
    for line in lines:
        columns = line.split()
        if len(columns) <= _SQUEEZED:
            raise ParseError(f"{len(columns)} columns, dropped and time_squeeze are the second and third", offset)
        dropped += words.hexadecimal(columns[_DROPPED], offset)
        squeezed += words.hexadecimal(columns[_SQUEEZED], offset)
        offset += len(line)
    return Softnet(dropped=dropped, squeezed=squeezed)
