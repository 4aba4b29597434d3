"""Two samples of runs held against each other. Pure: records in, a record out; no IO, no clock, no random numbers.

What lives here: figures of runs, the statistics that tell a difference from noise, and the grammar of --fail-on.
What never may: files, output, and the judge's own work. A verdict is taken from the record as it stands.
"""

from estab.compare.gate import Term, parse
from estab.compare.join import compare_runs

__all__ = ["Term", "compare_runs", "parse"]
