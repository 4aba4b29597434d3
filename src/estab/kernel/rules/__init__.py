"""The kernel's rules, one module each: pure functions of plain numbers. No socket, file, clock or process here.

Every rule names its number in docs/kernel.md and the kernel function that it comes from. Unknown is None, never 0; a
prediction that is not one number is an `Interval`; a question that no kernel could be asked raises `RuleInputError`.
Import the modules (`from estab.kernel.rules import accept_queue`): their names are meant to be read with it.
"""

from estab.kernel.rules.inputs import RuleInputError
from estab.kernel.rules.interval import Interval
from estab.kernel.rules.kernel_version import KernelVersion

__all__ = ["Interval", "KernelVersion", "RuleInputError"]
