"""DuckDB without a table: from the lines straight into Parquet, and the other tables from that."""

from __future__ import annotations

from benchmarks.peers.contract import asked, say_counts
from benchmarks.peers.duckdb_sql import connect, events_of, write_events, write_tables


def main() -> None:
    """Write what is left of the lines, and read the few columns again that the other tables need."""
    source, out = asked()
    connection = connect(out)
    write_events(connection, f"SELECT DISTINCT ON (apikey, event_id) * FROM ({events_of(source)})", out)
    written = f"read_parquet('{out}/events/**/*.parquet', hive_partitioning = true)"
    (rows,) = connection.execute(f"SELECT count(*) FROM {written}").fetchone() or (0,)
    say_counts(events=rows, **write_tables(connection, written, out))


if __name__ == "__main__":
    main()
