"""What `verify` finds and what `rebuild` mends."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.errors import LakeError
from parsely_spark.pipelines import verify
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.rebuild import run_rebuild
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.folding import rebuild_fold
from parsely_spark.tables.folds import USUAL_DEPTHS
from parsely_spark.tables.folds.pageviews import pageviews
from parsely_spark.tables.folds.posts import POST_HOURS
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.ledger import record_files, record_run
from parsely_spark.tables.write import create_missing_tables
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from parsely_spark.transforms.fold import Fold

QUIET = Progress(is_terminal=False)
PAGEVIEWS = pageviews(USUAL_DEPTHS)
TABLES = ("sessions", "pageviews", "post_hours")  # one that others follow, one that follows, one with a sketch


@pytest.fixture(scope="module")
def fed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that was fed in three runs, the latest hours first."""
    folder = tmp_path_factory.mktemp("fed")
    generate(folder / "bucket", events=1500, hours=6, seed=3)
    lake = Lake(spark, str(folder / "lake"))
    hours = sorted("/".join(hour.parts[-4:]) for hour in (folder / "bucket/events").glob("*/*/*/*"))
    bounds = [None, hours[2], hours[4], None]
    for begin, end in reversed(list(pairwise(bounds))):
        run_batch(lake, [f"file:{folder}/bucket/events"], QUIET, Limits(begin=begin, end=end, tables=TABLES))
    return lake


def test_a_lake_fed_in_any_order_is_right(fed: Lake) -> None:
    findings = run_verify(fed, QUIET, tables=TABLES)
    assert findings.differences == []
    assert findings.is_right
    assert findings.rows == {table: fed.read(table).count() for table in ("events", *TABLES)}


def test_a_sample_looks_at_some_rows(fed: Lake) -> None:
    findings = run_verify(fed, QUIET, sample=0.3, tables=("sessions",))
    assert findings.is_right
    sessions = fed.read("sessions").count()
    assert 0.15 * sessions < findings.rows["sessions"] < 0.45 * sessions


def test_the_sums_of_events_are_those_of_sessions_and_of_nobody(fed: Lake) -> None:
    totals = run_verify(fed, QUIET, sample=0.0, tables=("sessions",)).totals["sessions"]
    events = fed.read("events")
    actions = {"pageviews": "pageview", "videostarts": "videostart", "conversions": "conversion"}
    for name, action in actions.items():
        total = totals[name]
        assert total.stored == total.expected
        assert total.expected + total.rest == events.where(F.col("action") == action).count()
    seconds = events.where("action = 'heartbeat'").agg(F.sum("engaged_time_inc")).collect()[0][0]
    assert totals["engaged_s"].expected + totals["engaged_s"].rest == seconds
    assert totals["engaged_s"].rest > 0


def test_a_sum_shows_what_a_sample_passes_over(fed: Lake, spark: SparkSession, tmp_path: Path) -> None:
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    lake.spark.sql(f"UPDATE {lake.name_of('sessions')} SET watched_s = watched_s + 1")
    findings = run_verify(lake, QUIET, sample=0.0, tables=("sessions",))
    assert not findings.is_right
    (difference,) = findings.differences
    assert (difference.table, difference.key, difference.column) == ("sessions", "sum of all rows", "watched_s")


def test_a_wrong_sketch_is_found(fed: Lake, spark: SparkSession, tmp_path: Path) -> None:
    """Though the number beside it is right."""
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    other = spark.range(50).select(F.hll_sketch_agg(F.col("id").cast("string"))).collect()[0][0]
    sketch = f"X'{other.hex()}'"
    lake.spark.sql(f"UPDATE {lake.name_of('post_hours')} SET visitors_sketch = {sketch}")
    findings = run_verify(lake, QUIET, tables=("post_hours",))
    assert findings.different["post_hours"] == lake.read("post_hours").count()
    assert {difference.column for difference in findings.differences} == {"visitors_sketch"}


