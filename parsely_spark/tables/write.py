"""Inserts of what the table does not hold. Every one can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import DataFrame

from parsely_spark.errors import LakeError
from parsely_spark.jvm import is_driver
from parsely_spark.tables.catalog import ALL_TABLES, EVENTS, TABLES
from parsely_spark.tables.commits import (
    Work,
    append_once,
    changes,
    until_nobody_was_quicker,
    version_of,
    version_that,
)
from parsely_spark.tables.conditions import cells_of, within
from parsely_spark.tables.extras import require_extras, with_extras
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.merge import insert_new
from parsely_spark.transforms.dedupe import EVENT_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    from parsely_spark.schema import Field
    from parsely_spark.tables.catalog import Lake

FIRST_LOAD = Work("first load", 1)
HOUR = "hour"


def create_missing_tables(
    lake: Lake, derived: Collection[str], extra: Collection[Field] = (), partition: str | None = None
) -> None:
    """Create the tables that are not there, *derived* and all others, also while another run does the same.

    Args:
        lake: where the tables are.
        derived: names of derived tables.
        extra: fields that ``events`` has beside those of the schema; at least, where it is there.
        partition: hour or date, of all tables that are cut by hour; None is that of the lake, of a new one hour.

    Raises:
        LakeError: if a table that is there is not one that this release can read and write, or has other partitions;
            then none is created.
    """
    left_alone = {fold.name for fold in FOLDS}.difference(derived)
    wanted = [name for name in TABLES if name not in left_alone]
    # Most of it is waiting for one commit after another.
    with ThreadPoolExecutor(max_workers=4) as threads:
        are_there = threads.map(lambda name: lake.checked(name, is_one_of_all=True), wanted)
        there = dict(zip(wanted, are_there, strict=True))
        if extra and there[EVENTS.name]:
            require_extras(lake, extra)
        missing = [name for name in wanted if not there[name]]
        cut = partition or HOUR
        if there[EVENTS.name] and (partition or missing):
            cut = partition_of(lake)
            if partition not in (None, cut):
                raise LakeError(
                    f"{lake.name_of(EVENTS.name)} is partitioned by {cut}, which cannot be changed, and --partition "
                    f"{partition} was given; leave that out, or give another lake."
                )
        list(threads.map(lambda name: create_table(lake, name, extra, partition=cut), missing))


def partition_of(lake: Lake) -> str:
    """What a partition of *lake*, which has events, is: hour or date."""
    return HOUR if HOUR in lake.partitions_of(EVENTS.name) else "date"


def create_table(lake: Lake, table: str, extra: Collection[Field] = (), *, partition: str) -> None:
    """Create *table* unless it is there, ``events`` with the *extra* fields, by *partition* if it is cut by hour."""
    spec = with_extras(extra) if table == EVENTS.name else ALL_TABLES[table]
    names = tuple(name for name in spec.partition_by if name != HOUR or partition == HOUR)

    def attempt() -> int:
        lake.create_missing(table, replace(spec, partition_by=names))
        return 0

    until_nobody_was_quicker(lake, table, attempt)


class Insertion(NamedTuple):
    """What came into a table.

    Attributes:
        rows: how many.
        commits: what each of the commits that brought them says of itself.
    """

    rows: int
    commits: tuple[Mapping[str, object], ...]


def insert_events(
    lake: Lake, events: DataFrame, *, extra: Collection[Field] = (), are_few: bool, says: Mapping[str, object]
) -> Insertion:
    """Add those of *events* that the table does not hold.

    Args:
        lake: where the tables are.
        events: rows of ``events``, unique by (date, hour, apikey, event_id) and gathered by cell (date and hour). They
            are read several times, so persist them.
        extra: the fields that they have beside those of the schema.
        are_few: whether a second merge would take longer than it saves.
        says: what the commits tell of themselves.
    """
    rows = events.select(*[column.name for column in with_extras(extra).columns]).alias("s")
    loaded = _load_first(lake, rows, says)
    if loaded is not None:
        return Insertion(loaded, (says,))
    cells = cells_of(rows, EVENTS.partition_by)
    filled = _filled(lake, cells)
    # In a cell without events nothing is looked for, and its rows can be written as they lie; mostly those are nearly
    # all. A cell that another writer fills meanwhile is merged into all the same.
    parts = {"new": cells - filled, "old": filled}
    if are_few and filled:
        parts = {"all": cells}
    inserted = {}
    for name, some in parts.items():
        if some:
            # Rows that are not kept are read from the files again, which may hold events of other cells by now.
            is_all = len(some) == len(cells) and is_driver(lake.spark)
            part = rows if is_all else rows.where(within(some, EVENTS.partition_by, of="s"))
            to_events = partial(insert_new, lake, EVENTS.name, part, key=EVENT_KEY, cells=some)
            attempt = partial(to_events, says={**says, "cells": name}, as_they_lie=name == "new")
            inserted[name] = until_nobody_was_quicker(lake, EVENTS.name, attempt)
    commits = tuple({**says, "cells": name} for name, count in inserted.items() if count)
    return Insertion(sum(inserted.values()), commits)


def _load_first(lake: Lake, rows: DataFrame, says: Mapping[str, object]) -> int | None:
    """Fill the table, and return with how many rows; None where somebody has."""
    if version_of(lake, EVENTS.name):
        return None

    def attempt() -> int | None:
        is_filled = version_of(lake, EVENTS.name) > 0
        return -1 if is_filled else append_once(lake, EVENTS.name, rows, work=FIRST_LOAD, says=says)

    loaded = until_nobody_was_quicker(lake, EVENTS.name, attempt)
    return loaded if loaded >= 0 else None


def _filled(lake: Lake, cells: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Those of *cells* that hold events."""
    return cells_of(lake.read(EVENTS.name).alias("t").where(within(cells, EVENTS.partition_by)), EVENTS.partition_by)


def inserted_since(lake: Lake, table: str, commits: Collection[Mapping[str, object]]) -> DataFrame:
    """The rows that came into *table* with the *commits*, given by what they say, by its change feed."""
    versions = [version_that(lake, table, says=says) for says in commits]
    return reduce(DataFrame.unionByName, [changes(lake, table, version, version) for version in versions])


def insert_rows(lake: Lake, table: str, rows: DataFrame, *, key: tuple[str, ...], says: Mapping[str, object]) -> int:
    """Add those *rows*, unique by *key*, that the small *table* does not hold; return how many they were."""
    return until_nobody_was_quicker(lake, table, lambda: insert_new(lake, table, rows, key=key, says=says))
