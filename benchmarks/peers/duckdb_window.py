"""DuckDB, the way its manual shows first: one table of the events that a window has numbered."""

from __future__ import annotations

from benchmarks.peers.contract import asked, say_counts
from benchmarks.peers.duckdb_sql import connect, events_of, write_events, write_tables


def main() -> None:
    """Read, keep one of each, write."""
    source, out = asked()
    connection = connect(out)
    first = "QUALIFY row_number() OVER (PARTITION BY apikey, event_id) = 1"
    connection.execute(f"CREATE TEMP TABLE events AS {events_of(source)} {first}")
    write_events(connection, "FROM events", out)
    (rows,) = connection.execute("SELECT count(*) FROM events").fetchone() or (0,)
    say_counts(events=rows, **write_tables(connection, "events", out))


if __name__ == "__main__":
    main()
