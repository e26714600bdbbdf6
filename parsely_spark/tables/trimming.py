"""What the runs have noted, made shorter, without losing what is asked of it later.

`verify` asks how many events were noted, `status` for gaps, `batch` for the objects that it is through with. So rows
are summed up, and no row goes that tells of an object, of a gap or of what was listed, unless that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.tables.catalog import EVENTS, INGESTED_FILES, RUNS, TABLES
from parsely_spark.tables.commits import RUN, merging, until_nobody_was_quicker

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import Column, DataFrame

    from parsely_spark.tables.catalog import Lake

SUMMED_UP = "summed up"  # stands for the path of the objects whose rows are one
_COUNTS = ("lines", "inserted", "duplicate", "rejected", "blank")
_DAY_IN_PATH = r"/(\d{4}/\d{2}/\d{2})/"


def trim_runs(lake: Lake, *, before: date, run_id: str) -> int:
    """Sum up what a stream has noted each minute of the days *before*; return how many rows went.

    One row for each of its runs and days stays. Those of other runs are few, and tell what was listed, as gaps do.
    """
    made_ms = lake.detail(EVENTS.name).select(F.unix_millis("createdAt")).collect()[0][0]

    def is_minute(name: str) -> Column:
        column = {each: F.col(f"{name}.{each}") for each in ("job", "outcome", "batches", "date")}
        is_running = (column["job"] == "stream") & (column["outcome"] == "running") & column["batches"].isNotNull()
        return is_running & (column["date"] < F.lit(before))

    rows = lake.read(RUNS.name).alias("t").where(is_minute("t"))
    # `verify` counts only what was noted since the table of events was made.
    of_this_table = F.unix_millis("ended_at") >= made_ms
    summed = rows.groupBy("run_id", "job", "outcome", "date", "version", of_this_table.alias("_of_this_table")).agg(
        F.min("started_at").alias("started_at"),
        F.max("ended_at").alias("ended_at"),
        *[F.sum(name).alias(name) for name in _COUNTS],
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("unknown_fields")))).alias("unknown_fields"),
        F.max("events_version").alias("events_version"),
        F.max("lag_ms").alias("lag_ms"),
    )
    return _replace(lake, RUNS.name, rows, is_minute("t"), summed.drop("_of_this_table"), run_id=run_id)


def trim_ledger(lake: Lake, *, before: date, run_id: str) -> int:
    """Sum up the objects of the days *before*, by their folder and by when they were read; return how many rows went.

    One that is still in its bucket is read again by the next run that lists it. Its events are found there already.
    """

    def is_old(name: str) -> Column:
        folder = F.regexp_extract(f"{name}.path", _DAY_IN_PATH, 1)  # nothing for what has no folder of a day
        is_early = (folder != "") & (folder < F.lit(f"{before:%Y/%m/%d}"))
        return is_early & (F.col(f"{name}.ingested_at") < F.lit(before)) & F.col(f"{name}.error").isNull()

    rows = lake.read(INGESTED_FILES.name).alias("t").where(is_old("t"))
    summed = rows.agg(
        F.lit(SUMMED_UP).alias("path"),
        F.sum("size_bytes").alias("size_bytes"),
        F.max("modified_at").alias("modified_at"),
        *[F.sum(name).alias(name) for name in _COUNTS],
        F.lit(run_id).alias("run_id"),
        F.max("ingested_at").alias("ingested_at"),
    )
    return _replace(lake, INGESTED_FILES.name, rows, is_old("t"), summed, run_id=run_id)


def _replace(lake: Lake, table: str, rows: DataFrame, are_rows: Column, by: DataFrame, *, run_id: str) -> int:
    """Put *by* in the place of *rows* of *table*, in one commit."""
    written = dict(by.dtypes)
    columns = [
        (F.col(c.name) if c.name in written else F.lit(None)).cast(c.type).alias(c.name) for c in TABLES[table].columns
    ]

    def attempt() -> int:
        if rows.isEmpty():
            return 0
        merge = lake.delta(table).alias("t").merge(by.select(*columns).alias("s"), F.lit(False))
        with merging(lake, says={RUN: run_id}):
            counts = merge.whenNotMatchedInsertAll().whenNotMatchedBySourceDelete(are_rows).execute().collect()
        return int(counts[0]["num_deleted_rows"])

    return until_nobody_was_quicker(lake, table, attempt)
