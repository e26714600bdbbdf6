"""Put the views, and the tables of a folder, into a catalog: `spark-submit jobs/register.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="register")
