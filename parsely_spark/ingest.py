"""One slice of raw events, from its bytes to rows of ``events``, ``rejected_lines`` and ``ingested_files``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError
from parsely_spark.sources.s3 import changed_since, read_lines
from parsely_spark.tables.catalog import EVENTS, REJECTED_LINES
from parsely_spark.tables.commits import RUN
from parsely_spark.tables.ledger import record_files
from parsely_spark.tables.write import insert_events, insert_rows, inserted_since
from parsely_spark.transforms.dedupe import EVENT_KEY, number_copies
from parsely_spark.transforms.parse import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

    from parsely_spark.sources.s3 import RawFile
    from parsely_spark.tables.catalog import Lake

# About 4 MB of gzip are 20,000 events, 70 MB of JSON and 15 MB of Parquet.
BYTES_PER_TASK = 16 * 2**20

_IS_EVENT = "_reason is null and not _is_blank"


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What came of a slice: counts, and the objects because of which it was put back."""

    files: int = 0
    lines: int = 0
    inserted: int = 0
    rejected: int = 0
    blank: int = 0
    changed: tuple[str, ...] = ()

    @property
    def duplicate(self) -> int:
        """Events that were there already, in the slice or in the table."""
        return self.lines - self.inserted - self.rejected - self.blank

    @property
    def note(self) -> str:
        """The counts in words."""
        if self.changed:
            return f"put back: {self.changed[0]} changed meanwhile"
        return f"{self.lines:,} lines: {self.inserted:,} new, {self.duplicate:,} duplicate"


def ingest_slice(lake: Lake, files: Sequence[RawFile], *, run_id: str, number: int) -> Ingested:
    """Read *files* and insert what is new.

    Each step can be repeated: a run that dies in between is made good by the next one, which reads the slice again
    and finds its events there.

    Args:
        lake: where the tables are.
        files: the slice.
        run_id: names the run in the commits.
        number: of the slice in the run.
    """
    ingested_at = datetime.now(UTC)
    says = {RUN: run_id, "slice": number}
    lines = number_copies(parse(read_lines(lake.spark, files), ingested_at=ingested_at), spread=_tasks_per_cell(files))
    # Read several times: for the counts of each object, for the cells, for the events and for the rejected lines.
    lines = lines.persist()
    try:
        counts = _counts(lines)
        may_crash("parsed")
        # A gzip file that grew after it was listed is read up to its former size, and nobody says so.
        if changed := changed_since(lake.spark, files):
            return Ingested(changed=changed)
        events = lines.where(_IS_EVENT).where("_copy = 1")
        inserted = insert_events(lake, events, says=says)
        may_crash("inserted events")
        if sum(count["rejected"] for count in counts.values()):
            rejected = _rejected_rows(lines.where("_copy = 1"), ingested_at)
            insert_rows(lake, REJECTED_LINES.name, rejected, key=("line_sha256",), says=says)
        may_crash("inserted rejected lines")
        new = _inserted_by_file(lake, events, counts, inserted, says)
    finally:
        lines.unpersist()
    rows = [_ledger_row(file, counts.get(file.path, {}), new.get(file.path, 0), ingested_at) for file in files]
    record_files(lake, rows, run_id=run_id)
    may_crash("recorded files")
    totals = {name: sum(row[name] for row in rows) for name in ("lines", "inserted", "rejected", "blank")}
    if totals["inserted"] != inserted:
        raise LakeError(
            f"{lake.name_of(EVENTS.name)}: the commit inserted {inserted:,} events, but {totals['inserted']:,} of the "
            "run's are in it; please report this."
        )
    return Ingested(files=len(files), **totals)


def _counts(lines: DataFrame) -> dict[str, Mapping[str, int]]:
    """What the lines of each object are, by its path."""
    is_event = F.expr(_IS_EVENT)
    rows = lines.groupBy("source").agg(
        F.count("*").alias("lines"),
        F.count_if("_is_blank").alias("blank"),
        F.count_if(F.col("_reason").isNotNull()).alias("rejected"),
        F.count_if(is_event & (F.col("_copy") == 1)).alias("kept"),
    )
    return {row["source"]: row.asDict() for row in rows.collect()}


def _inserted_by_file(
    lake: Lake, events: DataFrame, counts: Mapping[str, Mapping[str, int]], inserted: int, says: Mapping[str, object]
) -> dict[str, int]:
    """How many events of each object were new, by its path."""
    if inserted == 0:
        return {}
    if inserted == sum(count["kept"] for count in counts.values()):
        return {path: count["kept"] for path, count in counts.items()}
    came_in = inserted_since(lake, EVENTS.name, says=says).select(*EVENT_KEY)
    rows = events.select(*EVENT_KEY, "source").join(came_in, list(EVENT_KEY)).groupBy("source").count().collect()
    return {row["source"]: row["count"] for row in rows}


def _ledger_row(file: RawFile, count: Mapping[str, int], inserted: int, ingested_at: datetime) -> dict[str, Any]:
    lines, rejected, blank = (count.get(name, 0) for name in ("lines", "rejected", "blank"))
    return {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "modified_at": file.modified_at,
        "lines": lines,
        "inserted": inserted,
        "duplicate": lines - rejected - blank - inserted,
        "rejected": rejected,
        "blank": blank,
        "ingested_at": ingested_at,
    }


def _tasks_per_cell(files: Sequence[RawFile]) -> int:
    """How many tasks share an hour, so that a file of ``events`` stays at a size that reads well."""
    hours = {file.path.rsplit("/", 1)[0] for file in files}
    bytes_per_hour = sum(file.size_bytes for file in files) / len(hours)
    return max(1, round(bytes_per_hour / BYTES_PER_TASK))


def _rejected_rows(lines: DataFrame, ingested_at: datetime) -> DataFrame:
    line = F.col("_line")
    return lines.where(F.col("_reason").isNotNull()).select(
        F.when(F.is_valid_utf8(line), line).otherwise(F.base64(line.cast("binary"))).alias("line"),
        F.sha2(line.cast("binary"), 256).alias("line_sha256"),
        F.col("_reason").alias("reason"),
        "source",
        F.lit(ingested_at).alias("first_seen_at"),
        F.lit(ingested_at.date()).alias("date"),
    )
