"""Polars, lazy and streaming where it can: the lines to Parquet, and the other tables from that.

Its scan of JSON lines reads gzip by itself; `unique` and the groups are streamed, too.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.peers.contract import (
    DAY_MS,
    FIELDS,
    HAS_SESSION,
    HOUR_MS,
    IS_CLOCK_SANE,
    TABLES,
    Measure,
    Table,
    asked,
    say_counts,
    say_done,
)

_TYPES = {
    "string": pl.String(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "array<string>": pl.List(pl.String()),
    "json": pl.String(),
}


def events_of(source: Path) -> pl.LazyFrame:
    """Every event under *source* once, with its time, session and partition."""
    files = sorted(source.rglob("*.gz"))
    lines = pl.scan_ndjson(files, schema={name: _TYPES[type_] for name, type_ in FIELDS.items()})
    action = pl.col("ts_action").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).dt.timestamp("ms")
    server = pl.coalesce("timestamp_info_nginx_ms", action)
    agrees = action.is_between(server - 7 * DAY_MS, server + HOUR_MS)
    at = pl.from_epoch(pl.when(agrees).then(action).otherwise(server), time_unit="ms")
    parts = pl.concat_str("apikey", "session_id", "visitor_site_id", "session_timestamp", separator="_")
    day = pl.from_epoch("server_ms", time_unit="ms").dt.strftime("%Y-%m-%d")
    text = pl.when(pl.sql_expr(IS_CLOCK_SANE)).then(parts).otherwise(pl.concat_str(parts, day, separator="_"))
    # It has no md5; its own hash of 64 bits is less work.
    key = pl.when(pl.sql_expr(HAS_SESSION)).then(text.hash())
    return (
        lines.unique(["apikey", "event_id"], keep="any")
        .with_columns(server_ms=server, event_at=at)
        .with_columns(session_key=key, date=pl.col("event_at").dt.date(), hour=pl.col("event_at").dt.hour())
        .drop("server_ms")
    )


def summary_of(table: Table, events: pl.LazyFrame) -> pl.LazyFrame:
    """The rows of *table*."""
    by = {name: pl.sql_expr(of) for name, of in table.by.items()}
    # What is measured of an event becomes a column first: that streams, expressions over filtered events do not.
    asked_of: dict[str, pl.Expr] = {"_at": pl.col("event_at")}
    for name, _, of, where in table.measures:
        asked_of[f"_{name}"] = pl.when(pl.sql_expr(where)).then(pl.sql_expr(of)) if where else pl.sql_expr(of)
    narrow = events.filter(pl.sql_expr(table.where)).select(**by, **asked_of)
    rows = narrow.group_by(list(by)).agg(**{measure.name: _aggregate(measure) for measure in table.measures})
    return rows.with_columns(**{name: pl.sql_expr(of) for name, of in table.derived.items()})


def _aggregate(measure: Measure) -> pl.Expr:
    value = pl.col(f"_{measure.name}")
    match measure.how:
        case "min":
            return value.min()
        case "max":
            return value.max()
        case "sum":
            return value.sum()
        case "distinct":
            return value.drop_nulls().n_unique()
        case "first":
            return value.min_by(pl.when(value.is_not_null()).then(pl.col("_at")))
        case "last":
            return value.max_by(pl.when(value.is_not_null()).then(pl.col("_at")))
    return value.drop_nulls().first()


def main() -> None:
    """Read, keep one of each, write."""
    source, out = asked()
    events_of(source).sink_parquet(pl.PartitionBy(out / "events", key=["date", "hour"]), mkdir=True)
    say_done("events")
    events = pl.scan_parquet(out / "events", hive_partitioning=True)
    rows = {}
    for table in TABLES:
        written = out / f"{table.name}.parquet"
        summary_of(table, events).sink_parquet(written)
        say_done(table.name)
        rows[table.name] = pl.scan_parquet(written).select(pl.len()).collect().item()
    say_counts(events=events.select(pl.len()).collect().item(), **rows)


if __name__ == "__main__":
    main()
