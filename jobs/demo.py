"""Generate a day of events, make the tables of it and show them: `spark-submit jobs/demo.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="demo")
