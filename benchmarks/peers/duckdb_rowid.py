"""DuckDB with a dedupe that moves only keys: load all lines, then pass over the rows whose key was there before."""

from __future__ import annotations

from benchmarks.peers.contract import asked, say_counts
from benchmarks.peers.duckdb_sql import connect, events_of, write_events, write_tables


def main() -> None:
    """Read, delete the copies, write."""
    source, out = asked()
    connection = connect(out)
    connection.execute(f"CREATE TEMP TABLE events AS {events_of(source)}")
    connection.execute("""
        DELETE FROM events WHERE rowid IN (
            SELECT unnest(list_sort(rows)[2:]) FROM (
                SELECT list(rowid) AS rows FROM events GROUP BY apikey, event_id HAVING count(*) > 1))""")
    write_events(connection, "FROM events", out)
    (rows,) = connection.execute("SELECT count(*) FROM events").fetchone() or (0,)
    say_counts(events=rows, **write_tables(connection, "events", out))


if __name__ == "__main__":
    main()
