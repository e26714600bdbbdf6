"""Delete visitors from every table, and prove it: `spark-submit jobs/forget.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="forget")
