"""Write a realistic bucket of raw events, to try things out on: `spark-submit jobs/generate.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="generate")
