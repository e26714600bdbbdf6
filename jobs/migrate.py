"""Add to an older lake what it lacks, and extra fields: `spark-submit jobs/migrate.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="migrate")
