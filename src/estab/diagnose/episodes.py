"""Episodes: snapshots one after the other in, what went wrong and when out. Pure; keeps a few seconds of snapshots.

Each pair of adjacent snapshots of a namespace is judged by the one judge. Intervals that name the same cause at the
same place, or one that explains the other (a hung program and its full queue), and are no further apart than `CALM_S`,
are one episode; it has the cause that most of them name. Then the place is watched for `WATCHED_S`: what happened next
belongs to it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.place import Owned, Place, drops_at, owned, place_of, queues_at, what_changed
from estab.diagnose.snapshots import fit, judge_snapshots
from estab.diagnose.suspects import BY_ID
from estab.records import Diagnosis, Episode, Episodes, NamespaceId, Next, Snapshot, Suspect
from estab.words import clock

CALM_S = 10.0  # a cause that shows again sooner is the same episode: a burst may leave a second out
LOOKED_BACK_S = 3.0  # what explains a finding may need longer than an interval to show: nothing accepted for a second
WATCHED_S = 60.0  # so long after an episode a restart is taken for what ended it
_OVERFLOWS = "TcpExt.ListenOverflows"
_ATTEMPT_FAILS = "Tcp.AttemptFails"


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

    def explains(self, cause: str) -> bool:
        """Whether its cause explains the other."""
        return BY_ID[self.suspect.cause].why_it_explains(BY_ID[cause]) is not None

    def is_one_with(self, cause: str) -> bool:
        """Whether they are one trouble: the same cause, or one explains the other."""
        mine = self.suspect.cause
        return mine == cause or self.explains(cause) or BY_ID[cause].why_it_explains(BY_ID[mine]) is not None


@dataclass
class _Ongoing:
    """An episode that may still go on, or be followed by something. `worst`: of each cause the finding that shows most,
    and how many there were. `owned`: who listened when it began, `known` when that was seen last.
    """

    first: Finding
    last: Finding
    worst: dict[str, tuple[int, Finding]]
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
        self.last = finding
        count, worst = self.worst.get(finding.suspect.cause, (0, finding))
        self.worst[finding.suspect.cause] = count + 1, max(worst, finding, key=lambda each: each.extent)
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

    def is_like(self, finding: Finding) -> bool:
        """Whether it is the same trouble at the same place."""
        return finding.place == self.first.place and any(map(finding.is_one_with, self.worst))

    def _named(self) -> Finding:
        """What most of its intervals name; of two with as many that which explains the other."""
        most = max(count for count, _finding in self.worst.values())
        named = [finding for count, finding in self.worst.values() if count == most]
        return next((finding for finding in named if any(map(finding.explains, self.worst))), named[0])

    def record(self, at: NamespaceId, ended_s: float) -> Episode:
        """As it is told; the recording ends at `ended_s`."""
        owner = next(iter(self.owned.owners), None) if self.owned is not None else None
        next_, next_s = self.next, self.next_s
        if next_ == "going_on" and ended_s > self.last.to_s:
            next_, next_s = "recovered", self.last.to_s
        place, named = self.first.place, self._named()
        deepest = max((finding for _count, finding in self.worst.values()), key=lambda each: each.depth or 0)
        return Episode(
            cause=named.suspect.cause,
            side=named.suspect.side,
            from_s=self.first.from_s,
            to_s=self.last.to_s,
            host=at[0],
            netns=at[2],
            place=place.kind,
            address=place.address,
            port=place.port,
            program=owner.name if owner else None,
            pid=owner.pid if owner else None,
            service=owner.service.words or None if owner and owner.service else None,
            intervals=sum(count for count, _finding in self.worst.values()),
            drops=self.drops,
            overflows=self.overflows,
            attempt_fails=self.attempt_fails,
            deepest=deepest.depth,
            room=deepest.room,
            next=next_,
            next_s=next_s,
            next_pid=self.next_pid,
            suspect=named.suspect,
            shown_from_s=named.from_s,
            shown_to_s=named.to_s,
        )


class NamespaceEpisodes:
    """The episodes of one network namespace. `feed` takes the next snapshot and gives what is settled by then."""

    def __init__(self) -> None:
        self.intervals = 0
        self.first: Snapshot | None = None
        self.last: Snapshot | None = None
        self._recent = deque[Snapshot]()
        self._ongoing: list[_Ongoing] = []

    def feed(self, taken: Snapshot) -> list[Episode]:
        """One more snapshot. With one that is not later than the last, or of unknown time, it begins anew."""
        before, self.last = self.last, taken
        self.first = self.first or taken
        if before is None or not fit(before, taken):
            self._recent = deque([taken])
            return []
        self.intervals += 1
        settled = self._settled(before)
        finding = self._finding(before, taken)
        self._recent.append(taken)
        if finding is not None:
            settled += self._note(finding, before, taken)
        for episode in self._ongoing:
            episode.follow(taken)
        return settled

    def finish(self) -> list[Episode]:
        """What is not settled when the recording ends."""
        return [self._told(episode) for episode in self._ongoing]

    def _finding(self, before: Snapshot, after: Snapshot) -> Finding | None:
        """What the interval shows; where the last seconds of its episode show what explains it, that."""
        while after.taken_at_s - self._recent[0].taken_at_s > LOOKED_BACK_S and len(self._recent) > 1:
            self._recent.popleft()
        finding = finding_between(before, after)
        ongoing = None if finding is None else next(self._like(finding), None)
        if finding is None or ongoing is None:
            return finding
        since = next(taken for taken in self._recent if taken is before or taken.taken_at_s >= ongoing.first.to_s)
        longer = None if since is before else finding_between(since, after)
        if longer is None or longer.place != finding.place or not longer.explains(finding.suspect.cause):
            return finding
        return replace(finding, suspect=longer.suspect, from_s=longer.from_s)

    def _like(self, finding: Finding) -> Iterator[_Ongoing]:
        return (episode for episode in self._ongoing if episode.is_like(finding))

    def _note(self, finding: Finding, before: Snapshot, after: Snapshot) -> list[Episode]:
        """Add to the episode that it belongs to, or begin one: an earlier one like it is over then."""
        like = [*self._like(finding)]
        for episode in like:
            if finding.from_s - episode.last.to_s <= CALM_S:
                episode.add(finding)
                return []
        listening = owned(finding.place, before) or owned(finding.place, after)
        self._ongoing.append(
            _Ongoing(
                first=finding,
                last=finding,
                worst={finding.suspect.cause: (1, finding)},
                owned=listening,
                known=listening,
                drops=finding.drops,
                overflows=finding.overflows,
                attempt_fails=finding.attempt_fails,
            )
        )
        return self._end(like)

    def _settled(self, now: Snapshot) -> list[Episode]:
        """Those to which nothing can be added any more."""
        return self._end([each for each in self._ongoing if now.taken_at_s - each.last.to_s > WATCHED_S])

    def _end(self, over: list[_Ongoing]) -> list[Episode]:
        self._ongoing = [each for each in self._ongoing if not any(each is one for one in over)]
        return [self._told(episode) for episode in over]

    def _told(self, episode: _Ongoing) -> Episode:
        assert self.last is not None
        return episode.record(self.last.namespace, self.last.taken_at_s)


@dataclass
class RecordingJudge:
    """Judges a recording of any number of namespaces, whatever its length."""

    episodes: list[Episode] = field(default_factory=list)
    snapshots: int = 0
    _namespaces: dict[NamespaceId, NamespaceEpisodes] = field(default_factory=dict)

    def feed(self, taken: Snapshot) -> None:
        """One more snapshot."""
        self.snapshots += 1
        self.episodes += self._namespaces.setdefault(taken.namespace, NamespaceEpisodes()).feed(taken)

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
    """A recording as one verdict: what most of its intervals show, unless the whole names a cause apart from that."""
    whole = recording.whole
    intervals = Counter[str]()
    for episode in recording.episodes:
        intervals[episode.cause] += episode.intervals
    if not intervals:
        return whole
    cause, shown = max(intervals.items(), key=lambda item: item[1])
    if whole.cause is not None and BY_ID[cause].why_it_explains(BY_ID[whole.cause]) is None:
        return whole
    episodes = [episode for episode in recording.episodes if episode.cause == cause]
    first, until_s = episodes[0], max(episode.to_s for episode in episodes)
    suspect = first.suspect
    told = (
        f"So it was in {shown:,} of {recording.intervals:,} intervals of the recording: "
        f"{clock(first.from_s)} to {clock(until_s)} UTC."
    )
    if shown > 1 and first.shown_from_s is not None and first.shown_to_s is not None:
        told += f" The evidence is of {clock(first.shown_from_s)} to {clock(first.shown_to_s)}."
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
