"""A Kinesis stream becomes events, as it comes, and the tables folded from them."""

from __future__ import annotations

import re
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from parsely_spark import __version__
from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError, ParselySparkError, SourceError
from parsely_spark.ingest import MOST_NAMED, Ingested, ingest_records
from parsely_spark.sources.kinesis.readers import lines_of
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.folding import fold_new_events
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of, with_followed
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.write import create_missing_tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.streaming.query import StreamingQuery

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.sources.kinesis.readers import Reader
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
    """

    checkpoint: str
    trigger_s: int = 10
    fold_every_s: int = 60
    drains: bool = False
    tables: tuple[str, ...] = ()
    depths: DepthSettings = USUAL_DEPTHS


@dataclass(kw_only=True)
class Batch:
    """What came of one batch."""

    number: int
    ended_at: datetime
    records: int = 0
    bytes: int = 0
    lag_ms: int | None = None
    took_ms: int = 0
    took: Ingested = field(default_factory=Ingested)
    gaps: list[tuple[str, datetime, datetime]] = field(default_factory=list)


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
        SourceError: if the stream cannot be read, or may have lost records that were not read.
        LakeError: if the tables cannot be read, written or continued from.
    """
    run = _Run(lake, reader, progress, pace)
    try:
        run.create_tables()
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
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._unrecorded: list[Batch] = []
        self._touched: dict[str, int] = {}
        self._recorded_at = datetime.now(UTC)
        self._failed: ParselySparkError | None = None
        self._has_new = False  # events that are not folded
        self._fold_at = 0.0

    def create_tables(self) -> None:
        """Create what is missing, before anything is read."""
        with storage_errors(LakeError, self.lake.place), self.progress.step("lake"):
            self.lake.look()
            create_missing_tables(self.lake, [fold.name for fold in self.folds])

    def follow(self) -> None:
        """Follow until the end, and fold what came."""
        begins_again = self.pace.drains and self.reader.drains_by_one_batch
        try:
            while self._follow_query() and begins_again:
                pass
        except KeyboardInterrupt:
            self.progress.say("asked to end: what was read is folded, the rest stays in the stream")
        if self._failed is not None:
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
                self._record_now_and_then()
        except PySparkException as error:
            raise self._failed or _in_a_sentence(error) from error
        finally:
            query.stop()
        return self.summary.batches > before

    def record(self, outcome: str, error: str | None = None) -> None:
        """Note in the lake what has not been noted yet."""
        self.summary.seconds = round(time.monotonic() - self._start, 1)
        with self._lock:
            batches, self._unrecorded = self._unrecorded, []
            touched, self._touched = self._touched, {}
        now = datetime.now(UTC)
        sums = {name: sum(getattr(batch.took, name) for batch in batches) for name in _COUNTS}
        gaps = [gap for batch in batches for gap in batch.gaps]
        unknown = sorted({name for batch in batches for name in batch.took.unknown})[:MOST_NAMED]
        row: dict[str, Any] = {
            **sums,
            "run_id": self.summary.run_id,
            "job": "stream",
            "started_at": self._recorded_at,
            "ended_at": now,
            "outcome": outcome,
            "error": error,
            "unknown_fields": unknown,
            "lag_ms": batches[-1].lag_ms if batches else None,
            "batches": [(b.number, b.ended_at, b.took.lines, b.bytes, b.lag_ms, b.took_ms) for b in batches],
            "gaps": gaps,
            "rows_touched": touched,
            "version": __version__,
        }
        with storage_errors(LakeError, self.lake.place):
            record_run(self.lake, row | {"events_version": version_of(self.lake, EVENTS.name)})
        self._recorded_at = now
        may_crash("recorded run")

    def _begin(self) -> StreamingQuery:
        drained_s = time.monotonic() - self._start if self.pace.drains else None
        rows = self.reader.read(self.lake.spark, drained_s=drained_s)
        writer = rows.writeStream.option("checkpointLocation", self.pace.checkpoint).foreachBatch(self._take)
        trigger = {"availableNow": True} if self.pace.drains else {"processingTime": f"{self.pace.trigger_s} seconds"}
        try:
            return writer.trigger(**trigger).start()
        except PySparkException as error:
            raise _in_a_sentence(error) from error

    def _take(self, rows: DataFrame, number: int) -> None:
        """Insert what is new of a batch; Spark calls it in a thread of its own, with a session of its own."""
        start = time.monotonic()
        records = self.reader.records(rows).persist()  # asked twice: what it is, and what is in it
        try:
            batch = _seen(records, number)
            if batch.records:
                lake = replace(self.lake, spark=rows.sparkSession)
                with storage_errors(LakeError, self.lake.place):
                    batch.took = ingest_records(lake, lines_of(records), run_id=self.summary.run_id, batch=number)
        except ParselySparkError as error:
            self._failed = error
            raise
        finally:
            records.unpersist()
        batch.took_ms, batch.ended_at = round((time.monotonic() - start) * 1000), datetime.now(UTC)
        self._add(batch)

    def _add(self, batch: Batch) -> None:
        with self._lock:
            self.summary.batches += 1
            self._unrecorded.append(batch)
            for name in _COUNTS:
                setattr(self.summary, name, getattr(self.summary, name) + getattr(batch.took, name))
            self.summary.gaps += len(batch.gaps)
            self._has_new |= batch.took.inserted > 0
        if batch.records or batch.gaps:
            self.progress.say(_said(batch))

    def _fold(self) -> None:
        self._has_new = False
        for fold in self.folds:
            with storage_errors(LakeError, self.lake.place):
                touched = fold_new_events(self.lake, fold, run_id=self.summary.run_id)
            self._touched[fold.name] = self._touched.get(fold.name, 0) + touched

    def _record_now_and_then(self) -> None:
        if (datetime.now(UTC) - self._recorded_at).total_seconds() >= _RECORD_EVERY_S and self._unrecorded:
            self.record("running")


