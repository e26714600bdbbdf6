"""The machine around a run: its time zone, a disk that is full, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from lakes import DERIVED, rows_of
from oracle import read_lines, unique_events
from standalone_cluster import SHORT_LIFE

from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours around a midnight of UTC."""
    out = tmp_path_factory.mktemp("bucket")
    generate(out, events=1500, hours=6, seed=21)
    return out


def batch(
    tmp: Path, bucket: Path, lake: Path, *more: str, spark: dict[str, str], **environment: str
) -> tuple[int, str]:
    """Run `batch` in a process of its own; return its exit code and its last line."""
    table = {"spark.master": "local[2]", "spark.sql.shuffle.partitions": "2"} | spark
    (tmp / "parsely.toml").write_text("[spark]\n" + "".join(f'"{key}" = "{value}"\n' for key, value in table.items()))
    flags = ["--config", str(tmp / "parsely.toml"), "--source", str(bucket), "--lake", str(lake), *more]
    command = [sys.executable, "-m", "parsely_spark", "batch", *flags]
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE, **environment}
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=300)
    return ended.returncode, ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(("zone", "session_zone"), [("Australia/Lord_Howe", "America/St_Johns")])
def test_the_tables_are_the_same_in_every_time_zone(
    spark: SparkSession, bucket: Path, tmp_path: Path, zone: str, session_zone: str
) -> None:
    """Of the machine and of the session; one has its half-hour summer time, the other half-hour borders."""
    here = Lake(spark, str(tmp_path / "utc"))
    run_batch(here, [str(bucket)], QUIET)
    code, said = batch(
        tmp_path, bucket, tmp_path / "there", spark={"spark.sql.session.timeZone": session_zone}, TZ=zone
    )
    assert code == 0, said
    there = Lake(spark, str(tmp_path / "there"))
    for table in ("events", *DERIVED):
        assert rows_of(there, table) == rows_of(here, table)


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[None]:
    """A disk of so many MiB at *folder*."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("full", ["lake", "work"])
def test_a_full_disk_is_one_sentence_and_a_run_with_more_room_goes_on(
    spark: SparkSession, bucket: Path, tmp_path: Path, full: str
) -> None:
    """The disk of the lake, or the one on which Spark keeps what it works on."""
    small = tmp_path / "small"
    lake = small if full == "lake" else tmp_path / "lake"
    settings = {"spark.local.dir": str(small)} if full == "work" else {}
    with small_disk(small, 1):
        code, said = batch(tmp_path, bucket, lake / "tables", "--tables", "sessions", spark=settings)
        assert (code, said.split("; ")[-1]) == (1, "make room or set spark.local.dir to a larger one.")
        assert "a disk is full" in said
        subprocess.run(["mount", "-o", "remount,size=1g", small], check=True)
        grown = Lake(spark, str(lake / "tables"))
        run_batch(grown, [str(bucket)], QUIET, Limits(tables=("sessions",)))
        expected = unique_events(read_lines(bucket), datetime.now(UTC))
        keys = [(row["apikey"], row["event_id"]) for row in grown.read("events").collect()]
        assert sorted(keys) == sorted(expected.events)
        assert run_verify(grown, QUIET, tables=("sessions",)).is_right


CTRL_C = """
import os, signal, threading, time
from parsely_spark.session import get_session, running_tasks
from parsely_spark.settings import SparkSettings

spark = get_session("test", SparkSettings(spark=(("spark.master", "local[2]"), ("spark.driver.memory", "1g"))))

def interrupt():
    while not running_tasks(spark)[1]:
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    spark.range(0, 10**15, 1, 1).selectExpr("sum(id % 7)").collect()
except KeyboardInterrupt:
    print("interrupted", spark.range(3).count())
"""


def test_ctrl_c_while_spark_works_is_an_interruption_and_spark_can_be_asked_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CTRL_C],
        env={**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE},
        capture_output=True,
        text=True,
        timeout=300,
        # What a shell starts in the background ignores the signal, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert ended.stdout == "interrupted 3\n", ended.stderr


ARCHIVED = """
import sys
from pathlib import Path

from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings

spark = get_session("test", SparkSettings(class_archives=sys.argv[1], spark=(("spark.master", "local[1]"),)))
java = spark._jvm.java.lang.ProcessHandle.current().pid()
print(spark.range(3).count(), sys.argv[1] in Path(f"/proc/{java}/maps").read_text())
"""


def test_a_run_starts_from_the_classes_that_one_before_has_kept(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    for is_there in (False, True):
        ended = subprocess.run(
            [sys.executable, "-c", ARCHIVED, str(folder)],
            env={**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (ended.stdout, ended.stderr) == (f"3 {is_there}\n", "")
        (archive,) = folder.iterdir()
        assert archive.suffix == ".jsa"
