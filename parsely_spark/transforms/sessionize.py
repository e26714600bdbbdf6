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

# Columns of pieces: whether one makes a row of the table or only tells when its run was; and when that began.
MAKES_ROW, RUN_START = "_makes_row", "_run_started_at"


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The declaration of rows that form by closeness in time.

    Attributes:
        of: which events form them, of those that take part in no row otherwise.
        by: names of the columns that all events of a run agree on.
        rows_of: which of those events make a row, where not all do.
        longest_silence: between two neighbours of a run.
        start: name of the measure that is the time of the first event.
        end: name of the measure that is the time of the last event.
        is_run: whether a row of the table is one of them.
    """

    of: Callable[[], Column]
    by: tuple[str, ...]
    longest_silence: timedelta
    start: str
    end: str
    is_run: Callable[[], Column]
    rows_of: Callable[[], Column] | None = None

    @property
    def silence_ms(self) -> int:
        """The longest silence, ms."""
        return self.longest_silence // timedelta(milliseconds=1)

    def window(self) -> Column:
        """The number of the window of time (bigint) in which an event lies."""
        return F.floor(F.unix_millis("event_at") / self.silence_ms)


def join_runs(
    rows: DataFrame, runs: Runs, *, within: Sequence[str], names: Mapping[str, Column], collected: Sequence[Column]
) -> DataFrame:
    """Find the runs, and make one row of what is of one run and of the same columns *within*.

    Args:
        rows: pieces and runs, with `MAKES_ROW`, the columns of `runs.by` and *within*, and what *collected* reads.
        runs: how they form.
        within: the columns that set rows of one run apart.
        names: the columns that follow from a whole run, by name; they may be made of `RUN_START` and *collected*.
        collected: aggregates over what becomes one row.

    Returns:
        The columns `runs.by`, *within*, *collected* and *names*. No two of its runs are close enough to be one.
    """
    # Rows, not a range of values: two that begin at the same moment are still one after the other.
    in_order = Window.partitionBy(*runs.by).orderBy(runs.start, runs.end)
    earlier = in_order.rowsBetween(Window.unboundedPreceding, -1)
    silence_ms = F.unix_millis(runs.start) - F.unix_millis(F.max(runs.end).over(earlier))
    begins = F.coalesce(silence_ms > runs.silence_ms, F.lit(True))
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # No two runs of a visitor begin at the same moment.
    began = F.last(F.when(F.col("_begins"), F.col(runs.start)), ignorenulls=True).over(so_far)
    in_runs = rows.withColumn("_begins", begins).withColumn(RUN_START, began).where(MAKES_ROW)
    joined = in_runs.groupBy(*runs.by, RUN_START, *within).agg(*collected)
    return joined.withColumns(dict(names)).drop(RUN_START)


def is_near(runs: Runs, left: str, right: str) -> Column:
    """Whether the rows of the aliases *left* and *right* lie no longer than the silence apart."""
    start, end = runs.start, runs.end
    ahead = F.unix_millis(F.col(f"{left}.{start}")) - F.unix_millis(F.col(f"{right}.{end}"))
    behind = F.unix_millis(F.col(f"{right}.{start}")) - F.unix_millis(F.col(f"{left}.{end}"))
    return (ahead <= runs.silence_ms) & (behind <= runs.silence_ms)
