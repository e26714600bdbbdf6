"""Raw events in files become events and the tables folded from them."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import Observation
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.sources.s3 import list_files, read_lines
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import TABLES
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.write import fold_new_events, insert_events, insert_rejected
from parsely_spark.transforms.dedupe import keep_one_copy
from parsely_spark.transforms.parse import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

    from parsely_spark.progress import Progress
    from parsely_spark.sources.s3 import RawFile
    from parsely_spark.tables.catalog import Lake

# About 4 MB of gzip are 20,000 events, 70 MB of JSON and 15 MB of Parquet.
BYTES_PER_TASK = 16 * 2**20


@dataclass(kw_only=True)
class Summary:
    """What one run did. ``lines = inserted + duplicate + rejected + blank``."""

    run_id: str
    files: int = 0
    others: int = 0  # objects under the source that are no chunks of raw events
    lines: int = 0
    inserted: int = 0
    duplicate: int = 0
    rejected: int = 0
    blank: int = 0
    rows_touched: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def run_batch(lake: Lake, sources: Sequence[str], progress: Progress) -> Summary:
    """Read what lies under *sources* and bring every table of *lake* up to date.

    Args:
        lake: where the tables are; missing ones are created.
        sources: URIs of the `events/` prefix of raw events or of the bucket above it.
        progress: is told what goes on.

    Returns:
        The counts of the run.

    Raises:
        SourceError: if the raw events cannot be listed or read.
        LakeError: if the tables cannot be read, written or continued from.
    """
    start = time.monotonic()
    summary = Summary(run_id=str(uuid.uuid4()))
    with progress.step("list") as step:
        listing = list_files(lake.spark, sources)
        summary.files, summary.others = len(listing.files), listing.others
        step.note(f"{summary.files:,} files" + (f", {summary.others:,} others left alone" if summary.others else ""))
    with storage_errors(LakeError, lake.place, sources=sources):
        lake.look()
        _update_tables(lake, listing.files, summary, progress)
    summary.seconds = round(time.monotonic() - start, 1)
    return summary


def _update_tables(lake: Lake, files: Sequence[RawFile], summary: Summary, progress: Progress) -> None:
    with progress.step("events") as step:
        for table in TABLES:
            lake.create_missing(table)
        _ingest(lake, files, summary)
        step.note(f"{summary.lines:,} lines: {summary.inserted:,} new, {summary.duplicate:,} duplicate")
    for fold in FOLDS:
        with progress.step(fold.name) as step:
            touched = fold_new_events(lake, fold, run_id=summary.run_id)
            summary.rows_touched[fold.name] = touched
            step.note(f"{touched:,} rows touched")


def _ingest(lake: Lake, files: Sequence[RawFile], summary: Summary) -> None:
    ingested_at = datetime.now(UTC)
    seen = Observation()
    parsed = parse(read_lines(lake.spark, files), ingested_at=ingested_at)
    counted = parsed.observe(
        seen,
        F.count(F.lit(1)).alias("lines"),
        F.count_if("_is_blank").alias("blank"),
        F.count_if(F.col("_reason").isNotNull()).alias("rejected"),
    )
    events = counted.where(F.col("_reason").isNull() & ~F.col("_is_blank")).drop(
        "_reason", "_is_blank", "_line", "source"
    )
    unique = keep_one_copy(events, spread=_tasks_per_cell(files))
    summary.inserted = insert_events(lake, unique, run_id=summary.run_id)
    summary.lines, summary.blank, summary.rejected = (seen.get[name] for name in ("lines", "blank", "rejected"))
    summary.duplicate = summary.lines - summary.blank - summary.rejected - summary.inserted
    if summary.rejected:
        insert_rejected(lake, _rejected_rows(parsed, ingested_at), run_id=summary.run_id)


def _tasks_per_cell(files: Sequence[RawFile]) -> int:
    """How many tasks share an hour, so that a file of ``events`` stays at a size that reads well."""
    hours = {file.path.rsplit("/", 1)[0] for file in files}
    bytes_per_hour = sum(file.size_bytes for file in files) / len(hours)
    return max(1, round(bytes_per_hour / BYTES_PER_TASK))


def _rejected_rows(parsed: DataFrame, ingested_at: datetime) -> DataFrame:
    line = F.col("_line")
    return parsed.where(F.col("_reason").isNotNull()).select(
        F.when(F.is_valid_utf8(line), line).otherwise(F.base64(line.cast("binary"))).alias("line"),
        F.sha2(line.cast("binary"), 256).alias("line_sha256"),
        F.col("_reason").alias("reason"),
        "source",
        F.lit(ingested_at).alias("first_seen_at"),
        F.lit(ingested_at.date()).alias("date"),
    )
