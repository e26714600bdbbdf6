"""An older lake becomes one of this release, a field that comes late is as if it had been there, a newer lake stays."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kills import killed_at
from lakes import rows_of
from pyspark.sql import functions as F

from parsely_spark import ingest
from parsely_spark.api import open_lake
from parsely_spark.crash import MIGRATE_POINTS
from parsely_spark.errors import LakeError
from parsely_spark.extra_fields import EXTRA_TYPES, ON_THE_WAY, extra_field
from parsely_spark.kinesis_settings import OURS
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.forget import Wish, run_forget
from parsely_spark.pipelines.maintain import Care, run_maintain
from parsely_spark.pipelines.migrate import Aim, run_migrate
from parsely_spark.pipelines.rebuild import run_rebuild
from parsely_spark.pipelines.register import run_register
from parsely_spark.pipelines.status import run_status
from parsely_spark.pipelines.stream import Pace, run_stream
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.privacy_settings import KEEP_ALL
from parsely_spark.progress import Progress
from parsely_spark.report.period import Asked
from parsely_spark.report.writing import write_report
from parsely_spark.reporting import ReportingSettings
from parsely_spark.sources.kinesis.readers import Reader, lines_of
from parsely_spark.sources.kinesis.source import SCHEMA
from parsely_spark.tables.catalog import EVENTS, RUNS, Lake
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.folding import rebuild_fold
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.spec import FORMAT_PROPERTY, of_fold
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from parsely_spark.migrated import Migrated
    from parsely_spark.pipelines.batch import Summary

QUIET = Progress(is_terminal=False)
NOW = datetime(2026, 1, 15, tzinfo=UTC)
FOLDED = ("sessions",)
TABLES = ("events", "sessions", "rejected_lines", "ingested_files", "runs")

# One field of each type, and whatever may be sent for it: each value for each field alone, and for all at once.
EXTRA = tuple(extra_field(f"new_{number}", type_) for number, type_ in enumerate(EXTRA_TYPES))
VALUES: tuple[Any, ...] = (
    *("x", "", " ", "7", " 7 ", "-3", "7.5", "1e3", "1_000", "NaN", "true", "FALSE", "null", "[]", '["a"]', '{"a": 1}'),
    *(7, 7.0, 7.5, -0.0, 1e-7, 1e3, 0.1, 10**20, 2**63 - 1, 12345678901234567890123456789, 1, 0),
    *(True, False, None, [], ["a", 1.50, None, {"b": [1]}], [[]], {"a": {"b": None}}, {}),
    'Größe 🦉 "quoted" \\ \u2028 <',
)


def line(number: object, **fields: Any) -> bytes:
    at_ms = 1_768_392_000_000
    usual = {"apikey": "a.example", "event_id": f"extra {number}", "action": "pageview", "visitor_site_id": "v"}
    usual |= {"timestamp_info_nginx_ms": at_ms, "session": True, "session_id": 3, "session_timestamp": at_ms}
    return json.dumps(usual | fields).encode() + b"\n"


def put(bucket: Path, content: bytes) -> None:
    """A file in the bucket."""
    hour = bucket / "events/2026/01/14/12"
    hour.mkdir(parents=True)
    (hour / "a.gz").write_bytes(gzip.compress(content))


def lines() -> list[bytes]:
    made = [line(f"{f.name} {n}", **{f.name: of}) for n, of in enumerate(VALUES) for f in EXTRA]
    made += [line(f"all {n}", **{f.name: of for f in EXTRA}) for n, of in enumerate(VALUES)]
    # Beside what stays rescued: a field that nobody asks for, and one of ours with a value of another type.
    made += [
        line(f"{n} more", new_0=of, weather={"is": "rain"}, new_1=5, ip_lat="north") for n, of in enumerate(VALUES)
    ]
    return made


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Some hours of events, those with new fields, and a table of CSV that has them, too."""
    folder = tmp_path_factory.mktemp("migrate")
    generate(folder / "bucket", events=400, hours=3, seed=17)
    hour = sorted((folder / "bucket").glob("events/*/*/*/*"))[0]
    (hour / "new.gz").write_bytes(gzip.compress(b"".join(lines())))
    header = "apikey,event_id,timestamp_info_nginx_ms,visitor_site_id,new_0,new_1,new_3,weather\n"
    row = 'a.example,csv,1768392000000,v,"a ""b""",7,True,sun\n'
    (folder / "new.csv").write_text(header + row + row.replace("csv,", "csv2,").replace("True", "perhaps"))
    return [f"file:{folder / 'bucket'}", f"file:{folder / 'new.csv'}"]


