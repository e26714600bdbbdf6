"""The records of one range, the same ones each time it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.errors import SourceError
from parsely_spark.sources.kinesis.stream import HORIZON_SLACK_MS, ExpiredIteratorError, Page, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.sources.kinesis.offsets import Range
    from parsely_spark.sources.kinesis.stream import Stream


def read_range(stream: Stream, asked: Range) -> Iterator[Page]:
    """The records of *asked*, page by page, in the order of the shard.

    Raises:
        SourceError: if the stream no longer holds all of them.
    """
    if asked.end is None:
        return
    begin = Position("after", asked.after) if asked.first is None else Position("at", asked.first)
    last = int(asked.after) if asked.after is not None else -1
    end = int(asked.end)
    iterator: str | None = stream.iterator(asked.shard, begin)
    while iterator is not None:
        try:
            page = stream.page(asked.shard, iterator)
        except ExpiredIteratorError:  # whoever takes the records took minutes for the last ones
            iterator = stream.iterator(asked.shard, begin)
            continue
        numbers = [int(record.sequence) for record in page.records]
        if last == -1 and numbers and asked.first is not None and numbers[0] != int(asked.first):
            break
        if any(number <= before for before, number in zip([last, *numbers], numbers, strict=False)):
            raise SourceError(f"{asked.stream}: {asked.shard} gave its records out of order after {last}; run again.")
        within = [record for record, number in zip(page.records, numbers, strict=True) if number <= end]
        if within:
            yield Page(records=within, behind_ms=page.behind_ms, next=page.next)
            last, begin = int(within[-1].sequence), Position("after", within[-1].sequence)
        if last == end or (numbers and numbers[-1] > end):
            break
        if not numbers and page.next is not None and _leads_nowhere(stream, page):
            break
        iterator = page.next
    # The end of a closed shard need not be the number of a record; that of any other range was seen.
    if last < end and not (asked.closes and iterator is None):
        raise SourceError(
            f"{asked.stream}: {asked.shard} no longer holds its records up to {asked.end}, which were there when the "
            "batch was planned; give a new checkpoint, and let `parsely-spark batch` bring in the hours in between."
        )


def _leads_nowhere(stream: Stream, page: Page) -> bool:
    """Whether an empty *page* is the tip, or behind what the stream still holds, where it gives such for ever."""
    return page.behind_ms == 0 or page.behind_ms >= stream.about().retention_ms - HORIZON_SLACK_MS
