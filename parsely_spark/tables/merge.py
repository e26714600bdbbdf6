"""Merges of rows into a table, by commits that say what they are.

A writer takes what its commit says, and which work it does, as options. A merge takes them from settings of the
session, which a client of Spark Connect may not set everywhere: Databricks' serverless compute knows only some of
Spark's own. There,

- an insert of what is new says it by a condition of its clause, which every row fulfils and the history repeats;
- a fold writes the cells that it changes anew, with a writer.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark.sql import functions as F

from parsely_spark.jvm import is_driver
from parsely_spark.tables.catalog import TABLES
from parsely_spark.tables.commits import Work, as_condition, inserted_by, made_commit, merging, overwrite
from parsely_spark.tables.conditions import cells_of, same, within, within_sql
from parsely_spark.tables.refolding import note_progress
from parsely_spark.tables.runs import ADD, DROP, PUT, WHAT
from parsely_spark.transforms.fold import combine, finish, finished
from parsely_spark.transforms.sessionize import MAKES_ROW

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pyspark.sql import Column, DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.fold import Fold


def insert_new(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    key: tuple[str, ...],
    says: Mapping[str, object],
    cells: Collection[tuple[Any, ...]] | None = None,
    as_they_lie: bool = False,
) -> int:
    """Add those *rows*, unique by *key*, that *table* does not hold; return how many they were.

    Args:
        lake: where the table is.
        table: its name.
        rows: with the columns of the table.
        key: names of the columns that tell whether a row is there.
        says: what the commit tells of itself.
        cells: in which of its cells they are, where that is known.
        as_they_lie: whether the tasks that have the rows write them, instead of those to which a second shuffle brings
            them, gathered by partition.
    """
    is_settable = is_driver(lake.spark)
    # By name: another run may add a column to the table at this moment, which "all" would then miss here.
    given: dict[str, Any] = {f"`{name}`": F.col(f"s.`{name}`") for name in rows.columns}
    target = "t" if is_settable else lake.qualifier_of(table)
    condition = same(key, of=target)
    if cells is not None:
        condition &= within(cells, TABLES[table].partition_by, of=target)
    if is_settable:
        merge = lake.delta(table).alias("t").merge(rows.alias("s"), condition)
        with merging(lake, says=says, as_they_lie=as_they_lie):
            counts = merge.whenNotMatchedInsert(values=given).execute().collect()
        return int(counts[0]["num_inserted_rows"]) if counts else 0
    is_row = as_condition(says, F.col(f"s.{key[-1]}"))
    with _by_name(rows) as source:
        source.alias("s").mergeInto(lake.name_of(table), condition).whenNotMatched(is_row).insert(given).merge()
    commit = made_commit(lake, table, says)
    return inserted_by(commit) if commit is not None else 0


def merge_fold(lake: Lake, fold: Fold, rows: DataFrame, *, work: Work, says: Mapping[str, object]) -> int | None:
    """Add *rows* to those of the table of *fold*, unless it has had this *work* or a later one.

    Args:
        lake: where the tables are.
        fold: the declaration of the table.
        rows: groupings and measures, and what becomes of each in `WHAT`; persisted, because they are read twice.
        work: what the commit does.
        says: what it tells of itself.

    Returns:
        How many rows were touched; None if the table had had the work.
    """
    merge = _merge_rows if is_driver(lake.spark) else _write_cells
    return merge(lake, fold, rows, cells_of(rows, fold.cell_names), work, says)


def _merge_rows(
    lake: Lake, fold: Fold, rows: DataFrame, cells: set[tuple[Any, ...]], work: Work, says: Mapping[str, object]
) -> int | None:
    def merged(name: str) -> Column:
        stored, given = F.col(f"t.{name}"), F.col(f"s.{name}")
        if name not in measures:
            return stored
        added = measures[name].merge(stored, given)
        return F.when(F.col(f"s.{WHAT}") == PUT, given).otherwise(added) if fold.runs is not None else added

    measures = {measure.name: measure for measure in fold.measures}
    # All that `summarize` groups by: the attributes follow from the key, unless two keys are of one text.
    condition = same(fold.grouping_names) & within(cells, fold.cell_names)
    merge = lake.delta(fold.name).alias("t").merge(rows.alias("s"), condition)
    is_dropped = F.col(f"s.{WHAT}") == DROP
    if fold.runs is not None:
        merge = merge.whenMatchedDelete(is_dropped)
    merge = merge.whenMatchedUpdate(set=dict(finished(fold, merged)))
    merge = merge.whenNotMatchedInsert(~is_dropped, dict(finished(fold, lambda name: F.col(f"s.{name}"))))
    with merging(lake, says=says, work=work):
        counts = merge.execute().collect()
    # Nothing at all is said of a merge that was skipped: somebody else has written from the same state.
    return int(counts[0]["num_affected_rows"]) if counts else None


def _write_cells(
    lake: Lake, fold: Fold, rows: DataFrame, cells: set[tuple[Any, ...]], work: Work, says: Mapping[str, object]
) -> int | None:
    touched = rows.count()
    if not touched:
        return note_progress(lake, fold, work=work, says=says)
    columns = [*fold.grouping_names, *(measure.name for measure in fold.measures)]
    stored = lake.read(fold.name).alias("t").where(within(cells, fold.cell_names)).select(*columns)
    if fold.runs is not None:
        # Rows of runs come whole, in the place of what was stored of them, or of what they have taken in.
        set_aside = rows.where(F.col(WHAT) != ADD).select(*fold.grouping_names)
        stored = stored.alias("t").join(set_aside.alias("s"), same(fold.grouping_names), "left_anti")
    pieces = stored.unionByName(rows.where(F.col(WHAT) != DROP).select(*columns)).withColumn(MAKES_ROW, F.lit(True))
    now = finish(combine(pieces, fold), fold)
    where = within_sql(cells, fold.cell_names)
    written = overwrite(lake, fold.name, now, work=work, says=says, where=where)
    return touched if written is not None else None


@contextmanager
def _by_name(rows: DataFrame) -> Iterator[DataFrame]:
    """*rows* under a name that the server knows in the block: a client merges no plan of a hundred steps."""
    name = f"parsely_spark_{uuid4().hex}"
    rows.createTempView(name)
    try:
        yield rows.sparkSession.table(name)
    finally:
        rows.sparkSession.catalog.dropTempView(name)
