"""Fetching what the kernel shows: netlink and /proc on one side, records on the other. No judgement lives here."""

from estab.observe.local import is_local
from estab.observe.snapshot import take
from estab.observe.sock_diag import SockDiag
from estab.observe.watch import EndsSample, Observed, Watch

__all__ = ["EndsSample", "Observed", "SockDiag", "Watch", "is_local", "take"]
