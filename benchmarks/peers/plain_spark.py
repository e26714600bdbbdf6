"""Spark as the tutorials do it: `read.json`, `dropDuplicates`, a partitioned Delta write, `groupBy`.

More generous than they are: the schema is given, where they let Spark read all lines once more to infer it, and the
heap is that of the package's own sessions, because Spark's own default ends in an error here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.peers.contract import DAY_MS, HAS_SESSION, HOUR_MS, IS_CLOCK_SANE, TABLES, asked, say_counts, say_done
from benchmarks.peers.contract import memory_gib as share_of_memory
from parsely_spark.schema import event_struct

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import Column, DataFrame

    from benchmarks.peers.contract import Measure, Table


def session() -> SparkSession:
    """A session as in Delta's quick start; its jars are in Spark's folder already."""
    return (
        SparkSession.builder.appName("plain")
        .master("local[*]")
        .config("spark.driver.memory", f"{share_of_memory(1 / 3, most=4)}g")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )


def events_of(spark: SparkSession, source: Path) -> DataFrame:
    """Every event under *source* once, with its time, session and partition."""
    lines = spark.read.schema(event_struct()).option("recursiveFileLookup", True).json(str(source))
    action = F.unix_millis(F.try_to_timestamp("ts_action", F.lit("yyyy-MM-dd HH:mm:ss")))
    server = F.coalesce("timestamp_info_nginx_ms", action)
    agrees = action.between(server - 7 * DAY_MS, server + HOUR_MS)
    key = F.concat_ws("_", "apikey", "session_id", "visitor_site_id", "session_timestamp")
    day = F.to_date(F.timestamp_millis("server_ms")).cast("string")
    text = F.when(F.expr(IS_CLOCK_SANE), key).otherwise(F.concat_ws("_", key, day))
    return (
        lines.withColumn("server_ms", server)
        .withColumn("event_at", F.timestamp_millis(F.when(agrees, action).otherwise(server)))
        .withColumn("session_key", F.when(F.expr(HAS_SESSION), F.md5(text)))
        .withColumn("date", F.to_date("event_at"))
        .withColumn("hour", F.hour("event_at"))
        .drop("server_ms")
        .dropDuplicates(["apikey", "event_id"])
    )


def summary_of(table: Table, events: DataFrame) -> DataFrame:
    """The rows of *table*."""
    by = [F.expr(of).alias(name) for name, of in table.by.items()]
    rows = events.where(table.where).groupBy(*by).agg(*map(_aggregate, table.measures))
    return rows.withColumns({name: F.expr(of) for name, of in table.derived.items()})


def _aggregate(measure: Measure) -> Column:
    name, how, of, where = measure
    value = f"CASE WHEN {where} THEN {of} END" if where else of
    known_at = f"CASE WHEN ({value}) IS NOT NULL THEN event_at END"
    call = {
        "any": f"any_value({value}, true)",
        "min": f"min({value})",
        "max": f"max({value})",
        "sum": f"coalesce(sum({value}), 0)",
        "first": f"min_by({value}, {known_at})",
        "last": f"max_by({value}, {known_at})",
        "distinct": f"size(collect_set({value}))",
    }[how]
    return F.expr(call).alias(name)


def main() -> None:
    """Read, keep one of each, write."""
    source, out = asked()
    spark = session()
    events_of(spark, source).write.format("delta").partitionBy("date", "hour").save(f"{out}/events")
    say_done("events")
    events = spark.read.format("delta").load(f"{out}/events")
    rows = {"events": events.count()}
    for table in TABLES:
        summary_of(table, events).write.format("delta").save(f"{out}/{table.name}")
        say_done(table.name)
        rows[table.name] = spark.read.format("delta").load(f"{out}/{table.name}").count()
    say_counts(**rows)


if __name__ == "__main__":
    main()
