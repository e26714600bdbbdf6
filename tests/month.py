"""A month of a small site in some hours: what runs by the clock runs hour after hour, and now and then dies.

    make soak                                     this among others
    .venv/bin/python tests/month.py --days 3      a shorter one; --seed repeats one

Each simulated hour a bucket gets the files of an hour, late ones, ones that come again and whole hours put together as
data.gz; a stream gets most of the events as well. `batch` runs each hour, `stream` every sixth, `maintain` each night,
and once a day a `batch` of its own process is killed by SIGKILL at one of the named points. Each week `verify` looks at
the sums, and in the end at every row. The events have to be those that plain Python finds in what was delivered.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import SMALL
from fake_kinesis import FakeKinesis, fake_kinesis
from oracle import unique_events
from programs import end, start
from tabulate import tabulate

from parsely_spark.crash import POINTS
from parsely_spark.kinesis_settings import OURS, KinesisSettings
from parsely_spark.pipelines.batch import run_batch
from parsely_spark.pipelines.maintain import Care, run_maintain
from parsely_spark.pipelines.stream import Pace, run_stream
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings
from parsely_spark.sources.kinesis.readers import reader_of
from parsely_spark.tables.catalog import EVENTS, TABLES, Lake
from parsely_spark.tables.compaction import MOST_SMALL_FILES
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterable

QUIET = Progress(is_terminal=False)
EVENTS_PER_HOUR = 40
OPEN_HOURS = 48
MOST_LATE_H = 30
# Of the medians of a day's runs: the last days against the first ones after the first. A run of a lake of a month
# lists more and reads longer logs, and this machine has other things to do.
MOST_GROWTH = 1.6
MOST_MEMORY_GROWTH = 1.5


@dataclass
class Day:
    """What a simulated day took and left."""

    number: int
    dies_at: int  # the hour
    runs_s: list[float] = field(default_factory=list)
    killed_at: str = ""
    files: int = 0
    lake_mib: float = 0.0
    log_kib_per_commit: float = 0.0
    memory_mib: float = 0.0


class Month:
    """The world that the jobs live in.

    Args:
        folder: for all of it.
        days: how many.
        seed: of what happens.
        kinesis: the server of the stream.
    """

    def __init__(self, folder: Path, days: int, seed: int, kinesis: FakeKinesis) -> None:
        self.folder, self.days, self.kinesis = folder, days, kinesis
        self.random = random.Random(seed)
        self.spark = get_session("month", SparkSettings(spark=SMALL))
        self.lake = Lake(self.spark, str(folder / "lake"))
        generate(folder / "made", events=days * 24 * EVENTS_PER_HOUR, hours=days * 24, seed=seed)
        made = folder / "made"
        self.by_hour: list[list[Path]] = [
            sorted(hour.glob("*.gz")) for hour in sorted(made.glob("events/*/*/*/*")) if hour.is_dir()
        ]
        self.late: dict[int, list[Path]] = {}
        self.delivered: list[bytes] = []  # lines, in files or by the stream
        kinesis.advance(-len(self.by_hour) * 3600)
        kinesis.create("month")

    @property
    def source(self) -> str:
        """Of `batch`."""
        return str(self.folder / "bucket")

    def live(self) -> list[Day]:
        """All days, hour by hour."""
        days = [Day(number, self.random.randrange(24)) for number in range(self.days)]
        for hour in range(self.days * 24):
            day = days[hour // 24]
            self._deliver(hour)
            self.kinesis.advance(3600)
            if hour % 24 == day.dies_at:
                day.killed_at = self._die()
            began = time.monotonic()
            run_batch(self.lake, [self.source], QUIET)
            day.runs_s.append(time.monotonic() - began)
            if hour % 6 == 5:
                self._stream()
            if hour % 24 == 23:
                self._night(day)
                print(told([day]).splitlines()[-1], flush=True)
        return days

    def _deliver(self, hour: int) -> None:
        """The files of the hour, with all that may happen to them; and most of their lines as records."""
        for path in self.by_hour[hour] if hour < len(self.by_hour) else []:
            records = [line for line in _lines(path) if self.random.random() < 0.9]
            for record in records:
                for _ in range(1 + (self.random.random() < 0.02)):
                    self.kinesis.put("month", record)
            self.delivered += records
            due = hour + self.random.randrange(1, MOST_LATE_H) if self.random.random() < 0.1 else hour
            self.late.setdefault(due, []).append(path)
        for path in self.late.pop(hour, []):
            self._put(path.relative_to(self.folder / "made"), path.read_bytes())
        there = sorted((self.folder / "bucket/events").glob("*/*/*/*"))
        if len(there) > 3 and self.random.random() < 0.1:
            again = self.random.choice(sorted(self.random.choice(there[:-2]).glob("*.gz")))
            name = again.with_name(f"again-{hour}-{again.name}").relative_to(self.folder / "bucket")
            self._put(name, again.read_bytes())
        if len(there) > 3 and self.random.random() < 0.05:
            self._put_together(self.random.choice(there[:-2]))

    def _put(self, name: Path, data: bytes) -> None:
        target = self.folder / "bucket" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.delivered += gzip.decompress(data).splitlines()

    def _put_together(self, hour: Path) -> None:
        """As Parse.ly does after some days: one file in the place of many."""
        parts = sorted(hour.glob("*.gz"))
        whole = b"".join(gzip.decompress(part.read_bytes()) for part in parts)
        for part in parts:
            part.unlink()
        (hour / "data.gz").write_bytes(gzip.compress(whole))

    def _die(self) -> str:
        point = self.random.choice(POINTS)
        home = self.folder / "programs"
        home.mkdir(exist_ok=True)
        code, said = end(start(home, "batch", "--source", self.source, "--lake", self.lake.place, crash_at=point))
        # With nothing new to read or to reject, a run does not come by some of the points.
        assert code in (-9, 0), said
        return point if code else f"({point})"

    def _stream(self) -> None:
        options = {"stream": "month", "region": "us-east-1", "endpoint_url": self.kinesis.url}
        reader = reader_of(OURS, KinesisSettings.of_options(options))
        run_stream(self.lake, reader, QUIET, Pace(checkpoint=f"file:{self.folder}/checkpoint", drains=True))

    def _night(self, day: Day) -> None:
        run_maintain(self.lake, QUIET, Care(open_hours=OPEN_HOURS))
        if day.number % 7 == 6:
            assert run_verify(self.lake, QUIET, sample=0.0).is_right
        place = Path(self.lake.place)
        day.files = len(self.lake.read(EVENTS.name).inputFiles())
        day.lake_mib = _size(place) / 2**20
        log = place / EVENTS.name / "_delta_log"
        day.log_kib_per_commit = _size(log) / 2**10 / len(list(log.glob("*.json")))
        day.memory_mib = _memory_mib()


def check(month: Month, days: list[Day]) -> None:
    """What has to be true in the end.

    Raises:
        AssertionError: if it is not.
    """
    run_batch(month.lake, [month.source], QUIET)
    findings = run_verify(month.lake, QUIET)
    assert findings.is_right, (findings.differences, findings.unbalanced)
    wanted = unique_events(month.delivered, _now()).events
    rows = month.lake.read(EVENTS.name).select("apikey", "event_id").collect()
    assert sorted(map(tuple, rows)) == sorted(wanted), f"{len(rows)} events, {len(wanted)} were delivered"
    for table in TABLES.values():
        if "hour" in table.partition_by:
            _check_files(month, table.name)
    thirds = max(1, len(days) // 3)
    if len(days) > 3:
        first, last = days[1 : 1 + thirds], days[-thirds:]
        _check_growth("a run's seconds", [d.runs_s for d in first], [d.runs_s for d in last], MOST_GROWTH)
        _check_growth("MiB", [[d.memory_mib] for d in first], [[d.memory_mib] for d in last], MOST_MEMORY_GROWTH)
        per_commit = [[[d.log_kib_per_commit] for d in some] for some in (first, last)]
        _check_growth("KiB of log for each commit", *per_commit, MOST_GROWTH)


def _check_files(month: Month, table: str) -> None:
    """Few files in each closed partition, after the last night's upkeep; late files have come since."""
    by_cell: dict[str, int] = {}
    for path in month.lake.read(table).inputFiles():
        cell = path.rpartition("/")[0]
        by_cell[cell] = by_cell.get(cell, 0) + 1
    closed = sorted(by_cell)[: -(OPEN_HOURS + 2)]
    most = max((by_cell[cell] for cell in closed), default=0)
    assert most <= MOST_SMALL_FILES + 1, f"{most} files in one closed partition of {table}"


