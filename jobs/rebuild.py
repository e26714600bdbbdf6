"""Make derived tables again from the events: `spark-submit jobs/rebuild.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="rebuild")
