"""What can happen to the files of a bucket while a run reads them, and between two runs."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from parsely_spark import ingest
from parsely_spark.errors import LakeError, SourceError
from parsely_spark.pipelines.batch import Limits, Summary, run_batch
from parsely_spark.progress import Progress
from parsely_spark.sources import lines
from parsely_spark.sources.lines import read_lines
from parsely_spark.sources.s3 import RawFile, list_files, slices_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from parsely_spark.tables.catalog import Lake

START_MS = 1_768_392_000_000  # 2026-01-14 12:00 UTC
HOUR = "events/2026/01/14/12"


def event(number: int, **fields: object) -> str:
    """A line that is a pageview."""
    at = START_MS + 1000 * number
    usual: dict[str, object] = {"apikey": "x", "event_id": f"e{number}", "action": "pageview"}
    usual |= {"timestamp_info_nginx_ms": at, "visitor_site_id": "v", "session_id": 1, "session_timestamp": START_MS}
    return json.dumps(usual | fields)


class Bucket:
    """A folder of raw events, and runs over it."""

    def __init__(self, folder: Path, lake: Lake) -> None:
        self.folder, self.lake = folder, lake

    def put(self, name: str, *lines: str) -> Path:
        """Write a chunk of these lines."""
        return self.put_bytes(name, gzip.compress("".join(f"{line}\n" for line in lines).encode()))

    def put_bytes(self, name: str, content: bytes) -> Path:
        """Write an object as it is."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, **limits: Any) -> Summary:
        """One run over all of it."""
        return run_batch(
            self.lake, [f"file:{self.folder}"], Progress(is_terminal=False), Limits(tables=("sessions",), **limits)
        )

    def ids(self) -> list[str]:
        """The ids of the events in the table."""
        return sorted(row["event_id"] for row in self.lake.read("events").select("event_id").collect())

    def ledger(self) -> dict[str, Any]:
        """The newest row of the ledger for each object, by name."""
        rows = self.lake.read("ingested_files").orderBy("ingested_at").collect()
        return {row["path"].rsplit("/", 1)[1]: row.asDict() for row in rows}


@pytest.fixture
def bucket(lake: Lake, tmp_path: Path) -> Bucket:
    """An empty one, with a lake of its own."""
    (tmp_path / "bucket").mkdir()
    return Bucket(tmp_path / "bucket", lake)


def test_an_hour_without_events_is_a_run_like_any_other(bucket: Bucket) -> None:
    bucket.put(f"{HOUR}/a.gz", event(1))
    bucket.run()
    bucket.put(f"{HOUR}/b.gz", "oops", "", " ")
    bucket.put(f"{HOUR}/c.gz")
    for _ in range(2):
        summary = bucket.run()
    assert (summary.files, summary.known) == (0, 3)
    assert [row["line"] for row in bucket.lake.read("rejected_lines").collect()] == ["oops"]
    assert (bucket.ledger()["b.gz"]["rejected"], bucket.ledger()["b.gz"]["blank"]) == (1, 2)
    assert bucket.ledger()["c.gz"]["lines"] == 0


@pytest.mark.parametrize("name", ["part[1].gz", "p{1,2}.gz", "a*b.gz", "a b%20c+d.gz", "a?b#c.gz", "ünï.gz"])
def test_a_name_is_a_name_and_no_pattern(bucket: Bucket, name: str) -> None:
    bucket.put(f"{HOUR}/{name}", event(1))
    for number, like in enumerate(["part1.gz", "p1.gz", "axb.gz"], 2):
        bucket.put(f"{HOUR}/{like}", event(number))
    summary = bucket.run()
    assert (summary.files, summary.lines, summary.inserted) == (4, 4, 4)
    assert bucket.ledger()[name]["lines"] == 1


def test_a_source_is_a_name_and_no_pattern(bucket: Bucket, tmp_path: Path) -> None:
    bucket.folder = tmp_path / "a[b]{c,d}"
    bucket.put(f"{HOUR}/a.gz", event(1))
    Bucket(tmp_path / "ab{c,d}", bucket.lake).put(f"{HOUR}/b.gz", event(2))
    assert bucket.run().inserted == 1


