"""The statements that the formulations for DuckDB share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from benchmarks.peers.contract import DAY_MS, FIELDS, HAS_SESSION, HOUR_MS, IS_CLOCK_SANE, TABLES, memory_gib, say_done

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.contract import Measure, Table

_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
    "json": "VARCHAR",
}
_COLUMNS = ", ".join(f"{name}: '{_TYPES[type_]}'" for name, type_ in FIELDS.items())


def connect(out: Path) -> duckdb.DuckDBPyConnection:
    """Connect to a database in memory that may spill beside *out*, without the order of rows that nobody asked for."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_gib(0.75, most=10)}GB",
        "temp_directory": str(out / "tmp"),
        "preserve_insertion_order": "false",
    }
    return duckdb.connect(config=settings)


def events_of(source: Path) -> str:
    """Every line under *source*, as often as it was delivered, with its time, session and partition."""
    action_ms = "epoch_ms(try_cast(ts_action AS TIMESTAMP))"
    key = "concat_ws('_', apikey, session_id, visitor_site_id, session_timestamp)"
    day = "strftime(make_timestamp_ms(server_ms), '%Y-%m-%d')"
    return f"""
        SELECT * EXCLUDE (server_ms), event_at::DATE AS date, hour(event_at)::INT AS hour FROM (
            SELECT *,
                make_timestamp_ms(CASE WHEN {action_ms} BETWEEN server_ms - {7 * DAY_MS} AND server_ms + {HOUR_MS}
                    THEN {action_ms} ELSE server_ms END) AS event_at,
                CASE WHEN {HAS_SESSION}
                    THEN md5(CASE WHEN {IS_CLOCK_SANE} THEN {key} ELSE {key} || '_' || {day} END) END AS session_key
            FROM (
                SELECT *, COALESCE(timestamp_info_nginx_ms, {action_ms}) AS server_ms
                FROM read_json('{source}/**/*.gz', format = 'newline_delimited', columns = {{{_COLUMNS}}},
                    compression = 'gzip')
            )
        )"""


def write_events(connection: duckdb.DuckDBPyConnection, query: str, out: Path) -> None:
    """Write the rows of *query* as Parquet, a folder per date and hour."""
    connection.sql(f"COPY ({query}) TO '{out}/events' (FORMAT parquet, PARTITION_BY (date, hour))")
    say_done("events")


def write_tables(connection: duckdb.DuckDBPyConnection, events: str, out: Path) -> dict[str, int]:
    """Write sessions and pageviews of the relation *events*; give their row counts."""
    rows = {}
    for table in TABLES:
        written = f"{out}/{table.name}.parquet"
        (rows[table.name],) = connection.execute(f"COPY ({_summary(table, events)}) TO '{written}'").fetchone() or (0,)
        say_done(table.name)
    return rows


def _summary(table: Table, events: str) -> str:
    by = [f"{of} AS {name}" for name, of in table.by.items()]
    measures = [f"{_aggregate(measure)} AS {measure.name}" for measure in table.measures]
    derived = [f"{of} AS {name}" for name, of in table.derived.items()]
    keys = ", ".join(table.by.values())
    grouped = f"SELECT {', '.join([*by, *measures])} FROM {events} WHERE {table.where} GROUP BY {keys}"
    return f"SELECT *, {', '.join(derived)} FROM ({grouped})"


def _aggregate(measure: Measure) -> str:
    _, how, of, where = measure
    call = {
        "any": f"any_value({of})",
        "min": f"min({of})",
        "max": f"max({of})",
        "sum": f"sum({of})",
        "first": f"arg_min({of}, event_at)",
        "last": f"arg_max({of}, event_at)",
        "distinct": f"count(DISTINCT {of})",
    }[how]
    filtered = f"{call} FILTER (WHERE {where})" if where else call
    return f"COALESCE({filtered}, 0)::BIGINT" if how == "sum" else filtered
