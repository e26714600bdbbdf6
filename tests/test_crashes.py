"""Runs that are killed, and runs at the same time, lose nothing and count nothing twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from kills import files_in, killed_at
from lakes import rows_of
from oracle import read_lines, unique_events
from programs import check, end, start

from parsely_spark.crash import POINTS
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
# At the others a run is ended in this process. Here it is in the middle: events are in, of which files is not said.
BY_SIGNAL = "inserted events"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More chunks than there are points at which to die."""
    out = tmp_path_factory.mktemp("bucket")
    generate(out, events=1500, hours=6, seed=5)
    for number, chunk in enumerate(sorted(out.glob("events/**/*.gz"))):
        if number % 3 == 0:
            with chunk.open("ab") as more:  # a member of its own, with lines that are no events
                more.write(
                    subprocess.run(["gzip"], input=b"oops %d\n" % number, capture_output=True, check=True).stdout
                )
    return out


def start_batch(
    source: Path, lake: Path, folder: Path, *, crash_at: str | None = None, tables: str = "pageviews"
) -> Popen[bytes]:
    """Start `batch`."""
    return start(folder, "batch", "--source", source, "--lake", lake, "--tables", tables, crash_at=crash_at)


def check_all(spark: SparkSession, folder: Path, source: Path) -> None:
    """The tables hold what the oracle finds in the lines, and the ledger every file."""
    lake = Lake(spark, str(folder))
    check(lake, unique_events(read_lines(source), datetime.now(UTC)))
    known = {row["path"] for row in lake.read("ingested_files").select("path").collect()}
    assert known == {f"file:{path}" for path in source.glob("events/**/*.gz")}


def test_killed_at_every_point_in_turn_a_lake_ends_as_if_nothing_had_happened(
    bucket: Path, spark: SparkSession, tmp_path: Path
) -> None:
    # given: a source that grows before each run
    chunks = sorted(bucket.glob("events/**/*.gz"))
    source, lake = tmp_path / "source", tmp_path / "lake"
    for number, point in enumerate((*POINTS, None)):
        for chunk in chunks[number :: len(POINTS) + 1]:
            target = source / chunk.relative_to(bucket)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(chunk, target)
        # when
        # Until the tables are what it dies of, one of them is enough; the other takes in what it has missed.
        named = "pageviews" if POINTS.index(point or POINTS[-1]) >= POINTS.index("folded sessions") else "sessions"
        of_process = really_killed(point, source, lake, named, tmp_path) if point == BY_SIGNAL else None
        left = tmp_path / f"left at {point}" / "lake"
        with killed_at(point, lake, left) if point else nullcontext():
            run_batch(Lake(spark.newSession(), str(lake)), [str(source)], QUIET, Limits(tables=(named,)))
        # then
        if of_process:
            assert files_in(of_process) == files_in(left)
        lake = of_process or (left if point else lake)
    check_all(spark, lake, source)
    whole = Lake(spark, str(tmp_path / "whole"))
    run_batch(whole, [str(bucket)], QUIET, Limits(tables=("pageviews",)))
    for table in ("events", "sessions", "pageviews"):
        assert rows_of(Lake(spark, str(lake)), table) == rows_of(whole, table)


def really_killed(point: str, source: Path, lake: Path, named: str, folder: Path) -> Path:
    """A copy of the *lake*, of which a run was killed that was a process of its own."""
    copy = folder / "of a process" / "lake"
    shutil.copytree(lake, copy)
    code, said = end(start_batch(source, copy, folder, crash_at=point, tables=named))
    assert code == -signal.SIGKILL, said
    return copy


def test_two_runs_at_once_end_in_the_tables_of_one(bucket: Path, spark: SparkSession, tmp_path: Path) -> None:
    # given: a new lake, so that they also make the tables at once, and the same hours for both
    both = [start_batch(bucket, tmp_path / "lake", tmp_path) for _ in range(2)]
    # then
    for process in both:
        code, said = end(process)
        assert code == 0, said
    check_all(spark, tmp_path / "lake", bucket)
