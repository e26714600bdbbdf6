"""A stream whose followers are killed, wherever they are, loses nothing and counts nothing twice."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from fake_kinesis import HOUR_MS, FakeKinesis, fake_kinesis
from kills import files_in, killed_at
from lakes import rows_of
from oracle import unique_events
from programs import END_S, SETTINGS, check, end, kill, start

from parsely_spark.crash import STREAM_POINTS
from parsely_spark.kinesis_settings import OURS, KinesisSettings
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.stream import Pace, Streamed, run_stream
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.sources.kinesis.readers import reader_of
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import history, said
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from subprocess import Popen

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
# A point within a batch leaves it to the next run, a point after it does not. Where events have come in, one after it
# follows, so that the next one within a batch is met in another one.
TURNS = (
    *("began batch", "parsed", "inserted events", "folded sessions"),
    *("inserted rejected lines", "folded pageviews", "ended batch", "recorded run"),
)
WITHIN_BATCH = ("began batch", "parsed", "inserted events", "inserted rejected lines", "ended batch")
LIVES, SEED = 3, 7
TICK_S = 0.4
# At the others a follower is ended in this process. Here its batch is done, and Spark has not noted it.
BY_SIGNAL = "ended batch"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture
def kinesis() -> Iterator[FakeKinesis]:
    """A server with a stream ``s`` of one shard."""
    with fake_kinesis(asked_by_one=False) as running:
        running.walk_ms = 25 * HOUR_MS
        running.create("s")
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw events in files."""
    folder = tmp_path_factory.mktemp("crashes") / "bucket"
    generate(folder, events=900, hours=3, seed=8)
    return folder


@pytest.fixture(scope="module")
def lines(bucket: Path) -> list[bytes]:
    """The same as records, in the order of the files."""
    files = sorted(bucket.rglob("*.gz"))
    return [line for file in files for line in gzip.decompress(file.read_bytes()).split(b"\n") if line]


def follow(kinesis: FakeKinesis, folder: Path, *flags: object, crash_at: str | None = None) -> Popen[bytes]:
    """Start `stream` into the lake in *folder*."""
    which = ("--stream", "s", "--region", "us-east-1", "--endpoint-url", kinesis.url)
    places = ("--lake", folder / "lake", "--checkpoint", folder / "checkpoint")
    return start(folder, "stream", *which, *places, *flags, crash_at=crash_at)


def drain(lake: Lake, kinesis: FakeKinesis, folder: Path, tables: tuple[str, ...]) -> Streamed:
    """Take what is in the stream, in this process, from where the followers in *folder* are."""
    options = KinesisSettings.of_options({"stream": "s", "region": "us-east-1", "endpoint_url": kinesis.url})
    pace = Pace(checkpoint=f"file:{folder / 'checkpoint'}", drains=True, tables=tables)
    return run_stream(lake, reader_of(OURS, options), QUIET, pace)


def newest(log: Path) -> int:
    """The number of the newest batch in one of Spark's logs; -1 for none."""
    return max((int(file.name) for file in log.glob("*") if file.name.isdigit()), default=-1)


def reshard(kinesis: FakeKinesis, chance: random.Random) -> None:
    """Split a shard, or merge two; never more than three at a time."""
    shards = kinesis.open_shards("s")
    if len(shards) < 2 or (len(shards) < 3 and chance.random() < 0.5):
        kinesis.split("s", chance.choice(shards))
    else:
        at = chance.randrange(len(shards) - 1)
        kinesis.merge("s", *shards[at : at + 2])