@pytest.fixture(scope="module")
def usual(spark: SparkSession, sources: list[str], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that does not know the new fields."""
    lake = Lake(spark, str(tmp_path_factory.mktemp("usual") / "lake"))
    run(lake, sources)
    return lake


@pytest.fixture
def copied(usual: Lake, spark: SparkSession, tmp_path: Path) -> Lake:
    """A copy of it."""
    shutil.copytree(usual.place, tmp_path / "lake")
    return Lake(spark, str(tmp_path / "lake"))


def run(lake: Lake, sources: list[str], **limits: Any) -> Summary:
    return run_batch(lake, sources, QUIET, Limits(tables=FOLDED, **limits))


def migrate(lake: Lake, **aim: Any) -> Migrated:
    return run_migrate(lake, QUIET, Aim(tables=FOLDED, **aim))


def files(lake: Lake) -> list[str]:
    """All that is there; whatever is written is a new file."""
    return sorted(str(path) for path in Path(lake.place).rglob("*"))


def set_format(lake: Lake, table: str, number: int) -> None:
    lake.spark.sql(f"ALTER TABLE {lake.name_of(table)} SET TBLPROPERTIES ('{FORMAT_PROPERTY}' = '{number}')")


# --- extra fields -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def migrated(usual: Lake, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Migrated]:
    """The lake after it has got the new fields."""
    folder = tmp_path_factory.mktemp("migrated") / "lake"
    shutil.copytree(usual.place, folder)
    lake = Lake(spark, str(folder))
    return lake, migrate(lake, extra=EXTRA)


def test_a_field_that_is_added_later_is_as_if_it_had_been_there(
    spark: SparkSession, sources: list[str], migrated: tuple[Lake, Migrated], tmp_path: Path
) -> None:
    # given: the same lines, read into a lake that has the fields from the first
    first = Lake(spark, str(tmp_path / "lake"))
    summary = run(first, sources, extra=EXTRA)
    assert (summary.rejected, summary.unknown_fields) == (0, ["weather"])
    # then
    later, done = migrated
    assert dict(later.read("events").dtypes) == dict(first.read("events").dtypes)
    assert rows_of(later, "events") == rows_of(first, "events")
    assert rows_of(later, "sessions") == rows_of(first, "sessions")
    # and: it is what was sent
    rows = {row["event_id"]: row for row in later.read("events").where("apikey = 'a.example'").collect()}
    number = next(n for n, of in enumerate(VALUES) if repr(of) == "7.0")  # 7 is the same to Python
    assert [rows[f"extra all {number}"][f.name] for f in EXTRA] == ["7.0", 7, 7.0, None, ["7.0"]]
    assert json.loads(rows[f"extra all {number}"]["_rescued"]) == {"new_3": "7.0"}
    assert rows[f"extra new_0 {number}"]["_rescued"] is None
    assert json.loads(rows["extra 0 more"]["_rescued"]) == {"weather": '{"is":"rain"}', "ip_lat": "north"}
    assert [rows["csv"][name] for name in ("new_0", "new_1", "new_3")] == ['a "b"', 7, True]
    assert json.loads(rows["csv2"]["_rescued"]) == {"new_3": "perhaps", "weather": "sun"}
    held = [F.col(field.name).isNotNull() for field in EXTRA]
    assert done.moved == later.read("events").where(reduce(or_, held)).count()


def test_migrate_again_does_nothing(migrated: tuple[Lake, Migrated]) -> None:
    lake, done = migrated
    assert done.has_changes
    before = files(lake)
    again = migrate(lake, extra=EXTRA)
    assert (again.has_changes, again.moved) == (False, 0)
    assert files(lake) == before
    assert str(again).endswith("The lake is of format 2 and lacks nothing.")


def test_killed_on_the_way_it_is_made_good_by_the_next(
    copied: Lake, migrated: tuple[Lake, Migrated], tmp_path: Path
) -> None:
    lake = copied
    for point in MIGRATE_POINTS:
        left = tmp_path / point
        with killed_at(point, Path(lake.place), left):
            migrate(lake, extra=EXTRA)
        lake = Lake(lake.spark, str(left))
    migrate(lake, extra=EXTRA)
    for table in ("events", "sessions"):
        assert rows_of(lake, table) == rows_of(migrated[0], table)
    assert not migrate(lake, extra=EXTRA).has_changes


def test_a_trial_tells_the_same_and_does_nothing(copied: Lake, migrated: tuple[Lake, Migrated]) -> None:
    before = files(copied)
    told = migrate(copied, extra=EXTRA, is_trial=True)
    assert (told.tables, told.moved) == (migrated[1].tables, migrated[1].moved)
    assert files(copied) == before


@pytest.fixture
def knowing(migrated: tuple[Lake, Migrated], spark: SparkSession, tmp_path: Path) -> Lake:
    """A copy of the lake that has got the new fields."""
    shutil.copytree(migrated[0].place, tmp_path / "knowing")
    return Lake(spark, str(tmp_path / "knowing"))


def test_a_fold_takes_no_notice_of_values_that_were_moved(
    sources: list[str], knowing: Lake, usual: Lake, tmp_path: Path
) -> None:
    lake = knowing
    assert run(lake, sources).rows_touched == {"sessions": 0}
    assert rows_of(lake, "sessions") == rows_of(usual, "sessions")
    # and: a run that is told nothing of the fields goes on with them
    put(tmp_path / "bucket", line("late", new_1=8, weather="fog"))
    assert run(lake, [f"file:{tmp_path / 'bucket'}"]).unknown_fields == ["weather"]
    (late,) = lake.read("events").where("event_id = 'extra late'").collect()
    assert (late["new_1"], late["_rescued"]) == (8, '{"weather":"fog"}')
    findings = run_verify(lake, QUIET, tables=FOLDED)
    assert (findings.is_right, findings.differences, findings.behind) == (True, [], {})


def test_records_of_a_stream_fill_the_column_as_files_do(knowing: Lake, migrated: tuple[Lake, Migrated]) -> None:
    knowing.spark.sql(f"DELETE FROM {knowing.name_of('events')} WHERE event_id LIKE 'extra %'")
    rows = [(of.decode().strip(), "kinesis:stream/shard", len(of)) for of in lines()]
    records = knowing.spark.createDataFrame(rows, "value string, source string, bytes bigint")
    took, _ = ingest.ingest_records(
        knowing, records, run_id="of a stream", batch=1, look=lambda _: None, privacy=KEEP_ALL
    )
    assert (took.inserted, took.unknown) == (len(rows), {"weather"})
    assert rows_of(knowing, "events") == rows_of(migrated[0], "events")


def test_a_field_that_is_added_while_a_run_reads_lines_is_in_its_column(
    copied: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "bucket", line("meanwhile", new_0="good"))
    insert = ingest.insert_events

    def after_migrate(*args: Any, **more: Any) -> Any:
        monkeypatch.undo()
        migrate(copied, extra=EXTRA[:1])
        return insert(*args, **more)

    monkeypatch.setattr(ingest, "insert_events", after_migrate)
    assert run(copied, [f"file:{tmp_path / 'bucket'}"]).inserted == 1
    (row,) = copied.read("events").where("event_id = 'extra meanwhile'").collect()
    assert (row["new_0"], row["_rescued"]) == ("good", None)


def test_a_lake_without_a_field_that_is_asked_for_is_left_alone(copied: Lake, sources: list[str]) -> None:
    before = files(copied)
    with pytest.raises(LakeError, match=r"is there without new_4; run `parsely-spark migrate --extra-field 'new_4:arr"):
        run(copied, sources, extra=EXTRA[4:])
    assert files(copied) == before


def test_a_field_that_is_there_with_another_type_is_named(migrated: tuple[Lake, Migrated], sources: list[str]) -> None:
    with pytest.raises(LakeError, match=r"has new_1 as bigint, not as the string of --extra-field new_1:string; leave"):
        run(migrated[0], sources, extra=(extra_field("new_1", "string"),))
    with pytest.raises(LakeError, match=r"has new_1 as bigint, not as the string"):
        migrate(migrated[0], extra=(extra_field("new_1", "string"),))


def test_what_lines_have_beside_their_fields_cannot_be_a_field(spark: SparkSession) -> None:
    records = Reader(format=OURS, options={}).records(spark.createDataFrame([], SCHEMA))
    assert {name for name in lines_of(records).columns if name not in ON_THE_WAY} == set()


# --- formats ----------------------------------------------------------------------------------------------------------

ASKED = Asked(reporting=ReportingSettings(), since=None, until=None, sites=(), now=NOW)
NEVER_READ = Reader(format="no such source", options={})
ENTRIES: dict[str, Callable[[Lake, Path], object]] = {
    "batch": lambda lake, folder: run(lake, [f"file:{folder}"]),
    "stream": lambda lake, folder: run_stream(lake, NEVER_READ, QUIET, Pace(checkpoint=str(folder), tables=FOLDED)),
    "rebuild": lambda lake, _: run_rebuild(lake, FOLDED, QUIET),
    "verify": lambda lake, _: run_verify(lake, QUIET, tables=FOLDED),
    "status": lambda lake, _: run_status(lake, QUIET, now=NOW),
    "maintain": lambda lake, _: run_maintain(lake, QUIET, Care()),
    "migrate": lambda lake, _: migrate(lake),
    "forget": lambda lake, _: run_forget(lake, QUIET, Wish(visitors=("v",))),
    "register": lambda lake, _: run_register(lake, "never_made", ReportingSettings(), QUIET),
    "report": lambda lake, folder: write_report(lake, ASKED, str(folder / "report.html"), QUIET),
    "a table": lambda lake, _: open_lake(lake.place, spark=lake.spark).table("sessions"),
    "a view": lambda lake, _: open_lake(lake.place, spark=lake.spark).view("campaigns"),
}


@pytest.fixture(scope="module")
def newer(usual: Lake, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that a later release has made."""
    folder = tmp_path_factory.mktemp("newer") / "lake"
    shutil.copytree(usual.place, folder)
    lake = Lake(spark, str(folder))
    for table in TABLES:
        set_format(lake, table, 99)
    return lake


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_lake_of_a_newer_format_is_left_alone(newer: Lake, tmp_path: Path, entry: str) -> None:
    before = files(newer)
    put(tmp_path, line("never read"))
    with pytest.raises(LakeError) as refused:
        ENTRIES[entry](newer, tmp_path)
    assert "` is of format 99, and parsely_spark " in str(refused.value)
    assert str(refused.value).endswith(" knows none above 2; install the release that wrote it, or a newer one.")
    assert files(newer) == before


def test_a_single_table_of_a_newer_format_is_named(copied: Lake, tmp_path: Path) -> None:
    set_format(copied, "sessions", 3)
    copied.spark.sql(f"ALTER TABLE {copied.name_of('sessions')} ADD COLUMNS (of_a_newer_release BIGINT)")
    put(tmp_path, line("never read"))
    with pytest.raises(LakeError, match=r"/sessions` is of format 3, and"):
        run(copied, [f"file:{tmp_path}"])


@pytest.mark.parametrize("entry", ["batch", "status", "migrate"])
def test_a_table_of_somebody_elses_is_left_alone(spark: SparkSession, tmp_path: Path, entry: str) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    spark.sql(f"CREATE TABLE {lake.name_of('events')} (id BIGINT) USING delta")
    put(tmp_path, line("never read"))
    with pytest.raises(LakeError, match=r"/events` is a table, but not one of this program; give the tables a folder"):
        ENTRIES[entry](lake, tmp_path)
    assert version_of(lake, "events") == 0
    assert [path.name for path in (tmp_path / "lake").iterdir()] == ["events"]


def older_than(lake: Lake, folder: Path) -> Lake:
    """A copy of *lake* without what an older release did not have: columns of three tables, properties, all formats."""
    older = Lake(lake.spark, str(folder))
    for table in ("rejected_lines", "ingested_files"):
        shutil.copytree(f"{lake.place}/{table}", folder / table)
    for spec, column in ((EVENTS, "ip_lon"), (RUNS, "listed")):
        rows = lake.read(spec.name)
        kept = rows.drop(column).schema
        older.create_missing(spec.name, replace(spec, columns=tuple(c for c in spec.columns if c.name != column)))
        # What had no column was rescued.
        values = [
            tuple(rescued(row) if name == "_rescued" else row[name] for name in kept.names) for row in rows.collect()
        ]
        frame = lake.spark.createDataFrame(values, kept)
        frame.write.format("delta").mode("append").saveAsTable(older.name_of(spec.name))
    narrow = replace(SESSIONS, columns=tuple(c for c in SESSIONS.columns if c.name != "watched_s"))
    older.create_missing("sessions", of_fold(narrow))
    rebuild_fold(older, narrow, run_id="of an older release")
    for table in TABLES:
        unset(older, table, FORMAT_PROPERTY)
    unset(older, "sessions", "delta.enableDeletionVectors")
    return older


def unset(lake: Lake, table: str, name: str) -> None:
    lake.spark.sql(f"ALTER TABLE {lake.name_of(table)} UNSET TBLPROPERTIES ('{name}')")


def rescued(row: Any) -> str | None:
    """What a release that does not know the longitude rescues of an event."""
    said = json.loads(row["_rescued"] or "{}")
    said |= {"ip_lon": repr(row["ip_lon"])} if row["ip_lon"] is not None else {}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False) if said else None


