"""Compute the tables from nothing and compare them: `spark-submit jobs/verify.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="verify")