def _check_growth(what: str, first: list[list[float]], last: list[list[float]], most: float) -> None:
    before, after = (statistics.median(value for of in some for value in of) for some in (first, last))
    print(f"{what}: {before:,.1f} in the first days, {after:,.1f} in the last ones, {after / before:.2f} times")
    assert after <= most * before, f"{what} grew to {after / before:.2f} times, at most {most} was expected"


def told(days: Iterable[Day]) -> str:
    """The days as a table."""
    head = (
        "day",
        "runs",
        "median s",
        "longest s",
        "killed at",
        "files of events",
        "lake MiB",
        "KiB/commit",
        "memory MiB",
    )
    rows = [
        (
            day.number + 1,
            len(day.runs_s),
            f"{statistics.median(day.runs_s):.1f}",
            f"{max(day.runs_s):.1f}",
            day.killed_at,
            day.files,
            f"{day.lake_mib:.1f}",
            f"{day.log_kib_per_commit:.1f}",
            f"{day.memory_mib:,.0f}",
        )
        for day in days
    ]
    return tabulate(rows, headers=head, tablefmt="simple", disable_numparse=True)


def _lines(path: Path) -> list[bytes]:
    return [line for line in gzip.decompress(path.read_bytes()).splitlines() if line]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _memory_mib() -> float:
    """Of this process and Spark's, resident."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid()), "--ppid", str(os.getpid())], capture_output=True)
    return sum(map(int, said.stdout.split())) / 2**10


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="A month of a small site.")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    print(f"tests/month.py --days {asked.days} --seed {asked.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="parsely-month-"))
    try:
        with fake_kinesis(asked_by_one=False) as kinesis:
            month = Month(folder, asked.days, asked.seed, kinesis)
            days = month.live()
            print(told(days))
            check(month, days)
            month.spark.stop()
    finally:
        shutil.rmtree(folder)
    print("all is well")


if __name__ == "__main__":
    sys.exit(main())
