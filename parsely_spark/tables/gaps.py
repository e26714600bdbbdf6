"""What a stream lost and files have not brought in yet.

A stream that has to go over a gap [since, until) notes it in ``runs``. Parse.ly's files hold the same events, in a
folder for each hour, so a gap is healed when the files of its hours are in. The rule:

- The hours of a gap are those from that of ``since`` to that of ``until``, both included.
- An hour is **complete** in a source when a run of ``batch`` that did not fail has listed the folder of that hour,
  began no sooner than `LATE` after the hour's end, and has left out none of its objects.
- A gap is **healed** when each of its hours is complete in every source that ``batch`` has listed in the `KNOWN_FOR`
  before the gap, or since; there has to be one.

Why so:

- What a run has listed is read by its end, by itself or by an earlier one; whether before or after the gap was noted
  makes no difference. Most gaps are noted a day late and are healed by then.
- An hour in which a site sent nothing has no file that could be waited for; that it was listed is what counts. A folder
  may also fill up after a run has read some of it: hence `LATE`, and the begin of the run, not its end.
- A run notes what it left out when it listed. The ledger would not do: what is left out stays in it after somebody has
  taken the object away.
- A run of few hours (``--from``, ``--until``) completes those, and several such runs make up for one.
- Old archives have folders of days. They are listed with each of their hours, and an object that is left out is
  missing in all of them.
- A gap does not know which bucket has its events. Were one source enough, that of another site would do while the
  right one cannot be read. So it takes all that are in use. A source that is itself the folder of a year, a month, a
  day or an hour, or a file of CSV, shows a part only and counts for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.places import is_csv, is_within
from parsely_spark.sources.s3 import CHUNK
from parsely_spark.tables.catalog import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import Row

    from parsely_spark.tables.catalog import Lake

GAP = "gap"  # the outcome of a row of runs that notes one
# Nobody says how late files come. A gap is some hours old when it is met, so to be patient costs nothing.
LATE = timedelta(hours=6)
KNOWN_FOR = timedelta(days=30)
_HOUR = timedelta(hours=1)
_PART = re.compile(r"/\d{4}(/\d\d){0,3}/?$")


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time of which a stream may have lost records.

    Attributes:
        since: its begin, UTC.
        until: its end, not included, UTC.
        shards: of the stream.
    """

    since: datetime
    until: datetime
    shards: tuple[str, ...]

    @property
    def hours(self) -> Iterator[datetime]:
        """The hours whose files hold what came in it."""
        hour = self.since.replace(minute=0, second=0, microsecond=0)
        while hour <= self.until:
            yield hour
            hour += _HOUR

    @property
    def late_at(self) -> datetime:
        """When its last file is taken to have come."""
        return max(self.hours) + _HOUR + LATE


@dataclass(frozen=True, kw_only=True)
class OpenGap(Gap):
    """A gap that is not healed.

    Attributes:
        sources: those in which one of its hours is not complete.
        left_out: the objects of its hours that the last run which listed them left out.
    """

    sources: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a run of ``batch`` that did not fail listed, as in ``runs``."""

    started_at: datetime
    sources: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    left_out: tuple[str, ...] = ()

    def lists(self, hour: datetime) -> bool:
        """Whether it lists the folders of *hour*."""
        return (self.since is None or hour >= self.since) and (self.until is None or hour < self.until)

    def completes(self, hour: datetime, source: str) -> bool:
        """Whether all files of *hour* in *source* are in after it."""
        is_there = any(is_within(source, bucket_of(listed)) for listed in self.sources if not _is_part(listed))
        is_late = self.started_at >= hour + _HOUR + LATE
        return is_there and is_late and self.lists(hour) and not any(_may_hold(path, hour) for path in self.left_out)


def open_gaps(gaps: Sequence[Gap], listings: Sequence[Listing]) -> list[OpenGap]:
    """Those of *gaps* that are not healed, by the rule above."""
    found = []
    for gap in gaps:
        known = [listing for listing in listings if listing.started_at >= gap.since - KNOWN_FOR]
        sources = sorted({bucket_of(s) for listing in known for s in listing.sources if not _is_part(s)})
        lacking = [source for source in sources if not _is_complete(gap, source, known)]
        if lacking or not sources:
            found.append(
                OpenGap(
                    since=gap.since,
                    until=gap.until,
                    shards=gap.shards,
                    sources=tuple(lacking),
                    left_out=tuple(_left_out(gap, known)),
                )
            )
    return found


def read_open_gaps(lake: Lake) -> list[OpenGap]:
    """The gaps of *lake* that are not healed."""
    gaps = _noted(lake)
    return open_gaps(gaps, _listings(lake, min(gap.since for gap in gaps) - KNOWN_FOR)) if gaps else []


def _noted(lake: Lake) -> list[Gap]:
    rows = (
        lake.read(RUNS.name)
        .where(F.col("outcome") == GAP)
        .select(F.explode("gaps").alias("gap"))
        # A batch of a stream that comes again notes its gap again.
        .groupBy(F.unix_millis("gap.since").alias("since"), F.unix_millis("gap.until").alias("until"))
        .agg(F.sort_array(F.collect_set("gap.shard")).alias("shards"))
        .orderBy("since", "until")
        .collect()
    )
    return [Gap(since=_at(row["since"]), until=_at(row["until"]), shards=tuple(row["shards"])) for row in rows]


def _listings(lake: Lake, since: datetime) -> list[Listing]:
    rows = (
        lake.read(RUNS.name)
        .where((F.col("job") == "batch") & (F.col("date") >= since.date()) & (F.col("outcome") != "failed"))
        .where("listed is not null")
        .select(
            F.unix_millis("started_at").alias("started_at"),
            "listed.sources",
            F.unix_millis("listed.since").alias("since"),
            F.unix_millis("listed.until").alias("until"),
            "listed.left_out",
        )
        .collect()
    )
    return [_listing(row) for row in rows]


def _listing(row: Row) -> Listing:
    return Listing(
        started_at=_at(row["started_at"]),
        sources=tuple(row["sources"]),
        since=None if row["since"] is None else _at(row["since"]),
        until=None if row["until"] is None else _at(row["until"]),
        left_out=tuple(row["left_out"]),
    )


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def bucket_of(source: str) -> str:
    """The bucket, whether it was named or its prefix ``events/``."""
    return source.rstrip("/").removesuffix("/events")


def _is_part(source: str) -> bool:
    return is_csv(source) or _PART.search(source) is not None


def _is_complete(gap: Gap, source: str, listings: Sequence[Listing]) -> bool:
    return all(any(listing.completes(hour, source) for listing in listings) for hour in gap.hours)


def _left_out(gap: Gap, listings: Sequence[Listing]) -> list[str]:
    """What the last run that listed the end of *gap* left out of its hours."""
    last = max(
        (listing for listing in listings if listing.lists(max(gap.hours))),
        key=lambda listing: listing.started_at,
        default=None,
    )
    return [path for path in last.left_out if any(_may_hold(path, hour) for hour in gap.hours)] if last else []


def _may_hold(path: str, hour: datetime) -> bool:
    """Whether the object at *path* lies in the folder of *hour*, or in that of its whole day."""
    found = CHUNK.search(path)
    return found is not None and found[1] == f"{hour:%Y/%m/%d}" and found[2] in (None, f"{hour:%H}")
