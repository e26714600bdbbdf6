"""What new pieces of runs change in a table that holds runs."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.transforms.fold import join
from parsely_spark.transforms.sessionize import is_near

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from parsely_spark.transforms.fold import Fold
    from parsely_spark.transforms.sessionize import Runs

# What becomes of a row of a merge: its measures are added to the stored ones, put in their place, or it goes.
WHAT, ADD, PUT, DROP = "_what", "add", "put", "drop"
_HOUR_MS = 3_600_000
_MOST_SPANS = 64  # of time, in one condition


def changed_runs(stored: DataFrame, pieces: DataFrame, fold: Fold) -> DataFrame:
    """The runs that *pieces* make, alone or with those that are there, and the runs that are no more.

    Args:
        stored: the table of *fold*.
        pieces: of runs, as `summarize` returns them; persisted, because they are read several times.
        fold: the declaration of the table.

    Returns:
        Groupings, measures and `WHAT`: `PUT` for a run as it is now, `DROP` for one that another has taken in.
    """
    assert fold.runs is not None
    by = [column.name for column in fold.groupings if column.of_run is None]
    columns = [*fold.grouping_names, *(measure.name for measure in fold.measures)]
    # Statistics of the files tell which can hold such runs, for their cell is that of their first event only.
    candidates = stored.where(fold.runs.is_run() & _may_be_near(pieces, fold.runs)).select(*columns)
    same_visitor = [F.col(f"l.{name}") == F.col(f"r.{name}") for name in by]
    near = candidates.alias("l").join(pieces.alias("r"), [*same_visitor, is_near(fold.runs, "l", "r")], "left_semi")
    now = join(near.unionByName(pieces), fold)
    is_there = [F.col(f"l.{name}").eqNullSafe(F.col(f"r.{name}")) for name in fold.grouping_names]
    gone = near.alias("l").join(now.alias("r"), is_there, "left_anti")
    return now.withColumn(WHAT, F.lit(PUT)).unionByName(gone.withColumn(WHAT, F.lit(DROP)))


def _may_be_near(pieces: DataFrame, runs: Runs) -> Column:
    """A condition with literal times, which every stored run near one of *pieces* fulfils."""
    number = F.floor(F.unix_millis(runs.start) / _HOUR_MS).alias("hour")
    hours = sorted(row["hour"] for row in pieces.select(number).distinct().collect())
    # A piece is at most one silence long, and may be that far from the run.
    reach_ms = _HOUR_MS + 2 * runs.silence_ms
    near = [
        (F.col(runs.start) <= _instant(until * _HOUR_MS + reach_ms))
        & (F.col(runs.end) >= _instant(since * _HOUR_MS - runs.silence_ms))
        for since, until in _spans(hours)
    ]
    return reduce(or_, near, F.lit(False))


def _instant(epoch_ms: int) -> Column:
    return F.timestamp_millis(F.lit(epoch_ms))


def _spans(hours: list[int]) -> list[tuple[int, int]]:
    """A few ranges of hours (first, last) that cover *hours*: between them, the widest gaps are left out."""
    gaps = sorted(range(1, len(hours)), key=lambda i: hours[i] - hours[i - 1])[-(_MOST_SPANS - 1) :]
    begins = [0, *sorted(i for i in gaps if hours[i] - hours[i - 1] > 1)]
    ends = [*begins[1:], len(hours)]
    return [(hours[begin], hours[end - 1]) for begin, end in zip(begins, ends, strict=True)] if hours else []
