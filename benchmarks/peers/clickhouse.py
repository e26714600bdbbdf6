"""ClickHouse inside Python (chdb): one table in memory, then Parquet by its own partitioned writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chdb.session import Session

from benchmarks.peers.contract import (
    DAY_MS,
    FIELDS,
    HAS_SESSION,
    HOUR_MS,
    IS_CLOCK_SANE,
    TABLES,
    asked,
    say_counts,
    say_done,
)

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.contract import Measure, Table

_TYPES = {
    "string": "Nullable(String)",
    "long": "Nullable(Int64)",
    "double": "Nullable(Float64)",
    "boolean": "Nullable(Bool)",
    "array<string>": "Array(Nullable(String))",
    "json": "Nullable(String)",
}
_COLUMNS = ", ".join(f"{name} {_TYPES[type_]}" for name, type_ in FIELDS.items())
_SETTINGS = {
    "session_timezone": "'UTC'",
    "prefer_column_name_to_alias": "1",
    "input_format_json_read_objects_as_strings": "1",
    "input_format_skip_unknown_fields": "1",
    "engine_file_truncate_on_insert": "1",
    "max_partitions_per_insert_block": "0",
}


def events_of(source: Path) -> str:
    """Every line under *source* with its time, session and partition."""
    action_ms = "toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(ts_action, 3, 'UTC'))"
    key = "concat(apikey, '_', toString(session_id), '_', visitor_site_id, '_', toString(session_timestamp))"
    day = "toString(toDate(fromUnixTimestamp64Milli(server_ms, 'UTC')))"
    return f"""
        SELECT * EXCEPT (server_ms), toDate(event_at) AS date, toHour(event_at) AS hour FROM (
            SELECT *,
                fromUnixTimestamp64Milli(if({action_ms} BETWEEN server_ms - {7 * DAY_MS} AND server_ms + {HOUR_MS},
                    {action_ms}, server_ms), 'UTC') AS event_at,
                if({HAS_SESSION}, lower(hex(MD5(if({IS_CLOCK_SANE}, {key}, concat({key}, '_', {day}))))), NULL)
                    AS session_key
            FROM (
                SELECT *, assumeNotNull(COALESCE(timestamp_info_nginx_ms, {action_ms})) AS server_ms
                FROM file('{source}/**/*.gz', 'JSONEachRow', '{_COLUMNS}', 'gzip')
            )
        )"""


def _summary(table: Table) -> str:
    by = [f"{of} AS {name}" for name, of in table.by.items()]
    measures = [f"{_aggregate(measure)} AS {measure.name}" for measure in table.measures]
    derived = [f"{of} AS {name}" for name, of in table.derived.items()]
    grouped = (
        f"SELECT {', '.join([*by, *measures])} FROM events WHERE {table.where} GROUP BY {', '.join(table.by.values())}"
    )
    return f"SELECT *, {', '.join(derived)} FROM ({grouped})"


def _aggregate(measure: Measure) -> str:
    _, how, of, where = measure
    function, arguments = {
        "any": ("any", of),
        "min": ("min", of),
        "max": ("max", of),
        "sum": ("sum", of),
        "first": ("argMin", f"{of}, event_at"),
        "last": ("argMax", f"{of}, event_at"),
        "distinct": ("uniqExact", of),
    }[how]
    call = f"{function}If({arguments}, {where})" if where else f"{function}({arguments})"
    return f"toInt64(COALESCE({call}, 0))" if how == "sum" else call


def main() -> None:
    """Read, keep one of each, write."""
    source, out = asked()
    session = Session()
    for name, value in _SETTINGS.items():
        session.query(f"SET {name} = {value}")
    session.query(f"CREATE TABLE events ENGINE = Memory AS {events_of(source)} LIMIT 1 BY apikey, event_id")
    partition = "concat('date=', toString(date), '/hour=', toString(hour))"
    target = f"file('{out}/events/{{_partition_id}}/part.parquet', 'Parquet')"
    session.query(f"INSERT INTO FUNCTION {target} PARTITION BY {partition} SELECT * FROM events")
    say_done("events")
    rows = {"events": int(str(session.query("SELECT count() FROM events")))}
    for table in TABLES:
        written = f"file('{out}/{table.name}.parquet', 'Parquet')"
        session.query(f"INSERT INTO FUNCTION {written} {_summary(table)}")
        say_done(table.name)
        rows[table.name] = int(str(session.query(f"SELECT count() FROM {written}")))
    say_counts(**rows)


if __name__ == "__main__":
    main()
