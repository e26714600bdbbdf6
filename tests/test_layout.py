"""A small site's lake can have a partition for each date; everything else is as with hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lakes import rows_of

from parsely_spark.cli import understand
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.maintain import Care, run_maintain
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.tables import compaction
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
FIRST, LATER = ("sessions",), ("sessions", "post_hours", "posts")


def test_a_lake_by_date_holds_the_same_and_stays_so(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a table that is made later; what it cannot become is refused before anything is read."""
    generate(tmp_path / "bucket", events=1000, hours=30, seed=6)
    lake, by_hour = (Lake(spark, str(tmp_path / name)) for name in ("lake", "by hour"))
    runs = [("2026/01/14/20", None, FIRST, "date"), (None, "2026/01/14/20", LATER, None), (None, None, LATER, "date")]
    for begin, end, tables, partition in runs:
        done = run_batch(
            lake, [str(tmp_path / "bucket")], QUIET, Limits(begin=begin, end=end, tables=tables, partition=partition)
        )
    assert (done.files, done.inserted) == (0, 0)
    run_batch(by_hour, [str(tmp_path / "bucket")], QUIET, Limits(tables=LATER))
    for table in ("events", *LATER):
        assert rows_of(lake, table) == rows_of(by_hour, table), table
        dated = () if table == "posts" else ("date",)
        assert (lake.partitions_of(table), by_hour.partitions_of(table)) == (dated, (*dated, *["hour"] * len(dated)))
    # and: a closed day becomes one file
    before = rows_of(lake, "events")
    monkeypatch.setattr(compaction, "MOST_SMALL_FILES", 1)
    assert len(lake.read("events").inputFiles()) == 3
    run_maintain(lake, QUIET, Care(vacuums=False, open_hours=0))
    assert rows_of(lake, "events") == before
    days = [path.split("/date=")[1][:10] for path in lake.read("events").inputFiles()]
    assert days == sorted(set(days)) == ["2026-01-14", "2026-01-15"]
    assert run_verify(lake, QUIET, tables=LATER).is_right
    # and
    with pytest.raises(LakeError, match=r"is partitioned by date, which cannot be changed, and --partition hour was"):
        run_batch(lake, [str(tmp_path / "bucket")], QUIET, Limits(partition="hour"))


def test_another_partition_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"--partition='day' is none of hour, date; give one"):
        understand(["batch", "--source", "s3a://b/events", "--lake", "l", "--partition", "day"])
