"""Rows that are read several times, kept in between where that can be had."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame

# Databricks' serverless compute keeps nothing: it refuses `persist` and what else would.
_REFUSED = "NOT_SUPPORTED"  # mostly NOT_SUPPORTED_WITH_SERVERLESS


@contextmanager
def kept(rows: DataFrame) -> Iterator[DataFrame]:
    """Keep *rows* for the block; where Spark refuses to, they are made again each time they are read."""
    try:
        held = rows.persist()
    except PySparkException as error:
        if not (error.getCondition() or "").startswith(_REFUSED):
            raise
        yield rows
        return
    try:
        yield held
    finally:
        held.unpersist()


def made_once(rows: DataFrame) -> DataFrame:
    """*rows* without the way in which they came about, which then need not be gone again; likewise."""
    try:
        return rows.localCheckpoint()
    except PySparkException as error:
        if not (error.getCondition() or "").startswith(_REFUSED):
            raise
        return rows