def _seen(records: DataFrame, number: int) -> Batch:
    """What a batch is, by its records."""
    now = datetime.now(UTC)
    by_shard = records.groupBy("shard").agg(
        F.count("data").alias("records"),
        F.sum(F.octet_length("data")).alias("bytes"),
        F.min("behind_ms").alias("behind_ms"),
        F.unix_millis(F.max("arrived_at")).alias("arrived_ms"),
        F.collect_set(F.when(F.col("gap_since").isNotNull(), F.struct("gap_since", "gap_until"))).alias("gaps"),
    )
    rows = by_shard.collect()
    now_ms = round(now.timestamp() * 1000)
    lags = [
        row["behind_ms"] if row["behind_ms"] is not None else now_ms - row["arrived_ms"]
        for row in rows
        if row["records"]
    ]
    return Batch(
        number=number,
        ended_at=now,
        records=sum(row["records"] for row in rows),
        bytes=sum(row["bytes"] or 0 for row in rows),
        lag_ms=max(lags, default=None),
        gaps=[(row["shard"], gap["gap_since"], gap["gap_until"]) for row in rows for gap in row["gaps"]],
    )


def _said(batch: Batch) -> str:
    gaps = "".join(f"; of {shard}, {since} to {until} may be lost to it" for shard, since, until in batch.gaps)
    per_s = batch.took.lines * 1000 // max(1, batch.took_ms)
    return (
        f"batch {batch.number}: {batch.took.lines:,} lines, {batch.took.inserted:,} new, {batch.took_ms / 1000:.1f} s, "
        f"{per_s:,}/s, {(batch.lag_ms or 0) / 1000:.1f} s behind{gaps}"
    )


def _in_a_sentence(error: PySparkException) -> ParselySparkError:
    """What the planner or a worker said, without the tracebacks of the processes in between."""
    found = re.findall(r"parsely_spark\.[\w.]+\.\w*Error: (.+)", str(error))
    return SourceError(found[-1] if found else f"The stream ended: {' '.join(str(error).split())[:500]}")
