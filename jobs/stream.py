"""Follow a Kinesis stream and bring every table up to date: `spark-submit jobs/stream.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="stream")
