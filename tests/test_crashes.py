"""Runs that are killed, and runs at the same time, lose nothing and count nothing twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from oracle import read_lines, sessions, unique_events
from oracle_tables import tables
from standalone_cluster import SHORT_LIFE

from parsely_spark.crash import POINTS, VARIABLE
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

CONFIG = """[spark]
"spark.sql.shuffle.partitions" = "2"
"spark.driver.memory" = "1g"
"""


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


def start(
    source: Path, lake: Path, folder: Path, *, crash_at: str | None = None, tables: str = "pageviews"
) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    config = folder / "parsely.toml"
    config.write_text(CONFIG)
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE}
    if crash_at:
        environment[VARIABLE] = crash_at
    flags = ("--source", source, "--lake", lake, "--config", config, "--tables", tables)
    command = [sys.executable, "-m", "parsely_spark", "batch", *map(str, flags)]
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for it; return its exit code and what it said."""
    said = process.communicate(timeout=300)[1].decode()
    if process.returncode:
        with suppress(ProcessLookupError):  # what it started dies with it, as with its machine
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said


def check(spark: SparkSession, folder: Path, source: Path) -> None:
    """The tables hold what the oracle finds in the lines."""
    expected = unique_events(read_lines(source), datetime.now(UTC))
    lake = Lake(spark, str(folder))
    events = [(row["apikey"], row["event_id"]) for row in lake.read("events").select("apikey", "event_id").collect()]
    assert sorted(events) == sorted(expected.events)
    wanted = sessions(expected.events.values(), lambda user_agent, ua_browser: False)
    columns = ("session_key", "events", "pageviews", "engaged_s", "exit_url")
    actual = {row["session_key"]: row.asDict() for row in lake.read("sessions").select(*columns).collect()}
    assert actual == {key: {name: row[name] for name in columns} for key, row in wanted.items()}
    views = tables(list(expected.events.values()), lambda user_agent, ua_browser: False)["pageviews"]
    columns = ("pageview_key", "session_key", "pageviews", "engaged_s", "post_id")
    seen = [tuple(row) for row in lake.read("pageviews").select(*columns).collect()]
    assert sorted(seen, key=repr) == sorted((tuple(row[name] for name in columns) for row in views), key=repr)
    assert lake.read("rejected_lines").count() == expected.rejected
    known = {row["path"] for row in lake.read("ingested_files").select("path").collect()}
    assert known == {f"file:{path}" for path in source.glob("events/**/*.gz")}


def test_killed_at_every_point_in_turn_a_lake_ends_as_if_nothing_had_happened(
    bucket: Path, spark: SparkSession, tmp_path: Path
) -> None:
    # given: a source that grows before each run
    chunks = sorted(bucket.glob("events/**/*.gz"))
    source, folder = tmp_path / "source", tmp_path / "lake"
    for number, point in enumerate((*POINTS, None)):
        for chunk in chunks[number :: len(POINTS) + 1]:
            target = source / chunk.relative_to(bucket)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(chunk, target)
        # when
        # Until the tables are what it dies of, one of them is enough; the other takes in what it has missed.
        named = "pageviews" if POINTS.index(point or POINTS[-1]) >= POINTS.index("folded sessions") else "sessions"
        code, said = end(start(source, folder, tmp_path, crash_at=point, tables=named))
        # then
        assert code == (-signal.SIGKILL if point else 0), (point, said)
    check(spark, folder, source)


def test_two_runs_at_once_end_in_the_tables_of_one(bucket: Path, spark: SparkSession, tmp_path: Path) -> None:
    # given: a new lake, so that they also make the tables at once, and the same hours for both
    both = [start(bucket, tmp_path / "lake", tmp_path) for _ in range(2)]
    # then
    for process in both:
        code, said = end(process)
        assert code == 0, said
    check(spark, tmp_path / "lake", bucket)
