"""What speed depends on, as counts: a change that costs more of them is slower on every machine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from costs import Cost, cost_of_block
from lakes import rows_of
from py4j.java_gateway import JVMView
from pyspark.sql import functions as F

from parsely_spark import ingest
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import history, said
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
EVENTS, HOURS = 3_000, 3


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hours of events, each hour in one file."""
    out = tmp_path_factory.mktemp("costs") / "bucket"
    generate(out, events=EVENTS, hours=HOURS, seed=31)
    return out


@pytest.fixture(scope="module")
def runs(
    bucket: Path, spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, dict[str, Cost]]:
    """A first load of all hours but the last, an hour on top of it, a run that finds nothing; ``sessions`` alone.

    Then a copy of the first lake, and the hour on top as if it were a large one.
    """
    folder = tmp_path_factory.mktemp("costs") / "lake"
    shutil.copytree(empty_lake, folder)
    lake, costs = Lake(spark, str(folder)), dict[str, Cost]()
    hours = sorted(str(path.relative_to(bucket / "events")) for path in bucket.glob("events/*/*/*/*"))
    other = Lake(spark, f"{folder} of large hours")
    for name, end in {"first": hours[-1], "hour": None, "nothing": None}.items():
        with cost_of_block(spark) as costs[name]:
            run_batch(lake, [str(bucket)], QUIET, Limits(end=end, tables=("sessions",)))
        if name == "first":
            shutil.copytree(folder, other.place)
    with pytest.MonkeyPatch.context() as large, cost_of_block(spark) as costs["large hour"]:
        large.setattr(ingest, "MOST_MERGED_AT_ONCE", 0)
        run_batch(other, [str(bucket)], QUIET, Limits(tables=("sessions",)))
    assert rows_of(other, "events") == rows_of(lake, "events")
    return lake, costs


@pytest.mark.parametrize(("run", "most"), [("first", 48), ("hour", 80), ("nothing", 14)])
def test_a_run_takes_few_jobs(runs: tuple[Lake, dict[str, Cost]], run: str, most: int) -> None:
    """Each costs some hundredths of a second, whatever it does: 38, 68 and 11 when this was written."""
    assert 0 < runs[1][run].jobs <= most


def test_the_lines_cross_a_shuffle_once(runs: tuple[Lake, dict[str, Cost]]) -> None:
    """What deduplicates them also gathers them for the write; what else is shuffled is narrow."""
    # By its part of the widest shuffle: of a large hour, the next one is that of sessions into those that there are.
    for run, hours, most in (("first", HOURS - 1, 1 / 4), ("large hour", 1, 1 / 2)):
        widest, *others = runs[1][run].shuffles
        assert 500 < widest / EVENTS * HOURS / hours < 1_200, run  # bytes an event, of 3,900 of JSON
        assert max(others) < widest * most, run
    assert sum(runs[1]["first"].shuffles) < 1.5 * max(runs[1]["first"].shuffles)


def test_a_run_writes_one_file_for_each_hour_that_it_has_new_events_of(runs: tuple[Lake, dict[str, Cost]]) -> None:
    lake, _ = runs
    events = lake.read("events").select("date", "hour", F.col("_metadata.file_path").alias("file"))
    files = {
        (row["date"], row["hour"]): row["files"]
        for row in events.groupBy("date", "hour").agg(F.count_distinct("file").alias("files")).collect()
    }
    assert len(files) == HOURS
    assert max(files.values()) <= 2  # of two runs


def test_a_run_that_finds_nothing_new_writes_to_no_table_but_runs(runs: tuple[Lake, dict[str, Cost]]) -> None:
    lake, costs = runs
    newest = lake.read("runs").orderBy("started_at").collect()[-1]
    assert (newest["lines"], newest["files"]) == (0, 0)
    for table in ("events", "sessions", "rejected_lines", "ingested_files"):
        assert said(history(lake, table, 1)[0]).get("run_id") != newest["run_id"]
    assert sum(costs["nothing"].shuffles) < 100_000


def test_a_column_is_made_without_a_look_into_every_jar(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the JVM has to for a class whose package is not told; a fold has thousands of Columns."""
    asked: list[str] = []
    monkeypatch.setattr(JVMView, "__getattr__", lambda _, name: asked.append(name))
    F.coalesce(F.sum("a"), F.lit(1)) + F.col("b")
    assert asked == []