def test_an_older_lake_says_that_it_has_to_be_migrated_and_is_then_as_a_new_one(
    usual: Lake, sources: list[str], tmp_path: Path
) -> None:
    # given
    lake = older_than(usual, tmp_path)
    assert rows_of(lake, "events") != rows_of(usual, "events")
    # then: it is refused as long as it lacks columns
    for entry in (lambda: run(lake, sources), lambda: run_verify(lake, QUIET, tables=FOLDED)):
        with pytest.raises(LakeError, match=r"was made by an older release and has no column ip_lon; run `parsely-sp"):
            entry()
    # when
    done = migrate(lake)
    # then
    assert done.tables["events"] == [
        "column ip_lon (double) added",
        f"values of {done.moved:,} events moved out of _rescued",
        "format 2 set",
    ]
    assert done.moved > 100
    assert done.tables["sessions"] == [
        "column watched_s (bigint) added",
        "made again from the events",
        "property delta.enableDeletionVectors set",
        "format 2 set",
    ]
    assert done.tables["runs"][0].startswith("column listed (struct<")
    assert done.tables["ingested_files"] == ["format 2 set"]
    for table in ("events", "sessions"):
        assert rows_of(lake, table) == rows_of(usual, table)
    for spec in (EVENTS, RUNS, of_fold(SESSIONS)):
        comments = {column.name: column.metadata.get("comment") for column in lake.read(spec.name).schema}
        assert comments == {column.name: column.meaning for column in spec.columns}
    assert run(lake, sources).inserted == 0
    assert run_verify(lake, QUIET, tables=FOLDED).is_right
    assert not migrate(lake).has_changes


def test_an_older_lake_that_lacks_no_column_goes_on_and_gets_missing_tables(
    usual: Lake, spark: SparkSession, sources: list[str], tmp_path: Path
) -> None:
    shutil.copytree(usual.place, tmp_path / "lake", ignore=shutil.ignore_patterns("sessions"))
    lake = Lake(spark, str(tmp_path / "lake"))
    for table in TABLES:
        if table != "sessions":
            unset(lake, table, FORMAT_PROPERTY)
    told = migrate(lake, is_trial=True)
    assert str(told).startswith("events: format 2 set\nsessions: made\n")
    summary = run(lake, sources)
    assert summary.inserted == 0
    assert summary.rows_touched["sessions"] > 0
    assert migrate(lake).tables == {**told.tables, "sessions": []}
