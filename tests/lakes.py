"""Reads tables for comparison: with each other, and with the oracle's rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from oracle_tables import as_text
from pyspark.sql import functions as F

from parsely_spark.tables.folds import FOLDS
from parsely_spark.transforms.measures import Sketch

if TYPE_CHECKING:
    from collections.abc import Collection

    from parsely_spark.tables.catalog import Lake

DERIVED = tuple(fold.name for fold in FOLDS)
_INEXACT = {measure.name for fold in FOLDS for measure in fold.measures if isinstance(measure, Sketch)}


def rows_of(lake: Lake, table: str, *, but: Collection[str] = ()) -> list[str]:
    """Every row as text, times as epoch, sorted, without the columns *but*: equal lists mean equal tables."""
    types = dict(lake.read(table).dtypes)
    kept = sorted(types.keys() - _INEXACT.union(but))
    columns = [F.unix_millis(name).alias(name) if types[name] == "timestamp" else F.col(name) for name in kept]
    return sorted(row[0] for row in lake.read(table).select(F.to_json(F.struct(*columns))).collect())


def readable(lake: Lake, table: str) -> list[str]:
    """The rows without what only merges need, as the oracle's `as_text` has its own."""
    types = dict(lake.read(table).dtypes)
    kept = [name for name in types if not name.startswith("_") and name not in _INEXACT | {"version_key"}]
    columns = [F.unix_millis(name).alias(name) if types[name] == "timestamp" else F.col(name) for name in kept]
    rows = [row.asDict() for row in lake.read(table).select(*columns).collect()]
    for row in rows:
        if row.get("extra_data") is not None:
            row["extra_data"] = json.loads(row["extra_data"])
    return as_text(rows)
