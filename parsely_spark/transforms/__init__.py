"""What happens to events between the bytes and the tables: DataFrames in, one DataFrame out, no I/O."""