def test_killed_at_every_point_in_turn_a_lake_ends_as_if_nothing_had_happened(
    kinesis: FakeKinesis, lines: list[bytes], spark: SparkSession, tmp_path: Path
) -> None:
    assert sorted(TURNS) == sorted(STREAM_POINTS)
    chance, put, folder = random.Random(SEED), list[bytes](), tmp_path / "begun"
    for number, point in enumerate((*TURNS, None)):
        # given: a stream that grows before each run, and whose shards change
        if number % 2:
            reshard(kinesis, chance)
        more = [*lines[number :: len(TURNS) + 1], b"oops %d" % number]
        kinesis.put("s", *more)
        put += more
        # when
        # Until the tables are what it dies of, one of them is enough; the other takes in what it has missed.
        named = "pageviews" if point in ("folded pageviews", None) else "sessions"
        of_process = really_killed(point, kinesis, folder, named) if point == BY_SIGNAL else None
        left = tmp_path / f"left at {point}"
        with killed_at(point, folder, left) if point else nullcontext():
            drain(Lake(spark, str(folder / "lake")), kinesis, folder, (named,))
        # then
        if of_process:
            assert files_in(of_process) == files_in(left)
        folder = of_process or (left if point else folder)
        is_within = newest(folder / "checkpoint/offsets") > newest(folder / "checkpoint/commits")
        assert is_within or point not in WITHIN_BATCH, point
    lake = Lake(spark, str(folder / "lake"))
    check(lake, unique_events(put, datetime.now(UTC)))
    # The first batch was read three times while the stream grew: each time it was what it had been when it was planned.
    first = unique_events(put[: len(lines[:: len(TURNS) + 1]) + 1], datetime.now(UTC))
    (rows,) = [
        int(commit["operationMetrics"]["numOutputRows"])
        for commit in history(lake, "events", None)
        if said(commit).get("batch") == 0 and int(commit["operationMetrics"].get("numOutputRows", 0))
    ]
    assert rows == first.inserted
    whole = Lake(spark, str(tmp_path / "whole/lake"))
    drain(whole, kinesis, tmp_path / "whole", ("pageviews",))
    for table in ("events", "sessions", "pageviews"):
        assert rows_of(lake, table) == rows_of(whole, table)


def really_killed(point: str, kinesis: FakeKinesis, folder: Path, named: str) -> Path:
    """A copy of the *folder*, of which a follower was killed that was a process of its own."""
    copy = folder.parent / "of a process"
    shutil.copytree(folder, copy)
    code, told = end(follow(kinesis, copy, "--available-now", "--tables", named, crash_at=point))
    assert code == -signal.SIGKILL, told
    (copy / SETTINGS).unlink()
    return copy


