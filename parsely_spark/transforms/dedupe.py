"""Keep one copy of every event of a run."""

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


def keep_one_copy(events: DataFrame, *, spread: int) -> DataFrame:
    """Keep one row for each event; of copies that differ, the one with the least hash of its line.

    The rows come out gathered by cell and sorted for the write: one wide shuffle does all of it.

    Args:
        events: parsed events with ``date``, ``hour``, ``apikey``, ``event_id``, ``visitor_site_id``, ``event_at``
            and ``_line_hash`` (bigint); other columns pass through.
        spread: how many tasks share the events of one cell (date and hour), at least 1.

    Returns:
        The same columns without ``_line_hash``; (date, hour, apikey, event_id) is unique.

    Raises:
        MissingColumnsError: if a column is absent.
    """
    require_columns(events, (*EVENT_KEY, "visitor_site_id", "event_at", "_line_hash"), step="keep_one_copy")
    # The window reuses this partitioning: its key contains the key of the shuffle.
    bucket = F.pmod(F.xxhash64("apikey", "event_id"), F.lit(spread)).alias("_bucket")
    shuffled = events.select("*", bucket).repartition("date", "hour", "_bucket")
    copies = Window.partitionBy("date", "hour", "_bucket", "apikey", "event_id").orderBy("_line_hash")
    numbered = shuffled.withColumn("_copy", F.row_number().over(copies))
    unique = numbered.where(F.col("_copy") == 1).drop("_copy", "_bucket", "_line_hash")
    return unique.sortWithinPartitions("date", "hour", "visitor_site_id", "event_at", "event_id")
