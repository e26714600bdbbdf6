"""Small files put together. Rows stay as they are, so that folds and readers see no change.

Only closed partitions are taken: the newest ones are the writers', and would have small files again an hour later.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from parsely_spark.tables.catalog import ALL_TABLES
from parsely_spark.tables.commits import RUN, saying, until_nobody_was_quicker
from parsely_spark.tables.conditions import within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from parsely_spark.tables.catalog import Lake

    Cell = tuple[Any, ...]  # the values of the partition columns; nothing where a table has none

# Up to a few small files in a partition cost a reader less than it costs to write its rows again for each late event.
MOST_SMALL_FILES = 4
SMALL_BYTES = 32 * 2**20
FILE_BYTES = 256 * 2**20  # of what is written
_FILES_PER_TURN = 2_000  # one commit each, so that other writers get their turn, and a run that dies has done a part

_SETTINGS = {
    # Of a table without an order, the large files stay as they are; with one, all of a partition are put in order.
    "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
    "spark.databricks.delta.optimize.maxFileSize": str(FILE_BYTES),
    # Else rows are put into files by the column, and lie in them as it happens. Databricks does without the setting.
    "spark.databricks.io.skipping.mdc.sortWithinFiles": "true",
    # A table that an older version has made keeps no statistics of the column; its files can be sorted all the same.
    "spark.databricks.delta.optimize.zorder.checkStatsCollection.enabled": "false",
}
_IN_PATH = re.compile(r"/date=(\d{4}-\d\d-\d\d)(?:/hour=(\d+))?/[^/]*$")


def compact(lake: Lake, table: str, *, open_hours: int, run_id: str) -> int:
    """Put the small files of the closed partitions of *table* together; return how many files there were of them.

    A partition with few small files is left as it is, so that to do it again does nothing.

    Args:
        lake: where the table is.
        table: its name.
        open_hours: a partition is closed when it ended so long before the newest one began. A table without
            partitions has no open ones.
        run_id: names the run in the commits.
    """
    rewritten = 0
    names = lake.partitions_of(table)
    for cells in _turns(_wanted(lake, table, names, open_hours)):
        attempt = partial(_optimize, lake, table, cells, run_id=run_id)
        rewritten += until_nobody_was_quicker(lake, table, attempt)
    return rewritten


def purge(lake: Lake, table: str, *, run_id: str) -> int:
    """Write the files of *table* again in which rows can be read that are marked as deleted; return how many."""

    def attempt() -> int:
        with saying(lake, {RUN: run_id}, {}):
            done = lake.spark.sql(f"REORG TABLE {lake.name_of(table)} APPLY (PURGE)").collect()
        return int(done[0]["metrics"]["numFilesRemoved"])

    # Else no row is marked, and Delta would open every file to see whether it has columns that are no longer known.
    properties = lake.detail(table).select("properties").collect()[0][0]
    marks = properties.get("delta.enableDeletionVectors") == "true"
    return until_nobody_was_quicker(lake, table, attempt) if marks else 0


def _wanted(lake: Lake, table: str, names: tuple[str, ...], open_hours: int) -> Counter[Cell]:
    """The closed partitions with something to gain, each with how many small files it has."""
    # Told by the paths, which are in Delta's log: to ask for their sizes opens the files themselves.
    files = Counter(_cells(lake.read(table).inputFiles(), names))
    if not files:
        return Counter()
    many = [cell for cell in _closed(files, names, open_hours) if files[cell] > MOST_SMALL_FILES]
    small = _small_files(lake, table, names, many) if many else Counter()
    return Counter({cell: count for cell, count in small.items() if count > MOST_SMALL_FILES})


def _cells(paths: Iterable[str], names: Collection[str]) -> Iterator[Cell]:
    for path in paths:
        found = _IN_PATH.search(path)
        if not names:
            yield ()
        elif found:
            yield (date.fromisoformat(found[1]), *([int(found[2])] if found[2] else []))


def _closed(cells: Collection[Cell], names: Collection[str], open_hours: int) -> list[Cell]:
    if not names:
        return list(cells)
    length = timedelta(hours=1) if "hour" in names else timedelta(days=1)
    until = max(map(_begin, cells)) - timedelta(hours=open_hours)
    return [cell for cell in cells if _begin(cell) + length <= until]


def _begin(cell: Cell) -> datetime:
    day, hour = (*cell, 0)[:2]
    return datetime(day.year, day.month, day.day, hour)


def _small_files(lake: Lake, table: str, names: tuple[str, ...], cells: Sequence[Cell]) -> Counter[Cell]:
    rows = lake.read(table).alias("t").where(within(cells, names) if names else F.lit(True))
    files = rows.select(
        *names, F.col("_metadata.file_path").alias("_path"), F.col("_metadata.file_size").alias("_size")
    )
    small = files.distinct().where(F.col("_size") < SMALL_BYTES).groupBy(*names).count().collect()
    return Counter({tuple(row)[:-1]: row["count"] for row in small})


def _turns(wanted: Counter[Cell]) -> Iterator[list[Cell]]:
    """The partitions in the order of time, as many at once as have files for a turn."""
    turn: list[Cell] = []
    files = 0
    for cell in sorted(wanted):
        if turn and files + wanted[cell] > _FILES_PER_TURN:
            yield turn
            turn, files = [], 0
        turn.append(cell)
        files += wanted[cell]
    if turn:
        yield turn


def _optimize(lake: Lake, table: str, cells: Sequence[Cell], *, run_id: str) -> int:
    spec = ALL_TABLES[table]
    where = f"WHERE {_in_words(cells)}" if cells[0] else ""
    order = f"ZORDER BY ({spec.sort_by})" if spec.sort_by else ""
    with saying(lake, {RUN: run_id}, _SETTINGS):
        done = lake.spark.sql(f"OPTIMIZE {lake.name_of(table)} {where} {order}").collect()
    return int(done[0]["metrics"]["numFilesRemoved"])


def _in_words(cells: Sequence[Cell]) -> str:
    """A condition on partition columns that SQL takes: `cells` sorted, by day."""
    days = []
    for day, of_day in groupby(cells, key=lambda cell: cell[0]):
        hours = [str(cell[1]) for cell in of_day if len(cell) > 1]
        days.append(f"(date = DATE'{day}'" + (f" AND hour IN ({', '.join(hours)})" if hours else "") + ")")
    return " OR ".join(days)