class Producer:
    """Puts all of *lines*, some of them twice, and splits and merges shards meanwhile."""

    def __init__(self, kinesis: FakeKinesis, lines: Sequence[bytes]) -> None:
        self._kinesis, self._rest, self._put = kinesis, list(reversed(lines)), list[bytes]()
        self._chance = random.Random(SEED)

    def put(self, most: int) -> None:
        """Put the next ones; where all have been put, copies of them."""
        for _ in range(most):
            is_copy = not self._rest or self._chance.random() < 0.1
            self._put.append(self._chance.choice(self._put) if is_copy and self._put else self._rest.pop())
            self._kinesis.put("s", self._put[-1])

    def go_on(self, seconds: float) -> None:
        """Put some now and then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.put(self._chance.randrange(4))
            if self._chance.random() < 0.1:
                reshard(self._kinesis, self._chance)
            time.sleep(TICK_S)

    def finish(self) -> None:
        """Put the rest."""
        while self._rest:
            self.put(1)


def wait_until(is_so: Callable[[], bool], process: Popen[bytes], producer: Producer | None = None) -> None:
    """Look now and then whether it is so, while the *process* works and the *producer* goes on."""
    deadline = time.monotonic() + END_S
    while not is_so():
        assert process.poll() is None, end(process)
        assert time.monotonic() < deadline
        if producer:
            producer.go_on(TICK_S)
        else:
            time.sleep(TICK_S / 4)


def test_followers_that_are_killed_at_any_moment_take_every_event_of_changing_shards_once(
    kinesis: FakeKinesis, bucket: Path, lines: list[bytes], spark: SparkSession, tmp_path: Path
) -> None:
    chance, producer, tables = random.Random(SEED), Producer(kinesis, lines), ("sessions",)
    offsets, died_within = tmp_path / "checkpoint" / "offsets", 0
    for _ in range(LIVES):
        # given: a follower that has planned a batch of its own
        before = newest(offsets)
        process = follow(kinesis, tmp_path, "--trigger-s", 1, "--fold-every-s", 1, "--tables", *tables)
        wait_until(lambda before=before: newest(offsets) > before, process, producer)
        # when
        producer.go_on(chance.uniform(0, 6))
        kill(process)
        died_within += newest(offsets) > newest(tmp_path / "checkpoint" / "commits")
    assert died_within > 0
    producer.finish()
    # then
    lake = Lake(spark, str(tmp_path / "lake"))
    drain(lake, kinesis, tmp_path, tables)
    check(lake, unique_events(lines, datetime.now(UTC)), pageviews=False)
    assert run_verify(lake, QUIET, tables=tables).is_right
    of_files = run_batch(lake, [f"file:{bucket}"], QUIET, Limits(tables=tables))
    assert (of_files.lines, of_files.inserted) == (len(lines), 0)


def test_a_follower_that_is_told_to_end_by_a_scheduler_ends_as_by_ctrl_c(
    kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """What was read is folded, and noted as done; by SIGTERM, which a scheduler sends to the one process it knows."""
    kinesis.put("s", *lines[:50])
    follower = follow(kinesis, tmp_path, "--trigger-s", 1, "--fold-every-s", 86_400, "--tables", "sessions")
    wait_until(lambda: newest(tmp_path / "checkpoint" / "commits") >= 0, follower)
    follower.terminate()
    code, told = end(follower)
    assert (code, "asked to end" in told) == (0, True), told
    rows = [pq.read_table(file).to_pylist() for file in sorted((tmp_path / "lake" / "runs").rglob("*.parquet"))]
    (row,) = [row for of_file in rows for row in of_file]
    assert (row["outcome"], row["inserted"] > 0, dict(row["rows_touched"])["sessions"] > 0) == ("done", True, True)


def test_files_and_a_stream_that_is_followed_at_the_same_time_end_in_the_tables_of_either(
    kinesis: FakeKinesis, bucket: Path, lines: list[bytes], spark: SparkSession, tmp_path: Path
) -> None:
    # given: the last events are in the stream first, and the first in the files; then both come to the others
    tables, offsets, commits = ("pageviews",), tmp_path / "checkpoint" / "offsets", tmp_path / "checkpoint" / "commits"
    parts = [lines[at : at + 15] for at in range(0, len(lines), 15)]
    half, of_first_slice = len(parts) // 2, tmp_path / "lake" / "ingested_files" / "_delta_log" / f"{1:020}.json"
    kinesis.put("s", *parts.pop())
    follower = follow(kinesis, tmp_path, "--trigger-s", 1, "--fold-every-s", 1, "--tables", *tables)
    wait_until(lambda: newest(commits) == 0, follower)
    both = Lake(spark, str(tmp_path / "lake"))
    with ThreadPoolExecutor() as thread:
        limits = Limits(slice_files=2, tables=tables)
        files = thread.submit(run_batch, both, [f"file:{bucket}"], QUIET, limits)
        while not files.done():
            assert follower.poll() is None, end(follower)
            if len(parts) > (1 if of_first_slice.exists() else half):
                kinesis.put("s", *parts.pop())
            time.sleep(TICK_S)
    assert files.result().files == len(list(bucket.rglob("*.gz")))
    # when: it is asked to end in the middle of a batch, as by a terminal, which asks all that it has started
    for part in parts:
        kinesis.put("s", *part)
    wait_until(lambda: newest(offsets) > newest(commits), follower)
    os.killpg(follower.pid, signal.SIGINT)
    code, told = end(follower)
    assert (code, "asked to end" in told) == (0, True), told
    drain(both, kinesis, tmp_path, tables)
    # then
    doors = {row["job"] for row in both.read("runs").where("inserted > 0").collect()}
    assert doors == {"batch", "stream"}
    of_files, of_stream = (Lake(spark, str(tmp_path / name)) for name in ("files", "stream"))
    run_batch(of_files, [f"file:{bucket}"], QUIET, Limits(tables=tables))
    (tmp_path / "alone").mkdir()
    drain(of_stream, kinesis, tmp_path / "alone", tables)
    for table in ("events", "sessions", "pageviews"):
        assert rows_of(both, table) == rows_of(of_files, table) == rows_of(of_stream, table)
