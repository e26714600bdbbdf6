"""Inserts of what the table does not hold. Every one can be repeated."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from parsely_spark.tables.catalog import EVENTS, TABLES
from parsely_spark.tables.commits import (
    Work,
    append_once,
    changes,
    merging,
    until_nobody_was_quicker,
    version_of,
    version_that,
)
from parsely_spark.tables.conditions import in_cells, same
from parsely_spark.tables.folds import FOLDS
from parsely_spark.transforms.dedupe import EVENT_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyspark.sql import DataFrame

    from parsely_spark.tables.catalog import Lake

FIRST_LOAD = Work("first load", 1)


def create_missing_tables(lake: Lake, derived: Collection[str]) -> None:
    """Create the tables that are not there, *derived* and all others, also while another run does the same."""
    left_alone = {fold.name for fold in FOLDS}.difference(derived)

    def create(table: str) -> None:
        def attempt() -> int:
            lake.create_missing(table)
            return 0

        until_nobody_was_quicker(lake, table, attempt)

    # Most of it is waiting for one commit after another.
    with ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(create, (name for name in TABLES if name not in left_alone)))


def insert_events(lake: Lake, events: DataFrame, *, says: Mapping[str, object]) -> int:
    """Add those of *events* that the table does not hold, and return how many they were.

    Args:
        lake: where the tables are.
        events: rows of ``events``, unique by (date, hour, apikey, event_id). They are read twice, so persist them.
        says: what the commit tells of itself.
    """
    rows = events.select(*[column.name for column in EVENTS.columns])

    def attempt() -> int | None:
        if version_of(lake, EVENTS.name) == 0:
            return append_once(lake, EVENTS.name, rows, work=FIRST_LOAD, says=says)
        return _merge_new(lake, EVENTS.name, rows, key=EVENT_KEY, cell=("date", "hour"), says=says)

    return until_nobody_was_quicker(lake, EVENTS.name, attempt)


def inserted_since(lake: Lake, table: str, *, says: Mapping[str, object]) -> DataFrame:
    """The rows that came into *table* with the commit that *says* this, by its change feed."""
    version = version_that(lake, table, says=says)
    return changes(lake, table, version, version)


def insert_rows(lake: Lake, table: str, rows: DataFrame, *, key: tuple[str, ...], says: Mapping[str, object]) -> int:
    """Add those *rows*, unique by *key*, that the small *table* does not hold; return how many they were."""
    return until_nobody_was_quicker(lake, table, lambda: _merge_new(lake, table, rows, key=key, cell=(), says=says))


def _merge_new(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    key: tuple[str, ...],
    cell: tuple[str, ...],
    says: Mapping[str, object],
) -> int:
    condition = same(key) & in_cells(rows, cell)
    merge = lake.delta(table).alias("t").merge(rows.alias("s"), condition)
    with merging(lake, says=says):
        counts = merge.whenNotMatchedInsertAll().execute().collect()
    return int(counts[0]["num_inserted_rows"]) if counts else 0
