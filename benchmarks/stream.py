"""How late events are in the tables, and how many go through: `benchmarks/stream.py [--seconds N] [--cases ...]`.

A case is `SHARDSxMIB/s@TRIGGERs`, as `1x0.5@10`: so many shards, each of which is given so many MiB of records a
second, followed by `parsely-spark stream --trigger-s` in a process of its own. Time runs from the arrival of a record
at Kinesis (the tests' server, in this process) to the commit of `events` that holds it. What comes before the first
commits of `events` and `sessions` is warming up. The follower is stopped when all is in the table, so the rate at which
it went through is that of what was put, if it kept up, and less if a backlog had to be worked off. The table is printed
as Markdown.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fake_kinesis import FakeKinesis, fake_kinesis

from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import changes, version_of
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_CASES = ("1x0.5@10", "1x0.5@2", "1x0.5@30", "4x1@10", "10x1@10", "10x1@30")
_TICK_S = 0.1
_WARM_S = 600.0  # until the first commit, at most
_MIB = 2**20
_BYTES_PER_EVENT = 3_900


class Case(NamedTuple):
    """What is put, and how it is followed."""

    shards: int
    mib_per_s: float  # each
    trigger_s: int

    @classmethod
    def of(cls, text: str) -> Case:
        """By its name."""
        shards, _, rest = text.partition("x")
        rate, _, trigger = rest.partition("@")
        return cls(int(shards), float(rate), int(trigger))

    def __str__(self) -> str:
        return f"{self.shards}x{self.mib_per_s:g}@{self.trigger_s}"


class Producer(threading.Thread):
    """Puts events at a steady rate, and keeps when each arrived."""

    def __init__(self, kinesis: FakeKinesis, events: Iterator[bytes], bytes_per_s: float) -> None:
        super().__init__(daemon=True)
        self.kinesis, self.events, self.bytes_per_s = kinesis, events, bytes_per_s
        self.arrived: dict[str, float] = {}
        self.put = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        begin = time.monotonic()
        while not self.is_over.wait(_TICK_S):
            due = (time.monotonic() - begin) * self.bytes_per_s
            while self.put < due and (line := next(self.events, None)):
                self.kinesis.put("s", line)
                self.arrived[json.loads(line)["event_id"]] = time.time()
                self.put += len(line)

    def end(self) -> None:
        """Put no more."""
        self.is_over.set()
        self.join()


def measure(case: Case, events: Iterator[bytes], seconds: int, folder: Path) -> str:
    """Run one case; return its row of the table."""
    lake = folder / f"lake {case}".replace(" ", "-").replace("@", "-")
    with fake_kinesis() as kinesis:
        kinesis.create("s", shards=case.shards)
        command = ["stream", "--stream", "s", "--region", "us-east-1", "--endpoint-url", kinesis.url, "--lake", lake]
        command += ["--checkpoint", f"{lake}-checkpoint", "--trigger-s", case.trigger_s, "--tables", "sessions"]
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        with Path(f"{lake}.log").open("w") as log:
            follower = subprocess.Popen(
                [sys.executable, "-m", "parsely_spark", *map(str, command)], env={**os.environ, **keys}, stderr=log
            )
        # A few events at first, so that what is cold is warm before anything is measured.
        first = Producer(kinesis, events, 20_000)
        first.start()
        _wait_for(lake / "events/_delta_log" / f"{1:020}.json", follower)
        _wait_for(lake / "sessions/_delta_log" / f"{1:020}.json", follower)
        first.end()
        producer = Producer(kinesis, events, case.shards * case.mib_per_s * _MIB)
        began = time.time()
        producer.start()
        time.sleep(seconds)
        producer.end()
        ended = time.time()
        _wait_until_inserted(lake, len(first.arrived | producer.arrived), follower)
        through = time.time()
        follower.send_signal(signal.SIGINT)
        follower.wait(_WARM_S)
    late = _late(lake, producer.arrived)
    assert len(late) == len(producer.arrived), f"{len(producer.arrived) - len(late)} events are not in the table"
    parts = quantiles(late, n=100)
    put, went = producer.put / (ended - began), producer.put / (through - began)
    return (
        f"| {case.shards} | {case.trigger_s} | {put / _MIB:.1f} | {went / _MIB:.1f} "
        f"| {len(producer.arrived) / (through - began):,.0f} | {parts[49]:.1f} | {parts[94]:.1f} | {max(late):.1f} |"
    )


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _WARM_S
    while not path.exists():
        assert process.poll() is None, "the follower has ended; see its log"
        assert time.monotonic() < until, f"no {path} after {_WARM_S} s"
        time.sleep(0.2)


def _wait_until_inserted(lake: Path, events: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the commits of the table have brought so many; that nothing is lost is what this fails by, too."""
    until = time.monotonic() + _WARM_S
    while (inserted := sum(_inserted(log) for log in (lake / "events/_delta_log").glob("*.json"))) < events:
        assert process.poll() is None, "the follower has ended; see its log"
        assert time.monotonic() < until, f"{inserted:,} of {events:,} events after {_WARM_S} s"
        time.sleep(0.5)


def _inserted(commit: Path) -> int:
    said = [json.loads(line) for line in commit.read_text().splitlines() if line.startswith('{"commitInfo"')]
    counts = said[0]["commitInfo"].get("operationMetrics", {}) if said else {}
    return int(counts.get("numTargetRowsInserted", counts.get("numOutputRows", 0)))


def _late(lake: Path, arrived: dict[str, float]) -> list[float]:
    """Seconds from the arrival of each event to the commit that holds it."""
    spark = get_session("benchmark", SparkSettings())
    there = Lake(spark, str(lake))
    feed = changes(there, "events", 1, version_of(there, "events"))
    rows = feed.selectExpr("event_id", "unix_millis(_commit_timestamp) / 1000 AS at").collect()
    return [row["at"] - arrived[row["event_id"]] for row in rows if row["event_id"] in arrived]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=90, help="for which each case puts records")
    parser.add_argument("--cases", nargs="+", default=USUAL_CASES, type=str, metavar="CASE")
    asked = parser.parse_args()
    cases = [Case.of(text) for text in asked.cases]
    most = max(case.shards * case.mib_per_s for case in cases) * _MIB * asked.seconds
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder, "bucket"), events=int(1.1 * most / _BYTES_PER_EVENT) + 60_000, hours=6, seed=1)
        files = sorted(Path(folder, "bucket").rglob("*.gz"))
        columns = ("put, MiB/s", "through, MiB/s", "events/s", "half within, s", "95 % within, s", "all within, s")
        print("| shards | trigger, s |", " | ".join(columns), "|")
        print("|---" * 8 + "|", flush=True)
        for case in cases:
            lines = (line for file in files for line in gzip.decompress(file.read_bytes()).splitlines())
            print(measure(case, lines, asked.seconds, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
