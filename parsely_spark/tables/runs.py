"""What new pieces of runs change in a table that holds runs."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.keeping import made_once
from parsely_spark.transforms.fold import join
from parsely_spark.transforms.sessionize import MAKES_ROW, is_near

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from parsely_spark.transforms.fold import Fold
    from parsely_spark.transforms.sessionize import Runs

# What becomes of a row of a merge: its measures are added to the stored ones, put in their place, or it goes.
WHAT, ADD, PUT, DROP = "_what", "add", "put", "drop"
_HOUR_MS = 3_600_000
_MOST_SPANS = 64  # of time, in one condition


def changed_runs(stored: DataFrame, pieces: DataFrame, fold: Fold, followed: DataFrame | None = None) -> DataFrame:
    """The rows that *pieces* change, make or set aside in the runs that they are of.

    Args:
        stored: the table of *fold*.
        pieces: of runs, as `summarize` returns them; persisted, because they are read several times.
        fold: the declaration of the table.
        followed: the table of `fold.follows`, which holds the same events.

    Returns:
        Groupings, measures and `WHAT`: `PUT` for a row as it is now, `DROP` for one that another has taken in.
    """
    assert fold.runs is not None
    # What is near a piece is of its run. Where rows do not tell how long a run was, those that do come first.
    reach = pieces
    if fold.follows is not None and followed is not None:
        # Made once: it is asked three times, and Delta would look for its files each time.
        reach = made_once(_whole_runs(followed, pieces, fold.follows, fold.runs))
        pieces = pieces.unionByName(reach, allowMissingColumns=True)
    stored_row = F.struct(*fold.grouping_names)
    columns = [*fold.grouping_names, *(measure.name for measure in fold.measures)]
    near = _near(stored, reach, fold.runs).select(*columns, F.lit(True).alias(MAKES_ROW), stored_row.alias("_was"))
    has_new = F.max(F.col("_was").isNull()).alias("_has_new")
    now = join(pieces.unionByName(near, allowMissingColumns=True), fold, F.collect_list("_was").alias("_were"), has_new)
    # Of the rows that became one, those go whose groupings are not those that it has now.
    now = now.withColumn("_gone", F.filter("_were", lambda was: ~was.eqNullSafe(stored_row)))
    is_same = ~F.col("_has_new") & (F.size("_gone") == 0)
    each = now.where(~is_same).withColumn("_gone", F.explode(F.array_append("_gone", F.lit(None))))
    goes = F.col("_gone").isNotNull()
    names = {name: F.when(goes, F.col(f"_gone.{name}")).otherwise(F.col(name)) for name in fold.grouping_names}
    what = F.when(goes, F.lit(DROP)).otherwise(F.lit(PUT))
    return each.withColumns(names | {WHAT: what}).select(*columns, WHAT)


def _whole_runs(followed: DataFrame, pieces: DataFrame, leader: Fold, runs: Runs) -> DataFrame:
    """The runs near *pieces* that are in the table *followed*, as pieces that make no row."""
    assert leader.runs is not None
    times = {runs.start: F.col(leader.runs.start), runs.end: F.col(leader.runs.end), MAKES_ROW: F.lit(False)}
    known = [F.col(name) for name in runs.by]
    as_pieces = pieces.select(
        *known, F.col(runs.start).alias(leader.runs.start), F.col(runs.end).alias(leader.runs.end)
    )
    near = _near(followed, as_pieces, leader.runs)
    return near.select(*known, *[column.alias(name) for name, column in times.items()])


def _near(stored: DataFrame, rows: DataFrame, runs: Runs) -> DataFrame:
    """The rows of runs in the table *stored* that lie no longer than the silence from one of *rows*."""
    same_visitor = [F.col(f"l.{name}") == F.col(f"r.{name}") for name in runs.by]
    # Statistics of the files tell which can hold such rows, for their cell is that of the first event only.
    candidates = stored.where(runs.is_run() & _may_be_near(rows, runs))
    return candidates.alias("l").join(rows.alias("r"), [*same_visitor, is_near(runs, "l", "r")], "left_semi")


def _may_be_near(rows: DataFrame, runs: Runs) -> Column:
    """A condition with literal times, which every stored row near one of *rows* fulfils."""
    first, last = (F.floor(F.unix_millis(name) / _HOUR_MS) for name in (runs.start, runs.end))
    hours = [
        (row["first"], row["last"])
        for row in rows.select(first.alias("first"), last.alias("last")).distinct().collect()
    ]
    near = [
        (F.col(runs.start) <= _instant((until + 1) * _HOUR_MS + runs.silence_ms))
        & (F.col(runs.end) >= _instant(since * _HOUR_MS - runs.silence_ms))
        for since, until in _spans(hours)
    ]
    return reduce(or_, near, F.lit(False))


def _instant(epoch_ms: int) -> Column:
    return F.timestamp_millis(F.lit(epoch_ms))


def _spans(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A few ranges of hours (first, last) that cover *ranges*: between them, the widest gaps are left out."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last))
        else:
            spans.append((first, last))
    gaps = sorted(range(1, len(spans)), key=lambda i: spans[i][0] - spans[i - 1][1])[-(_MOST_SPANS - 1) :]
    begins = [0, *sorted(gaps)]
    ends = [*begins[1:], len(spans)]
    return [(spans[begin][0], spans[end - 1][1]) for begin, end in zip(begins, ends, strict=True)] if spans else []
