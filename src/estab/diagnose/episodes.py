"""Episodes: snapshots one after the other in, what went wrong and when out. Pure; holds two snapshots a namespace.

Each pair of adjacent snapshots of a namespace is judged by the one judge. Intervals that name the same cause at the
same place, and are no further apart than `CALM_S`, are one episode. Then the place is watched for `WATCHED_S`: what
happened next belongs to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.place import Owned, Place, drops_at, owned, place_of, queues_at, what_changed
from estab.diagnose.snapshots import fit, judge_snapshots
from estab.records import Diagnosis, Episode, Episodes, Next, Snapshot, Suspect
from estab.words import clock

CALM_S = 10.0  # a cause that shows again sooner is the same episode: a burst may leave a second out
WATCHED_S = 60.0  # so long after an episode a restart is taken for what ended it
_OVERFLOWS = "TcpExt.ListenOverflows"
_ATTEMPT_FAILS = "Tcp.AttemptFails"
Namespace = tuple[str | None, int | None, str | None]


def namespace(taken: Snapshot) -> Namespace:
    """Of which network namespace of which host it is."""
    return taken.host.hostname, taken.host.netns_inode, taken.netns


@dataclass(frozen=True)
class Finding:
    """What one interval shows: a cause at a place, and its costs within the interval."""

    suspect: Suspect
    place: Place
    from_s: float
    to_s: float
    drops: int | None = None
    overflows: int | None = None
    attempt_fails: int | None = None
    depth: int | None = None
    room: int | None = None

    @property
    def extent(self) -> tuple[int, int]:
        """Of two findings the greater one shows more."""
        return self.drops or 0, self.depth or 0


@dataclass
class _Ongoing:
    """An episode that may still go on, or be followed by something. `owned`: who listened when it began, `known` when
    that was seen last.
    """

    findings: int
    first: Finding
    last: Finding
    worst: Finding
    owned: Owned | None
    known: Owned | None
    drops: int | None
    overflows: int | None
    attempt_fails: int | None
    next: Next = "going_on"
    next_s: float | None = None
    next_pid: int | None = None

    def add(self, finding: Finding) -> None:
        """One more interval of it. What came between was not its end."""
        self.findings += 1
        self.last = finding
        self.worst = max(self.worst, finding, key=lambda each: each.extent)
        self.drops = _sum(self.drops, finding.drops)
        self.overflows = _sum(self.overflows, finding.overflows)
        self.attempt_fails = _sum(self.attempt_fails, finding.attempt_fails)
        self.next, self.next_s, self.next_pid = "going_on", None, None

    def follow(self, taken: Snapshot) -> None:
        """Note what became of the listener since the last look."""
        if self.known is None or taken.listeners is None:
            return
        now = owned(self.first.place, taken)
        change = what_changed(self.known, now)
        if change is not None and self.next != change.next and self.next not in ("restarted", "reloaded"):
            self.next, self.next_s, self.next_pid = change.next, taken.taken_at_s, change.pid
        if now is not None:
            self.known = now if now.owners or change is not None else replace(now, owners=self.known.owners)

    def record(self, at: Namespace, ended_s: float) -> Episode:
        """As it is told; the recording ends at `ended_s`."""
        owner = next(iter(self.owned.owners), None) if self.owned is not None else None
        next_, next_s = self.next, self.next_s
        if next_ == "going_on" and ended_s > self.last.to_s:
            next_, next_s = "recovered", self.last.to_s
        place = self.first.place
        return Episode(
            cause=self.first.suspect.cause,
            side=self.first.suspect.side,
            from_s=self.first.from_s,
            to_s=self.last.to_s,
            host=at[0],
            netns=at[2],
            place=place.kind,
            address=place.address,
            port=place.port,
            program=owner.name if owner else None,
            pid=owner.pid if owner else None,
            intervals=self.findings,
            drops=self.drops,
            overflows=self.overflows,
            attempt_fails=self.attempt_fails,
            deepest=self.worst.depth,
            room=self.worst.room,
            next=next_,
            next_s=next_s,
            next_pid=self.next_pid,
            suspect=self.worst.suspect,
        )


class NamespaceEpisodes:
    """The episodes of one network namespace. `feed` takes the next snapshot and gives what is settled by then."""

    def __init__(self) -> None:
        self.intervals = 0
        self.first: Snapshot | None = None
        self.last: Snapshot | None = None
        self._ongoing: dict[tuple[str, Place], _Ongoing] = {}

    def feed(self, taken: Snapshot) -> list[Episode]:
        """One more snapshot. With one that is not later than the last, or of unknown time, it begins anew."""
        before, self.last = self.last, taken
        self.first = self.first or taken
        if before is None or not fit(before, taken):
            return []
        self.intervals += 1
        settled = self._settled(before)
        finding = finding_between(before, taken)
        if finding is not None:
            settled += self._note(finding, before, taken)
        for episode in self._ongoing.values():
            episode.follow(taken)
        return settled

    def finish(self) -> list[Episode]:
        """What is not settled when the recording ends."""
        return [self._told(episode) for episode in self._ongoing.values()]

    def _note(self, finding: Finding, before: Snapshot, after: Snapshot) -> list[Episode]:
        key = finding.suspect.cause, finding.place
        ongoing = self._ongoing.get(key)
        if ongoing is not None and finding.from_s - ongoing.last.to_s <= CALM_S:
            ongoing.add(finding)
            return []
        listening = owned(finding.place, before) or owned(finding.place, after)
        self._ongoing[key] = _Ongoing(
            findings=1,
            first=finding,
            last=finding,
            worst=finding,
            owned=listening,
            known=listening,
            drops=finding.drops,
            overflows=finding.overflows,
            attempt_fails=finding.attempt_fails,
        )
        return [] if ongoing is None else [self._told(ongoing)]

    def _settled(self, now: Snapshot) -> list[Episode]:
        """Those to which nothing can be added any more."""
        over = [key for key, each in self._ongoing.items() if now.taken_at_s - each.last.to_s > WATCHED_S]
        return [self._told(self._ongoing.pop(key)) for key in over]

    def _told(self, episode: _Ongoing) -> Episode:
        assert self.last is not None
        return episode.record(namespace(self.last), self.last.taken_at_s)


@dataclass
class RecordingJudge:
    """Judges a recording of any number of namespaces, whatever its length."""

    episodes: list[Episode] = field(default_factory=list)
    snapshots: int = 0
    _namespaces: dict[Namespace, NamespaceEpisodes] = field(default_factory=dict)

    def feed(self, taken: Snapshot) -> None:
        """One more snapshot."""
        self.snapshots += 1
        self.episodes += self._namespaces.setdefault(namespace(taken), NamespaceEpisodes()).feed(taken)

    def finish(self) -> Episodes:
        """The verdict on all of it; to be asked once, after one snapshot at least."""
        spaces = list(self._namespaces.values())
        for space in spaces:
            self.episodes += space.finish()
        ends = [(space.first, space.last) for space in spaces if space.first is not None and space.last is not None]
        whole = [judge_snapshots(first if first is not last else None, last) for first, last in ends]
        return Episodes(
            from_s=min(first.taken_at_s for first, _last in ends),
            to_s=max(last.taken_at_s for _first, last in ends),
            snapshots=self.snapshots,
            intervals=sum(space.intervals for space in spaces),
            episodes=sorted(self.episodes, key=lambda episode: (episode.from_s, episode.to_s, episode.cause)),
            whole=next((verdict for verdict in whole if verdict.cause is not None), whole[0]),
        )


def judge_recording(snapshots: Iterable[Snapshot]) -> Episodes:
    """The verdict on a recording, read one snapshot after the other, oldest first. Raises ValueError for none."""
    judge = RecordingJudge()
    for taken in snapshots:
        judge.feed(taken)
    return judge.finish()


def diagnosis_of(recording: Episodes) -> Diagnosis:
    """A recording as one verdict: that on the whole, or if that names no cause, on what most of its intervals show."""
    whole = recording.whole
    if whole.cause is not None or not recording.episodes:
        return whole
    intervals = Counter[str]()
    for episode in recording.episodes:
        intervals[episode.cause] += episode.intervals
    cause, shown = max(intervals.items(), key=lambda item: item[1])
    episodes = [episode for episode in recording.episodes if episode.cause == cause]
    suspect, until_s = episodes[0].suspect, max(episode.to_s for episode in episodes)
    told = (
        f"So it was in {shown:,} of {recording.intervals:,} intervals of the recording: "
        f"{clock(episodes[0].from_s)} to {clock(until_s)} UTC."
    )
    return whole.replace(
        cause=cause,
        side=suspect.side,
        summary=f"{suspect.summary} {told}",
        suspects=[suspect if each.cause == cause else each for each in whole.suspects],
    )


def finding_between(before: Snapshot, after: Snapshot) -> Finding | None:
    """What the interval shows. None: no cause is confirmed."""
    suspect = judge_snapshots(before, after).accused
    if suspect is None:
        return None
    pair = Snapshots(before, after)
    place = place_of(suspect, pair)
    queue = next(iter(queues_at(place, pair)), None)
    return Finding(
        suspect=suspect,
        place=place,
        from_s=before.taken_at_s,
        to_s=after.taken_at_s,
        drops=drops_at(place, pair),
        overflows=pair.rose(_OVERFLOWS),
        attempt_fails=pair.rose(_ATTEMPT_FAILS),
        depth=queue.now.depth if queue is not None else None,
        room=queue.room if queue is not None else None,
    )


def _sum(total: int | None, more: int | None) -> int | None:
    return more if total is None else total + (more or 0)
