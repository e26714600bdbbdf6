"""Where the next batch of a stream ends. Pure: all that is known of the stream comes from what is asked of `Stream`.

Kinesis does not tell the last sequence number of an open shard, and to read all records for it would halve the speed.
So a few records are looked at: the first that is new, and the last of some seconds, or of the slice of a batch.
A record that was seen is an end that stays the same: everything before it in its shard is visible by then.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from parsely_spark.errors import SourceError
from parsely_spark.sources.kinesis.lost import GAP_SLACK_MS, check_same, gap_error, made_again
from parsely_spark.sources.kinesis.offsets import Offset, Place
from parsely_spark.sources.kinesis.stream import (
    HORIZON,
    HORIZON_SLACK_MS,
    MOST_STUCK,
    ExpiredIteratorError,
    Position,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.sources.kinesis.stream import About, Page, Record, Shard, Stream

_FIRST_LOOK_BACK_MS = 1000
_LONGER_EACH_TIME = 4
_SAMPLE = 500  # records by which the density of a shard is judged
# AWS takes 1 MiB a second into a shard, and for a moment more. What has come in a shorter time is no more than a slice.
_MOST_BYTES_PER_MS = 2 * 2**20 / 1000
_SHARDS_AT_ONCE = 16
# A shard where nothing comes is noted as quiet this often: an empty batch each time, but it tells silence from a gap.
_QUIET_PARTS = 24


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What one batch may have of a shard; None is any.

    Attributes:
        ms: of arrival.
        bytes: of data, by the density at the beginning.
    """

    ms: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What lies first behind a position: a record, or the tip of an open shard, or the end of a closed one.

    A record may be at the tip as well. *next* is the iterator behind all that was seen.
    """

    record: Record | None = None
    is_tip: bool = False
    is_over: bool = False
    next: str | None = None


@dataclass
class Planner:
    """Plans the batches of one stream.

    Attributes:
        stream: is asked.
        start: where to begin with a stream that has not been planned: ``horizon``, ``latest`` or epoch ms.
        heals_later: whether to go on where records may have gone unread; else that is an error.
        until_ms: records that arrive later are left for another run; None takes all.
    """

    stream: Stream
    start: str | int = "horizon"
    heals_later: bool = False
    until_ms: int | None = None
    # By shard: an end, and an iterator behind it that spares a call or a walk through empty pages.
    _live: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    _about: About | None = None

    def next(self, start: Offset, most: Slice) -> Offset:
        """The end of the batch that begins at *start*; equal to it when there is nothing new.

        Raises:
            GapError: if records may have gone unread.
            SourceError: if the stream is another one than that of *start*.
        """
        check_same(start, self.stream.name)
        self._about = about = self.stream.about()
        listed = {shard.id: shard for shard in self.stream.shards()}
        if not start.created_ms:
            # The first batch makes it lasting, even if it is empty. Shards that come later count from their beginning.
            since_ms = self._start_ms()
            places = {shard: Place(since_ms=since_ms) for shard in listed}
            start = replace(start, created_ms=about.created_ms, shards=places)
        if about.created_ms != start.created_ms:
            raise made_again(start, about.created_ms)
        known = {shard: place for shard, place in start.shards.items() if shard in listed or not place.closed}
        # What comes of a split or a merge can have no records from before the last plan.
        seen_ms = min((place.known_ms for place in known.values() if not place.closed), default=0)
        known |= {shard: Place(quiet_ms=seen_ms) for shard in listed if shard not in known}
        with ThreadPoolExecutor(_SHARDS_AT_ONCE) as threads:
            planned = threads.map(lambda shard: self._plan(shard, listed.get(shard), known[shard], most), known)
            return replace(start, shards=dict(zip(known, planned, strict=True)))

    def _start_ms(self) -> int:
        if self.start == "latest":
            return self.stream.now_ms()
        if self.start == "horizon":
            begin_ms = self._horizon_ms() + GAP_SLACK_MS
            return 0 if self._holds_all_since(begin_ms) else begin_ms
        return int(self.start)

    @property
    def _retention_ms(self) -> int:
        assert self._about is not None
        return self._about.retention_ms

    def _horizon_ms(self) -> int:
        """From when on the stream holds records."""
        return self.stream.now_ms() - self._retention_ms

    def _holds_all_since(self, since_ms: int) -> bool:
        """Whether the stream was made later, and so has let go of nothing."""
        assert self._about is not None
        return self._about.created_ms >= since_ms

    def _plan(self, name: str, shard: Shard | None, place: Place, most: Slice) -> Place:
        if place.closed:
            return place
        if shard is None:  # it expired before it was read to its end
            return replace(self._over_gap(name, place), closed=True)
        place, begin = self._begin(name, place)
        look = self._look(name, place, begin)
        if look.record is not None and place.end is not None and int(look.record.sequence) <= int(place.end):
            # Held to the last moment, and the iterator behind it has expired.
            begin = Position("after", place.end)
            look = self._look(name, place, begin)
        if look.record is None:
            return self._with_nothing(place, look)
        if self.until_ms is not None and look.record.arrived_ms > self.until_ms:
            return place
        return self._with_records(shard, place, begin, look, most)

    def _begin(self, shard: str, place: Place) -> tuple[Place, Position]:
        """Where the next batch of *shard* begins, and its place, over a gap if need be."""
        oldest_ms = self._horizon_ms() + HORIZON_SLACK_MS
        if place.end is None:
            begin, is_held = _since(place.since_ms), place.known_ms == 0 or place.known_ms >= oldest_ms
        else:
            begin, is_held = Position("after", place.end), place.end_ms >= oldest_ms
        is_held = is_held or self._holds_all_since(oldest_ms)
        if is_held or (place.end is not None and self._still_holds(shard, place.end)):
            return place, begin
        # Behind a record that is gone AWS gives nothing, for ever. What it still holds is newer than that record.
        if place.known_ms >= oldest_ms:
            return place, HORIZON
        place = self._over_gap(shard, place)
        return place, _since(place.since_ms)

    def _still_holds(self, shard: str, sequence: str) -> bool:
        """Whether the shard holds records up to *sequence*, so that none after it can be gone."""
        if self._live.get(shard, ("", ""))[0] == sequence:  # somebody has looked all the time
            return False
        oldest = self._look_from(shard, HORIZON).record
        return oldest is not None and int(oldest.sequence) <= int(sequence)

    def _over_gap(self, shard: str, place: Place) -> Place:
        since_ms = place.known_ms
        until_ms = self._horizon_ms() + GAP_SLACK_MS
        if not self.heals_later:
            raise gap_error(self.stream.name, shard, since_ms, until_ms, retention_ms=self._retention_ms)
        return Place(gap_ms=(since_ms, until_ms), since_ms=until_ms)

    def _with_nothing(self, place: Place, look: _Look) -> Place:
        if look.is_over:
            return replace(place, closed=True)
        now_ms = self.stream.now_ms()
        is_news = now_ms - place.known_ms > self._retention_ms // _QUIET_PARTS
        return replace(place, quiet_ms=now_ms) if look.is_tip and is_news else place

    def _with_records(self, shard: Shard, place: Place, begin: Position, look: _Look, most: Slice) -> Place:
        assert look.record is not None
        first = place.first if begin.kind == "after" else look.record.sequence
        if look.is_tip:  # what came in the same millisecond lies behind it
            end: Record | None = self._last(shard.id, begin, look.next) or look.record
        else:
            end = self._end(shard, look.record, most)
        if end is None:
            return replace(place, first=first, end=shard.last, end_ms=self.stream.now_ms(), closed=True)
        return replace(place, first=first, end=end.sequence, end_ms=end.arrived_ms)

    def _end(self, shard: Shard, first: Record, most: Slice) -> Record | None:
        """The last record of the batch that begins with *first*; None for the end of a closed shard."""
        now_ms = self.stream.now_ms()
        slice_ms = self._slice_ms(shard.id, first, most, since_ms=now_ms - first.arrived_ms)
        if slice_ms is not None and first.arrived_ms + slice_ms < now_ms:
            there = self._look_from(shard.id, Position("since", first.arrived_ms + slice_ms)).record
            if there is not None:
                return max(first, there, key=_number)
        if shard.last is not None:
            return None
        back_ms = _FIRST_LOOK_BACK_MS
        while now_ms - back_ms > first.arrived_ms:
            if last := self._last(shard.id, Position("since", now_ms - back_ms)):
                return max(first, last, key=_number)
            back_ms *= _LONGER_EACH_TIME
        return max(first, self._last(shard.id, Position("at", first.sequence)) or first, key=_number)

    def _slice_ms(self, shard: str, first: Record, most: Slice, *, since_ms: int) -> int | None:
        if most.bytes is None or since_ms * _MOST_BYTES_PER_MS <= most.bytes:
            return most.ms
        records = next(self._pages(shard, Position("at", first.sequence), limit=_SAMPLE)).records
        took_ms = max(1, records[-1].arrived_ms - records[0].arrived_ms) if records else 1
        bytes_per_ms = sum(len(record.data) for record in records) / took_ms
        # Less than a page is no slice: one more batch costs more than it spares.
        by_bytes = max(_FIRST_LOOK_BACK_MS, int(most.bytes / bytes_per_ms)) if bytes_per_ms else None
        return min((ms for ms in (most.ms, by_bytes) if ms is not None), default=None)

    def _look(self, shard: str, place: Place, begin: Position) -> _Look:
        """What lies first from *begin* on, where the next batch after *place* begins."""
        behind, live = self._live.pop(shard, (None, None))
        try:
            look = self._look_from(shard, begin, live if behind == place.end else None)
        except ExpiredIteratorError:
            look = self._look_from(shard, begin)
        if look.record is None and look.next is not None:
            self._live[shard] = (place.end, look.next)
        return look

    def _look_from(self, shard: str, begin: Position, live: str | None = None) -> _Look:
        # Through a silence of hours it takes many empty pages, and half way there is no position to be logged.
        for page in self._pages(shard, begin, live, limit=1):
            is_tip = page.behind_ms == 0
            if page.records:
                return _Look(record=page.records[0], is_tip=is_tip and page.next is not None, next=page.next)
            if page.next is None:
                return _Look(is_over=True)
            if is_tip:
                return _Look(is_tip=True, next=page.next)
        raise AssertionError("the pages of a shard end with its tip, or with its end")

    def _last(self, shard: str, begin: Position, live: str | None = None) -> Record | None:
        last = None
        for page in self._pages(shard, begin, live):
            if page.records:
                last = page.records[-1]
            if page.behind_ms == 0:
                if last is not None and page.next is not None:
                    self._live[shard] = (last.sequence, page.next)
                break
        return last

    def _pages(self, shard: str, begin: Position, live: str | None = None, limit: int | None = None) -> Iterator[Page]:
        iterator: str | None = live or self.stream.iterator(shard, begin)
        stuck = 0
        while iterator is not None:
            page = self.stream.page(shard, iterator, limit)
            # A position that the stream lets go of meanwhile gives empty pages for ever, and no error.
            stuck = stuck + 1 if not page.records and page.behind_ms >= self._retention_ms else 0
            if stuck == MOST_STUCK:
                raise SourceError(
                    f"{self.stream.name}: {shard} gives nothing from {begin.kind} {begin.value} on; run again."
                )
            yield page
            iterator = page.next


def _since(ms: int) -> Position:
    return Position("since", ms) if ms else HORIZON


def _number(record: Record) -> int:
    return int(record.sequence)