def test_a_run_in_between_is_no_difference(
    fed: Lake, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One table is looked at before it, another after it."""
    tables = ("sessions", "post_hours")
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    generate(tmp_path / "more", events=300, hours=1, seed=4)
    check_fold = verify._check_fold

    def then_a_run(lake: Lake, fold: Fold, findings: verify.Findings) -> None:
        check_fold(lake, fold, findings)
        if fold.name == tables[0]:
            run_batch(lake, [f"file:{tmp_path}/more/events"], QUIET, Limits(tables=tables))

    monkeypatch.setattr(verify, "_check_fold", then_a_run)
    findings = run_verify(lake, QUIET, tables=tables)
    sums = [findings.totals[table]["pageviews"].stored for table in tables]
    assert sums[1] - sums[0] > 100
    assert findings.is_right, (findings.differences, findings.unbalanced)


def test_events_that_the_ledger_knows_and_the_table_does_not_are_missed(
    fed: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    record_files(lake, [{"path": "x", "inserted": 7}], run_id="of another process, whose commit was overwritten")
    findings = run_verify(lake, QUIET, tables=("sessions",))
    assert findings.different == {"events": 7, "sessions": 0}
    (difference,) = findings.differences
    assert (difference.stored, difference.expected) == ("1,500 rows", "1,507 rows or more")


def noted_by_stream(lake: Lake, inserted: int, at: datetime) -> None:
    """A row of `runs` as a stream writes it."""
    record_run(lake, {"run_id": "s", "job": "stream", "started_at": at, "ended_at": at, "inserted": inserted})


def test_events_of_a_file_are_missed_though_a_stream_brought_more(
    fed: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    """Of both doors together there have to be as many as both have noted."""
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    noted_by_stream(lake, 5, datetime.now(UTC))
    findings = run_verify(lake, QUIET, sample=0.0, tables=("sessions",))
    (difference,) = findings.differences
    assert (difference.stored, difference.expected) == ("1,500 rows", "1,505 rows or more")


def test_what_was_noted_twice_or_of_another_table_of_events_misses_nothing(
    fed: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    """A commit whose answer was lost is made again; a stream outlives its table."""
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    noted_by_stream(lake, 5, datetime.now(UTC) - timedelta(days=1))
    again = lake.read("ingested_files")
    again.write.format("delta").mode("append").saveAsTable(lake.name_of("ingested_files"))
    findings = run_verify(lake, QUIET, sample=0.0, tables=("sessions",))
    assert findings.is_right, findings.differences


@pytest.mark.parametrize(
    ("fold", "lost"), [(POST_HOURS, "engaged_s"), (PAGEVIEWS, "engaged_s"), (SESSIONS, "custom_events")]
)
def test_a_table_that_takes_too_few_events_is_found(
    fed: Lake, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold: Fold, lost: str
) -> None:
    """Though each of its rows follows from those that it takes."""
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    narrow = replace(fold, of=lambda: fold.of() & columns.is_action("pageview"), runs=None, follows=None)
    rebuild_fold(lake, narrow, run_id="1")
    monkeypatch.setattr(verify, "folds_of", lambda tables, depths: [narrow])
    findings = run_verify(lake, QUIET, sample=0.0)
    assert not findings.is_right
    assert {d.key for d in findings.differences} == {"sum with the events that make no row and should"}
    assert lost in {d.column for d in findings.differences}


def test_a_table_that_holds_none_or_not_all_of_the_events_says_so(
    fed: Lake, spark: SparkSession, tmp_path: Path
) -> None:
    """It is no difference: a run may have died, or go on meanwhile."""
    shutil.copytree(fed.place, tmp_path / "lake")
    lake = Lake(spark, str(tmp_path / "lake"))
    generate(tmp_path / "bucket", events=300, hours=1, seed=4)
    run_batch(lake, [f"file:{tmp_path}/bucket/events"], QUIET, Limits(tables=("sessions",)))
    create_missing_tables(lake, ["conversions"])
    findings = run_verify(lake, QUIET, sample=0.0, tables=("sessions", "post_hours", "conversions"))
    assert findings.is_right
    assert findings.never_folded == ["conversions"]
    assert [findings.lateness(table) for table in ("sessions", "post_hours", "conversions")] == [
        None,
        "1 versions of events are not in it yet; `parsely-spark batch` brings them in",
        "none of the 1,800 events has ever been folded into it; run `parsely-spark batch`",
    ]


@pytest.mark.parametrize("run", [run_verify, lambda lake, progress: run_rebuild(lake, (), progress)])
def test_where_no_lake_is_that_is_said(spark: SparkSession, tmp_path: Path, run: Callable[..., object]) -> None:
    with pytest.raises(LakeError, match="it has no table events; give the folder"):
        run(Lake(spark, str(tmp_path / "typo")), QUIET)
    assert not (tmp_path / "typo").exists()


def test_what_was_changed_by_hand_is_named_and_mended(fed: Lake) -> None:
    keys = [row["session_key"] for row in fed.read("sessions").orderBy("session_key").limit(3).collect()]
    changed, deleted, copied = keys
    before = fed.read("sessions").where(F.col("session_key") == changed).collect()[0]
    sessions = fed.delta("sessions")
    sessions.update(F.col("session_key") == changed, {"engaged_s": F.lit(99_999)})
    sessions.delete(F.col("session_key") == deleted)
    again = fed.read("sessions").where(F.col("session_key") == copied)
    again.write.format("delta").mode("append").saveAsTable(fed.name_of("sessions"))

    findings = run_verify(fed, QUIET, tables=("sessions",))

    assert findings.different == {"events": 0, "sessions": 3}
    found = {(d.table, d.key.split('"')[3], d.column): (d.stored, d.expected) for d in findings.differences}
    assert found == {
        ("sessions", changed, "engaged_s"): ('{"engaged_s":99999}', f'{{"engaged_s":{before["engaged_s"]}}}'),
        ("sessions", deleted, ""): ("0 rows", "1 rows"),
        ("sessions", copied, ""): ("2 rows", "1 rows"),
    }
    rows = run_rebuild(fed, TABLES, QUIET).rows
    assert rows == {table: fed.read(table).count() for table in TABLES}
    assert run_verify(fed, QUIET, tables=TABLES).is_right


def test_an_event_that_is_there_twice_is_named(fed: Lake, spark: SparkSession, tmp_path: Path) -> None:
    events = fed.read("events")
    twice = events.orderBy("event_id").limit(1)
    lake = Lake(spark, str(tmp_path / "lake"))
    create_missing_tables(lake, ["sessions"])
    events.union(twice).write.format("delta").mode("append").saveAsTable(lake.name_of("events"))
    (difference,) = run_verify(lake, QUIET, tables=("sessions",)).differences[:1]
    (row,) = twice.collect()
    assert (difference.table, difference.stored) == ("events", "2 rows")
    assert f"event_id={row['event_id']}" in difference.key


def test_after_a_rebuild_runs_go_on_from_there(fed: Lake, tmp_path: Path) -> None:
    run_rebuild(fed, ("sessions",), QUIET)
    generate(tmp_path / "bucket", events=300, hours=1, seed=4)
    summary = run_batch(fed, [f"file:{tmp_path}/bucket/events"], QUIET, Limits(tables=("sessions",)))
    assert summary.inserted == 300
    assert run_verify(fed, QUIET, tables=("sessions",)).is_right
