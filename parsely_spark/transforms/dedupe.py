"""Tell the copies of an event apart from the one that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from parsely_spark.checks import require_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# An event is known by these. The cell (date, hour) is part of it, because copies are equal by contract and a key
# that holds the cell lets one shuffle serve deduplication and the partitioned write, and a merge look into the
# cells of the run alone.
EVENT_KEY = ("date", "hour", "apikey", "event_id")
_TASKS_OF_NO_CELL = 16


def number_copies(lines: DataFrame, *, spread: int) -> DataFrame:
    """Number the copies of every event, and of every line that is none: 1 is the one to keep.

    Of copies of an event that differ, the one with the least hash of its line is the first. The rows come out gathered
    by cell and sorted for the write: one wide shuffle does all of it.

    Args:
        lines: what `parse` returns, with ``source``.
        spread: how many tasks share the events of one cell (date and hour), at least 1.

    Returns:
        The same columns without ``_line_hash``, and ``_copy`` (int).

    Raises:
        MissingColumnsError: if a column is absent.
    """
    needed = (*EVENT_KEY, "visitor_site_id", "event_at", "source", "_line", "_line_hash")
    require_columns(lines, needed, step="number_copies")
    # A line that is no event has no cell, and nothing that names it but itself.
    name = F.when(F.col("date").isNotNull(), F.xxhash64("apikey", "event_id")).otherwise(F.col("_line_hash"))
    tasks = F.when(F.col("date").isNotNull(), F.lit(spread)).otherwise(F.lit(spread + _TASKS_OF_NO_CELL))
    shuffled = lines.select("*", F.pmod(name, tasks).alias("_bucket")).repartition("date", "hour", "_bucket")
    # The window reuses this partitioning: its key contains the key of the shuffle.
    copies = Window.partitionBy("date", "hour", "_bucket", "apikey", "event_id", "_line")
    numbered = shuffled.withColumn("_copy", F.row_number().over(copies.orderBy("_line_hash", "source")))
    sorted_for_the_write = ("date", "hour", "visitor_site_id", "event_at", "event_id")
    return numbered.drop("_bucket", "_line_hash").sortWithinPartitions(*sorted_for_the_write)
