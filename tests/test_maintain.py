"""Upkeep changes how rows lie, and nothing that anybody reads; what somebody may still need stays."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from lakes import rows_of
from plain_events import events
from programs import end, start
from pyspark.sql import functions as F

from parsely_spark.jvm import FAILURES
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.maintain import Care, run_maintain
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.settings import MaintainSettings
from parsely_spark.tables import gaps
from parsely_spark.tables.catalog import TABLES, Lake
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.compaction import MOST_SMALL_FILES
from parsely_spark.tables.folding import fold_new_events
from parsely_spark.tables.folds.posts import POSTS
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.ledger import ingested_versions, record_files, record_run
from parsely_spark.tables.vacuum import kept_for, vacuum
from parsely_spark.tables.write import insert_events
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
insert = partial(insert_events, are_few=True)
HOUR_S = 3600
NO_VACUUM = Care(vacuums=False)
A_WEEK = timedelta(days=7)


def files_of(lake: Lake, table: str, hour: str = "") -> list[Path]:
    return [Path(path.removeprefix("file:")) for path in lake.read(table).inputFiles() if hour in path]


def fill(lake: Lake, hours_after_noon: int, *, files: int = MOST_SMALL_FILES + 1) -> None:
    """Add so many files to one hour, each with an event of two visitors."""
    rows = [
        {"event_id": f"{at} {visitor}", "at": at, "visitor_site_id": visitor, "session_id": hours_after_noon}
        for at in range(hours_after_noon * HOUR_S, hours_after_noon * HOUR_S + files)
        for visitor in "ab"
    ]
    apart = events(lake.spark, *rows).repartitionByRange(files, "event_at")
    apart.write.format("delta").mode("append").saveAsTable(lake.name_of("events"))


def test_small_files_of_a_closed_hour_become_one_sorted_by_visitor_and_those_of_an_open_one_stay(
    spark: SparkSession, lake: Lake
) -> None:
    # given
    fill(lake, 0)
    fold_new_events(lake, SESSIONS, run_id="1")
    fill(lake, 72)
    before = rows_of(lake, "events")
    # when
    done = run_maintain(lake, QUIET, NO_VACUUM)
    # then
    (one,) = files_of(lake, "events", "date=2026-01-14/hour=12")
    assert len(files_of(lake, "events", "date=2026-01-17")) == MOST_SMALL_FILES + 1
    assert pq.read_table(one, columns=["visitor_site_id"])[0].to_pylist() == sorted("ab" * (MOST_SMALL_FILES + 1))
    assert rows_of(lake, "events") == before
    upkeep = done.tables["events"]
    few = MOST_SMALL_FILES + 1
    assert (upkeep.files_before, upkeep.rewritten, upkeep.files) == (2 * few, few, 1 + few)
    # and: no change to a fold that is behind, and to one that is not
    fold_new_events(lake, SESSIONS, run_id="2")
    fold_new_events(lake, POSTS, run_id="2")
    assert run_verify(lake, QUIET, tables=("sessions", "posts")).is_right
    # and: nothing more to do
    versions = {table: version_of(lake, table) for table in TABLES if table != "runs"}
    again = run_maintain(lake, QUIET, NO_VACUUM)
    assert {table: version_of(lake, table) for table in versions} == versions
    assert {upkeep.rewritten for upkeep in again.tables.values()} == {0}
    (noted,) = lake.read("runs").where(F.col("run_id") == again.run_id).collect()
    assert (noted["job"], noted["outcome"], noted["error"]) == ("maintain", "done", None)


def test_a_late_event_of_a_closed_hour_is_no_reason_to_write_it_again(spark: SparkSession, lake: Lake) -> None:
    fill(lake, 0)
    fill(lake, 72, files=1)
    run_maintain(lake, QUIET, NO_VACUUM)
    insert(lake, events(spark, {"event_id": "late", "at": 60}), says={"run_id": "late"})
    version = version_of(lake, "events")
    assert run_maintain(lake, QUIET, NO_VACUUM).tables["events"].rewritten == 0
    assert version_of(lake, "events") == version
    for number in range(MOST_SMALL_FILES):
        late = {"event_id": f"later {number}", "at": 61 + number}
        insert(lake, events(spark, late), says={"run_id": f"later {number}"})
    assert run_maintain(lake, QUIET, NO_VACUUM).tables["events"].rewritten == MOST_SMALL_FILES + 2


def test_files_that_a_table_that_is_behind_still_needs_stay(spark: SparkSession, lake: Lake) -> None:
    # given: files that a fold has not read are no longer part of events
    insert(lake, events(spark, {"event_id": "first"}), says={"run_id": "0"})
    fold_new_events(lake, SESSIONS, run_id="1")
    fill(lake, 0)
    run_maintain(lake, QUIET, Care(vacuums=False, open_hours=-1))
    assert len(files_of(lake, "events")) == 1
    now = datetime.now(UTC)
    # when
    kept = kept_for(lake, timedelta(0), now=now + A_WEEK)
    # then
    assert 7 * 24 + 1 <= kept.hours <= 7 * 24 + 2
    assert kept.because.startswith("sessions lack events of ")
    assert kept_for(lake, 2 * A_WEEK, now=now + A_WEEK).because == ""
    vacuum(lake, "events", hours=kept_for(lake, timedelta(0), now=now).hours)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("parsely_spark.tables.folding._merge", lambda *_, **__: 0)
        assert fold_new_events(lake, SESSIONS, run_id="can be read") == 0
    # and: once it has them, only what was asked for is kept
    copy = Lake(spark, f"{lake.place} copy")
    shutil.copytree(lake.place, copy.place)
    fold_new_events(lake, SESSIONS, run_id="2")
    assert kept_for(lake, timedelta(0), now=now + A_WEEK).hours <= 1  # and that for the run of a minute
    assert vacuum(lake, "events", hours=0) == MOST_SMALL_FILES + 2
    assert run_verify(lake, QUIET, tables=("sessions",)).is_right
    # and: where nobody counts the hours, they are gone
    vacuum(copy, "events", hours=0)
    with pytest.raises(FAILURES, match=r"does not exist|FileNotFound|FILE_NOT_EXIST"):
        fold_new_events(copy, SESSIONS, run_id="3")


def test_files_stay_for_longer_than_the_longest_run_takes(lake: Lake) -> None:
    now = datetime.now(UTC)
    for took_h, ago in ((30, timedelta(days=2)), (900, timedelta(days=40))):
        at = now - ago
        record_run(
            lake, {"run_id": str(took_h), "job": "batch", "started_at": at - timedelta(hours=took_h), "ended_at": at}
        )
    assert kept_for(lake, timedelta(hours=1), now=now).hours == 60
    assert "longest run" in kept_for(lake, timedelta(hours=1), now=now).because
    assert kept_for(lake, A_WEEK, now=now).hours == 7 * 24


def stream_row(at: datetime, **more: Any) -> dict[str, Any]:
    batches = [(1, at, 10, 100, 5, 7)]
    counts = {"lines": 10, "inserted": 8, "duplicate": 1, "rejected": 1, "blank": 0}
    usual = {"run_id": "s", "job": "stream", "outcome": "running", "batches": batches, "lag_ms": at.minute}
    return {**usual, **counts, "started_at": at, "ended_at": at + timedelta(minutes=1), "unknown_fields": [], **more}


def test_the_minutes_of_a_stream_become_one_row_a_day_and_what_is_asked_of_them_stays(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    insert(lake, events(lake.spark, *[{} for _ in range(3)]), says={"run_id": "1"})
    now = datetime.now(UTC)
    old, older = (now - timedelta(days=days) for days in (91, 92))
    gap = [("shard", old - timedelta(hours=2), old - timedelta(hours=1))]
    rows = [*[stream_row(at.replace(hour=1, minute=m)) for at in (old, older) for m in range(3)]]
    rows += [stream_row(old, outcome="gap", gaps=gap), stream_row(now), stream_row(old, outcome="done")]
    rows += [{"run_id": "b", "job": "batch", "outcome": "done", "started_at": old, "ended_at": old}]
    for row in rows:
        record_run(lake, row)
    noted = lake.read("runs").agg(F.sum("inserted"), F.sum("lines"), F.sum("rejected")).collect()
    open_gaps = gaps.read_open_gaps(lake)
    assert len(open_gaps) == 1
    # when
    done = run_maintain(lake, QUIET, NO_VACUUM)
    # then
    assert done.tables["runs"].trimmed == 6
    runs = lake.read("runs").where("job <> 'maintain'")
    assert runs.count() == len(rows) - 6 + 2
    assert runs.agg(F.sum("inserted"), F.sum("lines"), F.sum("rejected")).collect() == noted
    assert gaps.read_open_gaps(lake) == open_gaps
    (row,) = runs.where((F.col("date") == older.date()) & (F.col("job") == "stream")).collect()
    assert (row["run_id"], row["inserted"], row["lag_ms"], row["batches"]) == ("s", 24, 2, None)
    # and: once
    assert run_maintain(lake, QUIET, NO_VACUUM).tables["runs"].trimmed == 0


def test_of_the_ledger_no_object_goes_unless_that_was_asked_for_and_then_nothing_comes_twice(
    spark: SparkSession, lake: Lake, tmp_path: Path
) -> None:
    # given: three objects of which one lies and was read long ago, one only lies there, and one was left out
    for day in ("2019/01/14", "2026/01/14"):
        chunk = tmp_path / "events" / day / "12" / "chunk.gz"
        chunk.parent.mkdir(parents=True)
        line = {"apikey": "a.example", "event_id": day, "timestamp_info_nginx_ms": 1_768_392_000_000}
        chunk.write_bytes(gzip.compress(json.dumps(line).encode()))
    limits = Limits(tables=("posts",))
    run_batch(lake, [str(tmp_path)], QUIET, limits)
    ledger = lake.delta("ingested_files")
    long_ago = datetime.now(UTC) - timedelta(days=500)
    ledger.update(F.lit(True), {"ingested_at": F.lit(long_ago)})
    record_files(lake, [{"path": "s/2019/01/14/01/x.gz", "error": "broken", "ingested_at": long_ago}], run_id="1")
    run_maintain(lake, QUIET, NO_VACUUM)
    assert lake.read("ingested_files").count() == 3
    # when
    done = run_maintain(lake, QUIET, Care(vacuums=False, ledger_days=400))
    # then
    assert done.tables["ingested_files"].trimmed == 1 + (
        date(2026, 1, 14) < (datetime.now(UTC) - timedelta(400)).date()
    )
    known = {path for path, _, _ in ingested_versions(lake, [f"file:{p}" for p in tmp_path.rglob("*.gz")])}
    assert not any("/2019/" in path for path in known)
    assert lake.read("ingested_files").where("error = 'broken'").count() == 1
    again = run_batch(lake, [str(tmp_path)], QUIET, limits)
    assert (again.files, again.inserted) == (2 - len(known), 0)
    assert lake.read("ingested_files").agg(F.sum("inserted")).collect()[0][0] == 2
    assert run_verify(lake, QUIET, tables=("posts",)).is_right


@pytest.mark.parametrize(
    ("given", "does"),
    [
        ({}, (True, True)),
        ({"optimize": True}, (True, False)),
        ({"vacuum": True}, (False, True)),
        ({"vacuum": False}, (True, False)),
        ({"optimize": False}, (False, True)),
        ({"optimize": True, "vacuum": True}, (True, True)),
        ({"optimize": False, "vacuum": False}, (False, False)),
    ],
)
def test_what_is_said_is_done_and_all_where_nothing_is(given: dict[str, bool], does: tuple[bool, bool]) -> None:
    settings = MaintainSettings(lake="lake", **given)
    assert (settings.optimizes, settings.vacuums) == does


def test_upkeep_and_a_run_at_the_same_time_both_succeed(spark: SparkSession, tmp_path: Path) -> None:
    """Also in the same partitions, over and over; and standard output is the summary alone."""
    # given: an hour of small files, and a run that writes to them once more
    generate(tmp_path / "bucket", events=900, hours=3, seed=8)
    lake = Lake(spark, str(tmp_path / "lake"))
    tables = ("sessions", "posts")
    chunks = sorted((tmp_path / "bucket").glob("events/**/*.gz"))
    for chunk in chunks[:6]:
        target = tmp_path / "first" / chunk.relative_to(tmp_path / "bucket")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(chunk, target)
        run_batch(lake, [str(tmp_path / "first")], QUIET, Limits(tables=tables))
    # when
    batch = start(
        tmp_path, "batch", "--source", tmp_path / "bucket", "--lake", lake.place, "--tables", ",".join(tables)
    )
    rewritten = 0
    while batch.poll() is None:
        done = run_maintain(lake, QUIET, Care(open_hours=-24))
        rewritten += sum(upkeep.rewritten for upkeep in done.tables.values())
    # then
    code, said = end(batch)
    assert code == 0, said
    assert rewritten > 0
    assert run_verify(lake, QUIET, tables=tables).is_right
    assert lake.read("events").count() == 900
