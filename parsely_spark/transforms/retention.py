"""Events of days that are no longer kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.checks import require_columns

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import DataFrame

NO_LONGER_KEPT = "no_longer_kept"  # the reason


def set_old_aside(lines: DataFrame, oldest_day: date | None) -> DataFrame:
    """Give the events of days before *oldest_day* the reason `NO_LONGER_KEPT`, by which they are no events.

    Args:
        lines: what `parse` returns.
        oldest_day: the first that is kept, UTC; None where all are.

    Returns:
        The same columns.

    Raises:
        MissingColumnsError: if a column is absent.
    """
    if oldest_day is None:
        return lines
    require_columns(lines, ("date", "_reason"), step="set_old_aside")
    is_old = F.col("_reason").isNull() & (F.col("date") < F.lit(oldest_day))
    return lines.withColumn("_reason", F.when(is_old, F.lit(NO_LONGER_KEPT)).otherwise(F.col("_reason")))
