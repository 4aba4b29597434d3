"""Every cause that can be named: one file each, which declares its `CAUSE`. A new file is found by itself."""

from __future__ import annotations

from importlib import import_module

from estab import modules
from estab.diagnose.cause import Cause


def _declared() -> list[Cause]:
    return [import_module(f"{__name__}.{name}").CAUSE for name in modules.names(__path__)]


# In the order in which a connection meets them; of one stage the more specific first, so that what explains stands
# before what it explains.
CAUSES: tuple[Cause, ...] = tuple(sorted(_declared(), key=lambda cause: (cause.stage, -cause.specificity, cause.id)))
BY_ID: dict[str, Cause] = {cause.id: cause for cause in CAUSES}
