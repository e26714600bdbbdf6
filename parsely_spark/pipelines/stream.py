"""A Kinesis stream becomes events, as it comes, and the tables folded from them."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException

from parsely_spark import __version__
from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError, ParselySparkError
from parsely_spark.ingest import Ingested, ingest_records
from parsely_spark.jvm import require_driver
from parsely_spark.privacy_settings import KEEP_ALL, PrivacySettings
from parsely_spark.reading import MOST_NAMED
from parsely_spark.small_work import MOST_READ_BYTES, small_work
from parsely_spark.sources.kinesis.readers import lines_of, seen_in
from parsely_spark.sources.kinesis.sentences import errors_of_workers, in_a_sentence
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.folding import fold_new_events
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of, with_followed
from parsely_spark.tables.gaps import GAP
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.news import News
from parsely_spark.tables.write import create_missing_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.query import StreamingQuery

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.schema import Field
    from parsely_spark.sources.kinesis.readers import Reader, Seen
    from parsely_spark.tables.catalog import Lake

_LOOK_S = 0.5  # how soon an end is noticed
_COUNTS = ("lines", "inserted", "duplicate", "rejected", "blank")
_RECORD_EVERY_S = 60.0  # a row of runs for each batch would be thousands of commits a day


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a stream is followed.

    Attributes:
        checkpoint: URI of the folder in which Spark notes how far it is.
        trigger_s: seconds from the begin of a batch to that of the next.
        fold_every_s: seconds from the end of bringing derived tables up to date to the next time.
        drains: whether to end with what is there by now.
        tables: the derived tables to bring up to date, with those that they follow; none means all.
        depths: what counts as reading and watching in them.
        extra: fields that events have beside those of the schema; the lake knows those that it has.
        partition: of a new lake, hour or date; None takes any lake as it is.
        privacy: what of a record is not stored.
        is_asked_to_end: tells whether to end as soon as may be; Ctrl-C asks as well.
    """

    checkpoint: str
    trigger_s: int = 10
    fold_every_s: int = 60
    drains: bool = False
    tables: tuple[str, ...] = ()
    depths: DepthSettings = USUAL_DEPTHS
    extra: tuple[Field, ...] = ()
    partition: str | None = None
    privacy: PrivacySettings = KEEP_ALL
    is_asked_to_end: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What came of one batch."""

    number: int
    ended_at: datetime
    seen: Seen
    took: Ingested
    took_ms: int

    @property
    def lines_per_s(self) -> int:
        """How fast it went."""
        return self.took.lines * 1000 // max(1, self.took_ms)


@dataclass(kw_only=True)
class Streamed:
    """What one run did. ``lines = inserted + duplicate + rejected + blank``."""

    run_id: str
    batches: int = 0
    lines: int = 0
    inserted: int = 0
    duplicate: int = 0
    rejected: int = 0
    blank: int = 0
    gaps: int = 0
    seconds: float = 0.0


def run_stream(lake: Lake, reader: Reader, progress: Progress, pace: Pace) -> Streamed:
    """Follow a stream until it is drained, or until this process is asked to end.

    A batch may come again, after a crash or by another checkpoint: what is there already is not inserted again.

    Args:
        lake: where the tables are; missing ones are created.
        reader: gives the records.
        progress: is told what goes on.
        pace: how to follow.

    Raises:
        SettingsError: if Spark's driver is out of reach.
        SourceError: if the stream cannot be read, or may have lost records that were not read.
        LakeError: if the tables cannot be read, written or continued from.
    """
    require_driver(lake.spark, "stream")
    run = _Run(lake, reader, progress, pace)
    run.create_tables()  # where that fails there is no lake, or none that this release may write to
    try:
        with progress.live("stream", run.said):
            run.follow()
    except ParselySparkError as error:
        run.record("failed", str(error))
        raise
    run.record("done")
    return run.summary


class _Run:
    def __init__(self, lake: Lake, reader: Reader, progress: Progress, pace: Pace) -> None:
        self.lake, self.reader, self.progress, self.pace = lake, reader, progress, pace
        self.folds = with_followed(folds_of(pace.tables, pace.depths))
        self.summary = Streamed(run_id=str(uuid.uuid4()))
        self._news: News
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._unrecorded: list[Batch] = []
        self._last: Batch | None = None  # that had records
        self._touched: dict[str, int] = {}
        self._recorded_at = datetime.now(UTC)
        self._failed: ParselySparkError | None = None
        self._batch_bytes = 0
        self._has_new = False  # events that are not folded
        self._fold_at = 0.0

    def create_tables(self) -> None:
        """Create what is missing, before anything is read."""
        with storage_errors(LakeError, self.lake.place), self.progress.step("lake"):
            self.lake.look()
            create_missing_tables(self.lake, [fold.name for fold in self.folds], self.pace.extra, self.pace.partition)
            self._news = News(self.lake)

    def follow(self) -> None:
        """Follow until the end, and fold what came."""
        begins_again, is_asked_to_end = self.pace.drains and self.reader.drains_by_one_batch, False
        try:
            while self._follow_query() and begins_again:
                pass
        except KeyboardInterrupt:
            is_asked_to_end = True
            self.progress.say("asked to end: what was read is folded, the rest stays in the stream")
        # A batch that is stopped half way may say that its storage failed; the next run repeats it.
        if self._failed is not None and not is_asked_to_end:
            raise self._failed
        self._fold()

    def _follow_query(self) -> bool:
        """Follow by one query until it ends; return whether it had a batch."""
        before = self.summary.batches
        query = self._begin()
        try:
            while not query.awaitTermination(_LOOK_S):  # type: ignore[arg-type]  # it takes parts of a second
                if self._has_new and time.monotonic() >= self._fold_at:
                    self._fold()
                    self._fold_at = time.monotonic() + self.pace.fold_every_s
                if self._unrecorded and (datetime.now(UTC) - self._recorded_at).total_seconds() >= _RECORD_EVERY_S:
                    self.record("running")
                if self.pace.is_asked_to_end():
                    raise KeyboardInterrupt
        except PySparkException as error:
            raise self._failed or in_a_sentence(error) from error
        finally:
            query.stop()
        return self.summary.batches > before

    def said(self) -> str:
        """How it goes: the last batch, and what came of all."""
        last, so_far = self._last, self.summary
        if last is None:
            return "no records yet"
        lag_s, took_s = (last.seen.lag_ms or 0) / 1000, last.took_ms / 1000
        totals = f"{so_far.lines:,} lines, {so_far.inserted:,} new"
        totals += f", {so_far.rejected:,} rejected" if so_far.rejected else ""
        return f"{lag_s:.1f} s behind, {last.lines_per_s:,}/s, {took_s:.1f} s a batch; {totals}"

    def record(self, outcome: str, error: str | None = None) -> None:
        """Note in the lake what has not been noted yet."""
        self.summary.seconds = round(time.monotonic() - self._start, 1)
        with self._lock:
            batches, self._unrecorded = self._unrecorded, []
            touched, self._touched = self._touched, {}
        row = {"outcome": outcome, "error": error, "rows_touched": touched, "started_at": self._recorded_at}
        self._recorded_at = datetime.now(UTC)
        self._note(self.lake, batches, row)

    def _note(self, lake: Lake, batches: Sequence[Batch], more: Mapping[str, Any]) -> None:
        row: dict[str, Any] = {
            **{name: sum(getattr(batch.took, name) for batch in batches) for name in _COUNTS},
            "run_id": self.summary.run_id,
            "job": "stream",
            "ended_at": datetime.now(UTC),
            "unknown_fields": sorted({name for batch in batches for name in batch.took.unknown})[:MOST_NAMED],
            "lag_ms": batches[-1].seen.lag_ms if batches else None,
            "batches": [(b.number, b.ended_at, b.took.lines, b.seen.bytes, b.seen.lag_ms, b.took_ms) for b in batches],
            "gaps": [gap for batch in batches for gap in batch.seen.gaps],
            "version": __version__,
            **more,
        }
        with storage_errors(LakeError, self.lake.place):
            record_run(lake, row | {"events_version": version_of(lake, EVENTS.name)})
        may_crash("recorded run")

    def _begin(self) -> StreamingQuery:
        drained_s = time.monotonic() - self._start if self.pace.drains else None
        rows = self.reader.read(self.lake.spark, drained_s=drained_s)
        writer = rows.writeStream.option("checkpointLocation", self.pace.checkpoint).foreachBatch(self._take)
        trigger = {"availableNow": True} if self.pace.drains else {"processingTime": f"{self.pace.trigger_s} seconds"}
        try:
            return writer.trigger(**trigger).start()
        except PySparkException as error:
            raise in_a_sentence(error) from error

    def _take(self, rows: DataFrame, number: int) -> None:
        """Insert what is new of a batch; Spark calls it in a thread of its own, with a session of its own."""
        may_crash("began batch")
        start = time.monotonic()
        lake = replace(self.lake, spark=rows.sparkSession)
        # How much a batch brings is known when it has been read; the one before was mostly of the same kind.
        is_small = self._batch_bytes <= MOST_READ_BYTES
        try:
            work = small_work(lake.spark, is_small=is_small, stored_bytes=self._news.size_bytes)
            with storage_errors(LakeError, self.lake.place), errors_of_workers(), work:
                lines = lines_of(self.reader.records(rows))
                run_id, privacy = self.summary.run_id, self.pace.privacy
                took, seen = ingest_records(lake, lines, run_id=run_id, batch=number, look=seen_in, privacy=privacy)
            self._batch_bytes = seen.bytes
            took_ms = round((time.monotonic() - start) * 1000)
            batch = Batch(number=number, ended_at=datetime.now(UTC), seen=seen, took=took, took_ms=took_ms)
            if seen.gaps:  # before this returns, and Spark takes the batch for done: nobody meets the gap again
                started_at = batch.ended_at - timedelta(milliseconds=took_ms)
                self._note(lake, [batch], {"outcome": GAP, "started_at": started_at})
        except ParselySparkError as error:
            self._failed = error
            raise
        self._add(batch)
        may_crash("ended batch")

    def _add(self, batch: Batch) -> None:
        with self._lock:
            self.summary.batches += 1
            if not batch.seen.gaps:
                self._unrecorded.append(batch)
            for name in _COUNTS:
                setattr(self.summary, name, getattr(self.summary, name) + getattr(batch.took, name))
            self.summary.gaps += len(batch.seen.gaps)
            self._has_new |= batch.took.inserted > 0
            self._last = batch if batch.took.lines else self._last
        for what in _told(batch):
            self.progress.say(what)

    def _fold(self) -> None:
        self._has_new = False
        with storage_errors(LakeError, self.lake.place):
            self._news = News(self.lake)
        for fold in self.folds:
            with storage_errors(LakeError, self.lake.place):
                touched = fold_new_events(self.lake, fold, run_id=self.summary.run_id, news=self._news)
            self._touched[fold.name] = self._touched.get(fold.name, 0) + touched
            if fold.name in ("sessions", "pageviews"):  # the table that others follow, and one that does
                may_crash(f"folded {fold.name}")


def _told(batch: Batch) -> Iterator[str]:
    """What of a batch must not go by unseen."""
    for shard, since, until in batch.seen.gaps:
        times = " to ".join(f"{at:%Y-%m-%d %H:%M:%S}" for at in (since, until))
        yield f"batch {batch.number}: what came to {shard} from {times} UTC may be lost to it"
    if batch.took.rejected:
        yield f"batch {batch.number}: {batch.took.rejected:,} of {batch.took.lines:,} lines are no events"
