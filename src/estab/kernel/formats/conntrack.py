"""/proc/net/stat/nf_conntrack: connection tracking's counters, one line a CPU.

What lives here: `ct_cpu_seq_show` in net/netfilter/nf_conntrack_standalone.c.
"""

from __future__ import annotations

from estab.errors import ParseError
from estab.kernel.formats import words

_PER_NAMESPACE = "entries"  # the table's size, printed again on each CPU's line


def parse_stat(data: bytes) -> dict[str, int]:
    """The counters by name, summed over the CPUs; `entries` is the namespace's table, not summed.

    Raises ParseError where a line has not as many hexadecimal numbers as there are names.
    """
    lines = data.splitlines(keepends=True)
    if not lines:
        raise ParseError("no line of names", 0)
    try:
        names = lines[0].decode("ascii").split()
    except UnicodeDecodeError as error:
        raise ParseError(f"not ASCII: {lines[0][:40]!r}", error.start) from error
    totals = dict.fromkeys(names, 0)
    offset = len(lines[0])
    for line in lines[1:]:
        values = line.split()
        if len(values) != len(names):
            raise ParseError(f"{len(names)} names, {len(values)} values", offset)
        for name, value in zip(names, values, strict=True):
            number = words.hexadecimal(value, offset)
            totals[name] = number if name == _PER_NAMESPACE else totals[name] + number
        offset += len(line)
    return totals
