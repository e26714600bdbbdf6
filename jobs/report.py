"""Write an HTML report on the audience and the health of the data: `spark-submit jobs/report.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="report")
