"""What a user knows and the record does not tell: given with the command, in place of what was assumed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from estab.errors import UsageError
from estab.lab.twin.plan import Planned
from estab.words import plural


@dataclass(frozen=True)
class Overrides:
    """How many clients, and the round-trip time in seconds between the hosts. None: as the record tells."""

    connections: int | None = None
    rtt_s: float | None = None

    def __post_init__(self) -> None:
        if self.connections is not None and not 1 <= self.connections <= 1_000_000:
            raise UsageError(f"`connections` is {self.connections}, out of range (1 to 1,000,000)")
        if self.rtt_s is not None and not 0 <= self.rtt_s <= 10:
            raise UsageError(f"`rtt_s` is {self.rtt_s:g} s, out of range (0 to 10 s)")

    def on(self, planned: Planned) -> Planned:
        """A plan with what was given in its place."""
        setup, said = planned.setup, []
        if self.connections is not None:
            many, load = self.connections, setup.load
            ramp = None if load.ramp_per_s is None else load.ramp_per_s * many / load.connections
            setup = setup.with_load(connections=many, in_flight=max(1, many), ramp_per_s=ramp)
            said.append(f"{plural(many, 'connection')}, as given")
        if self.rtt_s is not None:
            setup = replace(setup, rtt_s=self.rtt_s)
            said.append(f"a round-trip time of {self.rtt_s * 1000:g} ms, as given")
        return replace(planned, setup=setup, assumed=(*planned.assumed, *said))
