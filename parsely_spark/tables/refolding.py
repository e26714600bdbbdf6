"""Derived tables without the events that an erasure has deleted.

What is stored of a visitor goes with them. A row that others are a part of is made again from the events that are left:
a sum could be made smaller, but the first of several, or a sketch, cannot give back what it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.jvm import is_driver
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import Work, append_once, changes, merging
from parsely_spark.tables.conditions import cells_of, same, within
from parsely_spark.tables.folds.parts import EVENT_CELLS, OF_VISITOR
from parsely_spark.tables.news import rows_at
from parsely_spark.tables.retention import whole_of
from parsely_spark.transforms.fold import combine, finish, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.fold import Fold

_IS_LEFT = "_is_left"


def fold_erasure(lake: Lake, fold: Fold, version: int, *, work: Work, says: Mapping[str, object]) -> int | None:
    """Take out of the table of *fold*, which holds all before, what *version* of ``events`` has deleted.

    Returns:
        How many rows were touched; None if another was quicker.
    """
    if not is_driver(lake.spark):
        raise LakeError(
            f"Visitors were deleted from {lake.name_of(EVENTS.name)}, which cannot be followed on Spark Connect; run "
            "`parsely-spark forget` again, or `batch` on a cluster."
        )
    gone = changes(lake, EVENTS.name, version, version).where("_change_type = 'delete'").drop("_change_type")
    is_of_visitor = set(OF_VISITOR) <= set(fold.grouping_names)
    touched = (_drop if is_of_visitor else _make_again)(lake, fold, gone.persist(), version, work=work, says=says)
    gone.unpersist()
    # Whether a merge that finds nothing makes a commit is Delta's affair (4.4 does); without one, the table would not
    # say how far it is.
    return touched or note_progress(lake, fold, work=work, says=says)


def note_progress(lake: Lake, fold: Fold, *, work: Work, says: Mapping[str, object]) -> int | None:
    """Have the table of *fold* say how far it is, unless it has had this *work*."""
    written = append_once(lake, fold.name, lake.read(fold.name).limit(0), work=work, says=says)
    return None if written is None else 0


def _drop(
    lake: Lake, fold: Fold, gone: DataFrame, version: int, *, work: Work, says: Mapping[str, object]
) -> int | None:
    """An erasure deletes all events of a visitor, so none of the visitor's rows is left."""
    visitors = gone.select(*OF_VISITOR).distinct()
    merge = lake.delta(fold.name).alias("t").merge(visitors.alias("s"), same(OF_VISITOR)).whenMatchedDelete()
    with merging(lake, says=says, work=work):
        counts = merge.execute().collect()
    return int(counts[0]["num_affected_rows"]) if counts else None


def _make_again(
    lake: Lake, fold: Fold, gone: DataFrame, version: int, *, work: Work, says: Mapping[str, object]
) -> int | None:
    names = fold.grouping_names
    keys = summarize(gone, fold).select(*names).distinct()
    if (whole := whole_of(lake, fold)) is not None:  # what cannot be made again tells nothing of a visitor
        keys = whole.without_older(keys, lake.read(fold.name))
    keys = keys.persist()
    events = rows_at(lake, EVENTS.name, version).alias("e")
    if fold.cell_names and set(EVENT_CELLS) <= set(fold.columns):
        events = events.where(within(cells_of(keys, fold.cell_names), fold.cell_names, of="e"))
    partials = summarize(events, fold).alias("t").join(keys.alias("s"), same(names), "left_semi")
    left = finish(combine(partials, fold), fold).withColumn(_IS_LEFT, F.lit(True))
    given = keys.alias("t").join(left.alias("s"), same(names), "left")
    rows = given.select(*[f"t.{name}" for name in names], *[f"s.{c}" for c in left.columns if c not in names]).persist()
    condition = same(names) & within(cells_of(keys, fold.cell_names), fold.cell_names)
    merge = lake.delta(fold.name).alias("t").merge(rows.alias("s"), condition)
    merge = merge.whenMatchedDelete(F.col(f"s.{_IS_LEFT}").isNull())
    merge = merge.whenMatchedUpdate(set={c.name: F.col(f"s.{c.name}") for c in fold.columns})
    try:
        with merging(lake, says=says, work=work):
            counts = merge.execute().collect()
    finally:
        rows.unpersist()
        keys.unpersist()
    return int(counts[0]["num_affected_rows"]) if counts else None