def test_slices_are_committed_one_by_one(bucket: Bucket) -> None:
    for number in range(5):
        bucket.put(f"{HOUR}/{number}.gz", event(number))
    summary = bucket.run(slice_files=2)
    assert (summary.files, summary.inserted) == (5, 5)
    commits = bucket.lake.delta("events").history().where("operation <> 'CREATE TABLE'").collect()
    assert len(commits) == 3


def test_slices_hold_what_fits() -> None:
    files = [RawFile(str(number), size, 0) for number, size in enumerate([6, 4, 1, 30, 2, 2, 2])]
    sizes = [[file.size_bytes for file in part] for part in slices_of(files, bytes_each=10, files_each=2)]
    assert sizes == [[6, 4], [1], [30], [2, 2], [2]]
    assert slices_of([], bytes_each=1, files_each=1) == []


def test_only_the_hours_asked_for_are_read(bucket: Bucket) -> None:
    for number, folder in enumerate(["2026/01/13/23", "2026/01/14/00", "2026/01/14/05", "2026/01/14/06", "2026/01/14"]):
        bucket.put(f"events/{folder}/a.gz", event(number))
    summary = bucket.run(begin="2026/01/14/00", end="2026/01/14/06")
    assert summary.files == 3
    assert bucket.ids() == ["e1", "e2", "e4"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None], *, times: int = 1) -> None:
    """Let something happen once the files are read, before it is looked whether they stayed as they were."""
    left = [times]

    def changed_since(spark: SparkSession, files: Sequence[RawFile]) -> tuple[str, ...]:
        if left[0]:
            left[0] -= 1
            happens()
        return look(spark, files)

    look = ingest.changed_since
    monkeypatch.setattr(ingest, "changed_since", changed_since)


def test_a_file_that_grows_while_it_is_read_is_read_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put(f"{HOUR}/a.gz", event(1))
    meanwhile(monkeypatch, lambda: bucket.put(f"{HOUR}/a.gz", event(1), event(2), event(3)) and None)
    summary = bucket.run()
    assert bucket.ids() == ["e1", "e2", "e3"]
    assert (summary.lines, summary.inserted) == (3, 3)


