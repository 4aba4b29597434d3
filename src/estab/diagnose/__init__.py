"""The judge: records in, a verdict out. No IO and no clock lives here; a run read from a file is judged the same."""

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots

__all__ = ["judge", "judge_snapshots"]
