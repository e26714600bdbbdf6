"""Put small files together, delete old ones, sum up old notes: `spark-submit jobs/maintain.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="maintain")
