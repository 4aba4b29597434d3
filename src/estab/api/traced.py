"""What traced connects put into a run's record. Pure."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from estab.load import outcome
from estab.load.block import hdr_value
from estab.observe.program_watch import Target
from estab.observe.traced_connects import TracedConnects, TracedFailure, TracedTarget
from estab.records import Failure, Funnel, Latency, ProgramAccepts, ProgramConnects, ProgramTarget, UnixRefused
from estab.records.failure import GAVE_UP, by_kind

_CLOSED_UNCONNECTED, _NOT_TOLD = 0, -1


class TracedRun:
    """The connects of a program; times of failures count from `began_ns` of CLOCK_MONOTONIC."""

    def __init__(self, traced: TracedConnects, began_ns: int) -> None:
        self._traced, self._began_ns = traced, began_ns
        self.lost, self.unseen = traced.lost, traced.unseen
        self.unix_connects = traced.unix_connects

    def worst(self, most: int) -> list[Target]:
        """The targets of most interest: those with most failures, then with most connects."""
        ranked = sorted(self._traced.targets, key=lambda each: (-_failed(each), -each.attempted))
        return [(each.address, each.port) for each in ranked[:most] if each.port]

    def funnel(self, target: Target | None) -> Funnel:
        """How far the connects to `target` came; None, or a target that was connected to by none: all of them."""
        told = self._told(target)
        unbegun = [*self._traced.socket_failures, *self._traced.connect_failures]
        attempted = sum(each.attempted for each in told) + sum(each.count for each in unbegun)
        connected = sum(each.connected for each in told)
        return Funnel(attempted=attempted, connected=connected, completed=connected)

    def failures(self, target: Target | None) -> list[Failure]:
        """What failed of these, most first; what failed before its target was known belongs to every one."""
        connects = [failure for each in self._told(target) for failure in each.failures]
        unbegun = [*self._traced.socket_failures, *self._traced.connect_failures]
        accepts = [failure for each in self._traced.accepts for failure in each.failures]
        return by_kind([*self._as_failures("connect", [*connects, *unbegun]), *self._as_failures("accept", accepts)])

    def connects(self) -> ProgramConnects:
        """Those to all targets together."""
        funnel = self.funnel(None)
        failed = sum(failure.count for failure in self.failures(None) if failure.phase == "connect")
        targets = len(self._traced.targets)
        return ProgramConnects(targets=targets, attempted=funnel.attempted, connected=funnel.connected, failed=failed)

    def accepts(self, listeners: Mapping[int, str]) -> list[ProgramAccepts]:
        """What it accepted from each listener, most first. `listeners`: addresses and ports by inode.

        A UNIX one that no look met is called `unix`.
        """
        told: dict[str | None, ProgramAccepts] = {}
        for each in self._traced.accepts:
            listener = listeners.get(each.inode or 0) or ("unix" if each.unix else None)
            known = told.setdefault(listener, ProgramAccepts(listener=listener))
            failures = by_kind([*known.failures, *self._as_failures("accept", each.failures)])
            told[listener] = known.replace(accepted=known.accepted + each.accepted, failures=failures)
        return sorted(told.values(), key=lambda each: -each.accepted)

    def bind_failures(self) -> list[Failure]:
        """How bind() of its TCP sockets failed."""
        return by_kind(self._as_failures("bind", self._traced.bind_failures))

    def unix_failures(self) -> list[Failure]:
        """How connects over UNIX sockets failed."""
        return by_kind(self._as_failures("connect", self._traced.unix_failures))

    def unix_refused(self, namespace: int | None) -> list[UnixRefused]:
        """Who else in the network namespace with this inode found a UNIX accept queue full, most often first."""
        return [
            UnixRefused(
                pid=each.pid,
                name=each.name,
                count=each.count,
                first_s=self._since_start(each.first_ns),
                last_s=self._since_start(each.last_ns),
            )
            for each in self._traced.refused
            if each.namespace == namespace
        ]

    def latency(self) -> Latency:
        """How long connects took that came through, to whatever target."""
        counts = Counter({hdr_value(index): count for index, count in self._traced.connect_ns})
        return Latency(connect_us=outcome.percentiles(counts, self._traced.sum_ns, self._traced.max_ns))

    def syn_retransmits(self, target: Target | None) -> dict[str, int]:
        """Connects by how often their SYN was sent again; empty where other targets are among them."""
        if len(self._told(target)) != len(self._traced.targets):
            return {}
        return {str(times): count for times, count in enumerate(self._traced.resent) if count}

    def targets(self, sampled: Iterable[ProgramTarget]) -> list[ProgramTarget]:
        """Each target, with what looks at its sockets showed; that with most connects first."""
        looked = {(each.address, each.port): each for each in sampled}
        ranked = sorted(self._traced.targets, key=lambda each: -each.attempted)
        traced = [
            looked.pop((each.address, each.port), ProgramTarget(address=each.address, port=each.port)).replace(
                attempted=each.attempted,
                connected=each.connected,
                failures=by_kind(self._as_failures("connect", each.failures)),
                resets_received=each.resets_received,
                resets_sent=each.resets_sent,
                packets_resent=each.resent,
                worst_give_up_s=each.worst_give_up_ns / outcome.NS_PER_S if each.worst_give_up_ns else None,
            )
            for each in ranked
        ]
        return traced + list(looked.values())  # what was connected before the trace began

    def _told(self, target: Target | None) -> Sequence[TracedTarget]:
        return [each for each in self._traced.targets if (each.address, each.port) == target] or self._traced.targets

    def _as_failures(self, phase: str, counted: Iterable[TracedFailure]) -> list[Failure]:
        return [
            Failure(
                phase=phase,
                errno=_name(each.code),
                count=each.count,
                first_s=self._since_start(each.first_ns),
                last_s=self._since_start(each.last_ns),
            )
            for each in counted
        ]

    def _since_start(self, at_ns: int) -> float:
        return round(max(0, at_ns - self._began_ns) / outcome.NS_PER_S, 4)


def _failed(target: TracedTarget) -> int:
    return sum(each.count for each in target.failures)


def _name(code: int) -> str:
    if code == _CLOSED_UNCONNECTED:
        return GAVE_UP
    return "other" if code == _NOT_TOLD else errno.errorcode.get(code, f"errno_{code}")