def test_chunks_that_become_one_file_while_they_are_read_are_found_there(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = [bucket.put(f"{HOUR}/{number}.gz", event(number)) for number in range(3)]

    def compact() -> None:
        bucket.put(f"{HOUR}/data.gz", *[event(number) for number in range(4)])
        for chunk in chunks:
            chunk.unlink()

    meanwhile(monkeypatch, compact)
    summary = bucket.run()
    assert bucket.ids() == ["e0", "e1", "e2", "e3"]
    assert (summary.files, summary.inserted, list(bucket.ledger())) == (1, 4, ["data.gz"])


def test_a_file_that_never_stays_as_it_is_ends_the_run_by_its_name(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bucket.put(f"{HOUR}/a.gz", event(0))
    size = [1]

    def grow() -> None:
        size[0] += 1
        bucket.put(f"{HOUR}/a.gz", *[event(number) for number in range(size[0])])

    meanwhile(monkeypatch, grow, times=100)
    with pytest.raises(SourceError, match=r"a\.gz: it changed 4 times while it was read; run again") as told:
        bucket.run()
    assert str(told.value).startswith(f"file:{path}")
    assert bucket.ids() == []
    (run,) = bucket.lake.read("runs").collect()
    assert (run["outcome"], run["error"]) == ("failed", str(told.value))


BROKEN = {
    "cut off": lambda whole: whole[: len(whole) // 2],
    "wrong checksum": lambda whole: whole[:-8] + bytes(4) + whole[-4:],
    "not gzip": lambda whole: b"not gzip at all",
    "rubbish behind": lambda whole: whole + b"rubbish",
}


def test_broken_files_are_left_out_by_name_and_heal(bucket: Bucket) -> None:
    # given: whole files and one broken in each way
    for number, (how, breaks) in enumerate(BROKEN.items(), 10):
        whole = gzip.compress("".join(f"{event(100 * number + n)}\n" for n in range(50)).encode())
        bucket.put_bytes(f"{HOUR}/{how}.gz", breaks(whole))
    bucket.put(f"{HOUR}/a.gz", event(1))
    bucket.put(f"{HOUR}/z.gz", event(2))
    # when, then: the run goes on without them, and says which
    summary = bucket.run()
    assert bucket.ids() == ["e1", "e2"]
    assert sorted(path.rsplit("/", 1)[1] for path in summary.quarantined) == sorted(f"{how}.gz" for how in BROKEN)
    assert "cut off.gz: it ends too early" in bucket.ledger()["cut off.gz"]["error"]
    assert bucket.lake.read("runs").collect()[0]["outcome"] == "incomplete"
    # the next run does not look at that version again
    assert bucket.run().quarantined == {}
    # a whole one in its place is read
    bucket.put(f"{HOUR}/cut off.gz", event(3))
    assert (bucket.run().inserted, bucket.ids()) == (1, ["e1", "e2", "e3"])
    assert bucket.ledger()["cut off.gz"]["error"] is None
    # and one that was taken away is not left out any more: each run notes what it left out of its own listing
    (bucket.folder / HOUR / "not gzip.gz").unlink()
    bucket.run(begin="2026/01/14/00", end="2026/01/15/00")
    noted = [row["listed"] for row in bucket.lake.read("runs").orderBy("started_at").collect()]
    left_out = [[path.rsplit("/", 1)[1].removesuffix(".gz") for path in listed["left_out"]] for listed in noted]
    assert left_out == [
        sorted(BROKEN),
        sorted(BROKEN),
        ["not gzip", "rubbish behind", "wrong checksum"],
        ["rubbish behind", "wrong checksum"],
    ]
    assert {tuple(listed["sources"]) for listed in noted} == {(f"file:{bucket.folder}",)}
    assert [listed["until"] and listed["until"] - listed["since"] for listed in noted] == [None] * 3 + [timedelta(1)]


def test_a_file_of_very_many_hours_is_left_out_until_that_is_said_to_be_right(bucket: Bucket) -> None:
    """Each hour is a partition; a broken clock must not make thousands."""
    # Every other takes the second look, for the type of a value.
    hours = [
        event(number, timestamp_info_nginx_ms=START_MS - 3_600_000 * number, session_id=[1, "1"][number % 2])
        for number in range(30)
    ]
    bucket.put(f"{HOUR}/wild.gz", *hours)
    bucket.put(f"{HOUR}/tame.gz", event(100))
    summary = bucket.run(file_hours=29)
    (told,) = summary.quarantined.values()
    assert "wild.gz: its events are of 30 different hours between 2026-01-13 and 2026-01-14, at most 29 were" in told
    assert bucket.ids() == ["e100"]
    assert bucket.run(file_hours=30).inserted == 0
    assert bucket.run(file_hours=30, retry=True).inserted == 30


# --- lines and files that are too large ---------------------------------------------------------------------------


def test_a_line_that_nobody_can_hold_costs_nothing_but_itself(bucket: Bucket) -> None:
    """100 MB of one letter in 100 kB of gzip, alone, between events, at the end, and in a file of several members."""
    bomb = b"a" * 100 * 2**20
    before, behind = (f"{event(number)}\n".encode() for number in (1, 2))
    bucket.put_bytes(f"{HOUR}/alone.gz", gzip.compress(bomb))
    bucket.put_bytes(f"{HOUR}/between.gz", gzip.compress(before + bomb + b"\n" + behind))
    bucket.put_bytes(f"{HOUR}/parts.gz", gzip.compress(before + bomb) + gzip.compress(b"\n" + behind))
    whole = "".join(f"{event(number, padding='x' * 400_000)}\n" for number in range(50)).encode()
    bucket.put_bytes(f"{HOUR}/whole.gz", gzip.compress(whole))
    bucket.put_bytes(f"{HOUR}/whole parts.gz", gzip.compress(whole[:1000]) + gzip.compress(whole[1000:-1]))
    # What it says of its end is less than a long line more than what was read of its beginning.
    bucket.put_bytes(f"{HOUR}/two.gz", gzip.compress(whole) + gzip.compress(b"a" * 30 * 2**20 + b"\n"))
    summary = bucket.run()
    assert (summary.lines, summary.rejected, summary.inserted) == (1 + 3 + 3 + 50 + 50 + 51, 4, 50)
    rows = bucket.lake.read("rejected_lines").collect()
    assert {(row["reason"], row["line"]) for row in rows} == {("too_long", None)}
    assert sorted(row["source"].rsplit("/", 1)[1] for row in rows) == ["alone.gz", "between.gz", "parts.gz", "two.gz"]
    assert (bucket.ledger()["between.gz"]["lines"], bucket.ledger()["between.gz"]["rejected"]) == (3, 1)
    # again: all of it is known
    shutil.copytree(bucket.folder / HOUR, bucket.folder / "events/2026/01/14/13")
    assert bucket.run().inserted == 0


def test_the_lines_of_a_large_file_are_read_by_several_tasks(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_LARGE_BYTES", 1000)
    monkeypatch.setattr(lines, "BYTES_PER_TASK", 500)
    path = bucket.put(f"{HOUR}/large.gz", *[event(number, url=md5(b"%d" % number).hexdigest()) for number in range(99)])
    bucket.put(f"{HOUR}/small.gz", event(100))
    files = list_files(bucket.lake.spark, [f"file:{bucket.folder}"]).files
    read = read_lines(bucket.lake.spark, files)
    shares = read.groupBy(F.spark_partition_id()).count().collect()
    assert sum(share["count"] for share in shares) == 100
    assert len(shares) >= path.stat().st_size // 500 > 3
    assert bucket.run().inserted == 100


# --- the tables -------------------------------------------------------------------------------------------------


def test_a_run_that_died_while_it_made_a_table_is_no_hindrance(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(f"{HOUR}/a.gz", event(1))
    (tmp_path / "new/events/_delta_log").mkdir(parents=True)
    bucket.lake = type(bucket.lake)(bucket.lake.spark, str(tmp_path / "new"))
    assert bucket.run().inserted == 1


def test_two_sessions_whose_keys_are_of_one_text_stay_two(bucket: Bucket) -> None:
    bucket.put(f"{HOUR}/a.gz", event(1, apikey="x", session_id=1, visitor_site_id="2_v"))
    bucket.run()
    bucket.put(f"{HOUR}/b.gz", event(2, apikey="x_1", session_id=2, visitor_site_id="v"))
    bucket.run()
    bucket.put(f"{HOUR}/c.gz", event(3, apikey="x", session_id=1, visitor_site_id="2_v"))
    bucket.run()
    rows = {(row["visitor_site_id"], row["events"]) for row in bucket.lake.read("sessions").collect()}
    assert rows == {("2_v", 2), ("v", 1)}


@pytest.mark.parametrize("what", ["deleted", "restored", "made anew"])
def test_what_the_folds_cannot_follow_is_an_error_that_names_rebuild(bucket: Bucket, what: str) -> None:
    bucket.put(f"{HOUR}/a.gz", event(1))
    bucket.run()
    bucket.put(f"{HOUR}/b.gz", event(2))
    if what == "deleted":
        bucket.lake.delta("events").delete()
    elif what == "restored":
        bucket.run()
        bucket.lake.delta("sessions").restoreToVersion(1)
    else:
        bucket.run()
        shutil.rmtree(f"{bucket.lake.place}/events")
    with pytest.raises(LakeError, match=r"run `parsely-spark rebuild"):
        bucket.run()
