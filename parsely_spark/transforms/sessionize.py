"""Rows that events form by closeness in time: sessions of visitors whose apps name none.

A run is a maximal chain of one visitor's events in which no silence is longer than the limit. It is found without
looking at events one by one: time is cut into windows as long as the limit, so that all events of one window are of one
run; what they sum up to is a *piece*. Pieces and runs are intervals, and those that come close enough become one. The
outcome is that of all events at once, in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyspark.sql import Column, DataFrame

    from parsely_spark.transforms.measures import Measure


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The declaration of rows that form by closeness in time.

    Attributes:
        of: which events form them, of those that take part in no row otherwise.
        longest_silence: between two neighbours of a run.
        start: name of the measure that is the time of the first event.
        end: name of the measure that is the time of the last event.
        is_run: whether a row of the table is one of them.
    """

    of: Callable[[], Column]
    longest_silence: timedelta
    start: str
    end: str
    is_run: Callable[[], Column]

    @property
    def silence_ms(self) -> int:
        """The longest silence, ms."""
        return self.longest_silence // timedelta(milliseconds=1)

    def window(self) -> Column:
        """The number of the window of time (bigint) in which an event lies."""
        return F.floor(F.unix_millis("event_at") / self.silence_ms)


def join_runs(
    rows: DataFrame, runs: Runs, *, by: Sequence[str], names: Mapping[str, Column], measures: Sequence[Measure]
) -> DataFrame:
    """Make one row of those that lie no longer than the silence apart.

    Args:
        rows: pieces and runs, with the columns of *by* and *measures*.
        runs: how they form.
        by: the columns that all events of a run agree on.
        names: the columns that follow from a whole run, by name.
        measures: the columns that combine.

    Returns:
        The columns *by*, *measures* and *names*; no two of its rows are close enough to be one.
    """
    # Rows, not a range of values: two that begin at the same moment are still one after the other.
    in_order = Window.partitionBy(*by).orderBy(runs.start, runs.end)
    earlier = in_order.rowsBetween(Window.unboundedPreceding, -1)
    silence_ms = F.unix_millis(runs.start) - F.unix_millis(F.max(runs.end).over(earlier))
    begins = F.coalesce((silence_ms > runs.silence_ms).cast("int"), F.lit(1))
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    numbered = rows.withColumn("_begins", begins).withColumn("_run", F.sum("_begins").over(so_far))
    joined = numbered.groupBy(*by, "_run").agg(*[m.gather(F.col(m.name)).alias(m.name) for m in measures])
    return joined.select(*by, *[m.name for m in measures], *[column.alias(name) for name, column in names.items()])


def is_near(runs: Runs, left: str, right: str) -> Column:
    """Whether the rows of the aliases *left* and *right* lie no longer than the silence apart."""
    start, end = runs.start, runs.end
    ahead = F.unix_millis(F.col(f"{left}.{start}")) - F.unix_millis(F.col(f"{right}.{end}"))
    behind = F.unix_millis(F.col(f"{right}.{start}")) - F.unix_millis(F.col(f"{left}.{end}"))
    return (ahead <= runs.silence_ms) & (behind <= runs.silence_ms)
