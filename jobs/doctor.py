"""Check Java, Spark, keys, buckets, lake, clock and stream: `spark-submit jobs/doctor.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="doctor")
