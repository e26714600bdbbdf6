"""What the runs did: which versions of which objects they are through with, and how each run went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from parsely_spark.small_work import looking
from parsely_spark.tables.catalog import INGESTED_FILES, RUNS
from parsely_spark.tables.commits import RUN, append

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyspark.sql import DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.spec import TableSpec


def ingested_versions(lake: Lake, paths: Sequence[str]) -> dict[tuple[str, int, int], bool]:
    """The versions of the objects at *paths* that runs are through with: path, bytes, epoch ms of the change.

    Returns:
        For each whether it was read; else it was left out.
    """
    offered = lake.spark.createDataFrame([(path,) for path in paths], "path string")
    # The ledger of years is read, but only what is on offer leaves it.
    held = lake.read(INGESTED_FILES.name).join(F.broadcast(offered), "path", "left_semi")
    version = ("path", "size_bytes", F.unix_millis("modified_at").alias("modified_ms"))
    rows = held.groupBy(*version).agg(F.bool_or(F.col("error").isNull()).alias("was_read")).collect()
    return {(row["path"], row["size_bytes"], row["modified_ms"]): row["was_read"] for row in rows}


def record_files(lake: Lake, files: Iterable[Mapping[str, Any]], *, run_id: str) -> None:
    """Note that a run is through with *files*, given as rows of ``ingested_files``."""
    rows = _rows(lake, INGESTED_FILES, [{**file, "run_id": run_id} for file in files])
    append(lake, INGESTED_FILES.name, rows, says={RUN: run_id})


def record_run(lake: Lake, run: Mapping[str, Any]) -> None:
    """Note how a *run*, a row of ``runs`` without its date, went."""
    row = {**run, "date": run["started_at"].date()}
    with looking(lake.spark):
        append(lake, RUNS.name, _rows(lake, RUNS, [row]), says={RUN: run["run_id"]})


def _rows(lake: Lake, spec: TableSpec, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    return lake.spark.createDataFrame([tuple(row.get(c.name) for c in spec.columns) for row in rows], spec.ddl)
