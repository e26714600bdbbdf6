"""A process that writes to tables on S3, for the tests of turns: `turns.py URL LAKE race|hold`.

`race` appends to the table `without` without turns and to `with` with them, each when a line comes in; `hold` takes
turns at the table `held`, one for each line, and writes in it when another line comes in.
"""

from __future__ import annotations

import os
import sys

from parsely_spark.errors import LakeError
from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings
from parsely_spark.tables import lease
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import append

SETTINGS = (
    ("spark.master", "local[1]"),
    ("spark.driver.memory", "1g"),
    ("spark.hadoop.fs.s3a.access.key", "a"),
    ("spark.hadoop.fs.s3a.secret.key", "b"),
)
APPENDS = 3
LEASE_S = 3.0


def wait(said: str) -> None:
    """Say it, and go on when the test says so; without a test, not at all."""
    print(said, flush=True)
    if not sys.stdin.readline():
        sys.exit()


def race(lake: Lake, alone: Lake) -> None:
    """Append again and again, at the same time as another process."""
    rows = lake.spark.createDataFrame([(os.getpid(),)], "writer int")
    rows.write.format("delta").save(f"{lake.place}/warm{os.getpid()}")
    for of, table in ((alone, "without"), (lake, "with")):
        wait(table)
        for _ in range(APPENDS):
            append(of, table, rows, says={})


def hold(lake: Lake) -> None:
    """Write late in a turn, again and again."""
    rows = lake.spark.createDataFrame([(os.getpid(),)], "writer int")
    while True:
        wait("ready")
        try:
            with lease.turn_to_write(lake, "held"):
                wait("in")
                rows.write.format("delta").mode("append").saveAsTable(lake.name_of("held"))
        except LakeError as error:
            print(error, flush=True)
        print("done", flush=True)


if __name__ == "__main__":
    url, place, what = sys.argv[1:]
    lease.LEASE_S = LEASE_S
    spark = get_session("turns", SparkSettings(s3_endpoint_url=url, spark=SETTINGS))
    if what == "race":
        race(Lake(spark, place), Lake(spark, place, takes_turns=False))
    else:
        hold(Lake(spark, place))
    print("done", flush=True)
