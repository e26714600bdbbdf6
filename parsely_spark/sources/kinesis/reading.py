"""The records of one range, the same ones each time it is read; where some are gone, that is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parsely_spark.errors import SourceError
from parsely_spark.sources.kinesis.lost import GAP_SLACK_MS, Lost, gap_error
from parsely_spark.sources.kinesis.stream import (
    HORIZON_SLACK_MS,
    MOST_STUCK,
    ExpiredIteratorError,
    GoneShardError,
    Page,
    Position,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.sources.kinesis.offsets import Range
    from parsely_spark.sources.kinesis.stream import Stream


def read_range(stream: Stream, asked: Range, *, heals_later: bool = False) -> Iterator[Page | Lost]:
    """The records of *asked*, page by page, in the order of the shard, and the times of which some may be missing.

    Args:
        stream: is asked.
        asked: what to read.
        heals_later: whether to go on where the stream no longer holds all of it; else that is an error.

    Raises:
        GapError: if the stream no longer holds all of them.
        SourceError: if it does not give them.
    """
    if asked.gap_ms is not None:
        yield Lost(*asked.gap_ms)
    if asked.end is None:
        return
    read = _Read(asked.known_ms, -1 if asked.after is None else int(asked.after))
    begin = Position("after", asked.after) if asked.first is None else Position("at", asked.first)
    while True:
        before = read.last
        yield from _pages(stream, asked, begin, read)
        if read.is_whole:
            return
        if begin.kind == "since" and read.last == before and not read.is_over:
            raise SourceError(f"{asked.stream}: {asked.shard} gives nothing of what it holds; run again.")
        retention_ms = stream.about().retention_ms
        held_ms = stream.now_ms() - retention_ms + GAP_SLACK_MS
        # A range that is gone as a whole ends before that; the next plan sees what follows it.
        until_ms = min(held_ms, asked.end_ms + 1)
        if until_ms <= read.last_ms:  # gone before its time, as where the stream was told for a while to keep less
            until_ms = max(asked.end_ms, read.last_ms) + 1
        if not heals_later:
            raise gap_error(asked.stream, asked.shard, read.last_ms, until_ms, retention_ms=retention_ms)
        yield Lost(read.last_ms, until_ms)
        if read.is_over:
            return
        begin = Position("since", held_ms)


@dataclass
class _Read:
    """How far a range has been read.

    Attributes:
        last_ms: arrival of the last record, or of what is known to have been read before; epoch ms.
        last: its sequence number, -1 before the first one.
        is_whole: whether there is no more of it to be read.
        is_over: whether the shard itself is gone.
    """

    last_ms: int
    last: int
    is_whole: bool = False
    is_over: bool = False


def _pages(stream: Stream, asked: Range, begin: Position, read: _Read) -> Iterator[Page]:
    """What the shard gives of *asked* from *begin* on; *read* tells how far that was."""
    assert asked.end is not None
    end, goes_on, is_first = int(asked.end), begin.kind == "since", begin.kind == "at"
    stuck, retention_ms = 0, 0
    known = read.last if goes_on else -1  # what is begun by time may come a second time
    try:
        iterator: str | None = stream.iterator(asked.shard, begin)
        while iterator is not None:
            try:
                page = stream.page(asked.shard, iterator)
            except ExpiredIteratorError:  # whoever takes the records took minutes for the last ones
                iterator = stream.iterator(asked.shard, begin)
                continue
            records = [record for record in page.records if int(record.sequence) > known]
            if is_first and records and records[0].sequence != asked.first:
                return
            numbers = [int(record.sequence) for record in records]
            if any(number <= before for before, number in zip([read.last, *numbers], numbers, strict=False)):
                raise SourceError(
                    f"{asked.stream}: {asked.shard} gave its records out of order after {read.last}; run again."
                )
            within = [record for record, number in zip(records, numbers, strict=True) if number <= end]
            if within:
                yield Page(records=within, behind_ms=page.behind_ms, next=page.next)
                last, is_first = within[-1], False
                read.last, read.last_ms, begin = int(last.sequence), last.arrived_ms, Position("after", last.sequence)
            if read.last == end or (numbers and numbers[-1] > end):
                # The end was seen when the batch was planned; where it is gone, what is left before it has been read.
                read.is_whole = read.last == end or goes_on
                return
            iterator = page.next
            # Empty pages at the tip, and behind what the stream still holds: some come on the way, others for ever.
            if not page.records and page.behind_ms:
                retention_ms = retention_ms or stream.about().retention_ms
            is_on_the_way = page.records or 0 < page.behind_ms < retention_ms - HORIZON_SLACK_MS
            stuck = 0 if is_on_the_way else stuck + 1
            if stuck == MOST_STUCK and iterator is not None:
                read.is_whole = goes_on and page.behind_ms == 0
                return
        # The end of a closed shard need not be the number of a record; that of any other range was seen.
        read.is_whole = asked.closes or goes_on
    except GoneShardError:
        read.is_over = True
