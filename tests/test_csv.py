"""Files of CSV, as Parse.ly's sample is one: the same events as lines of JSON, through the same parse."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from lakes import rows_of
from pyspark.sql import functions as F

from parsely_spark.cli import main
from parsely_spark.errors import BrokenFileError, SettingsError, SourceError
from parsely_spark.ingest import changed_since
from parsely_spark.pipelines.batch import Limits, Summary, run_batch
from parsely_spark.places import check_raw_events
from parsely_spark.progress import Progress
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.settings import BatchSettings
from parsely_spark.sources import lines as source_lines
from parsely_spark.sources.lines import read_lines
from parsely_spark.sources.s3 import list_files
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate
from parsely_spark.transforms.parse import parse, parse_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
FIRST = ["action", "ts_action", "visitor_site_id", "url", "apikey"]  # in Parse.ly's samples.py
HEADER = [*FIRST, *(field.name for field in EVENT_FIELDS if field.name not in FIRST)]
START_MS = 1_768_392_000_000  # 2026-01-14 12:00 UTC
FEW = ("apikey", "event_id", "timestamp_info_nginx_ms", "visitor_site_id")


def as_csv(events: Iterable[dict[str, Any]], header: Sequence[str] = HEADER) -> bytes:
    """The table that Parse.ly's samples.py writes: by Python's csv, nothing for null, JSON for lists and objects."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(header)
    for event in events:
        cells = ["" if (cell := event.get(name)) is None else cell for name in header]
        table.writerow([json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in cells])
    return text.getvalue().encode()


def event(number: int, **fields: object) -> dict[str, object]:
    """A pageview."""
    usual = {"apikey": "x", "event_id": f"e{number}", "timestamp_info_nginx_ms": START_MS + 1000 * number}
    return usual | {"visitor_site_id": "v"} | fields


def run(lake: Lake, *sources: object, **limits: Any) -> Summary:
    return run_batch(lake, [f"file:{source}" for source in sources], QUIET, Limits(tables=("sessions",), **limits))


def ledger(lake: Lake) -> list[dict[str, Any]]:
    return [row.asDict() for row in lake.read("ingested_files").orderBy("ingested_at").collect()]


# --- the sample -------------------------------------------------------------------------------------------------------


def test_a_sample_of_500_ends_in_the_tables_of_its_lines_of_json(
    spark: SparkSession, lake: Lake, empty_lake: Path, tmp_path: Path
) -> None:
    # given: events as lines, without the empty texts that a table cannot tell from nothing; and as a table
    generate(tmp_path / "made", events=500, hours=2, seed=5)
    chunks = sorted((tmp_path / "made").rglob("*.gz"))
    made = [json.loads(line) for chunk in chunks for line in gzip.decompress(chunk.read_bytes()).splitlines()]
    events = [{name: value for name, value in one.items() if value != ""} for one in made][:500]
    hour = tmp_path / "bucket/events/2026/01/14/12"
    hour.mkdir(parents=True)
    (hour / "a.gz").write_bytes(gzip.compress("".join(f"{json.dumps(one)}\n" for one in events).encode()))
    (tmp_path / "sample.csv").write_bytes(as_csv(events))
    # when
    by_lines = run(lake, tmp_path / "bucket")
    shutil.copytree(empty_lake, tmp_path / "other")
    other = Lake(spark, str(tmp_path / "other"))
    by_table = run(other, tmp_path / "sample.csv")
    # then
    assert by_table.lines == 500
    assert by_table.inserted > 450
    assert (by_table.inserted, by_table.duplicate) == (by_lines.inserted, by_lines.duplicate)
    assert (by_table.rejected, by_table.unknown_fields) == (0, [])
    for table in ("events", "sessions"):
        assert rows_of(other, table) == rows_of(lake, table)
    assert len(rows_of(other, "sessions")) > 20
    # and by both doors nothing is new
    again = run(lake, tmp_path / "sample.csv")
    assert (again.lines, again.inserted, again.duplicate) == (500, 0, 500)
    assert len(rows_of(lake, "events")) == by_lines.inserted


def test_what_parsely_sends_reaches_the_first_look(spark: SparkSession, tmp_path: Path) -> None:
    """All of it is typed: no record needs to be read value by value."""
    generate(tmp_path / "made", events=100, hours=2, seed=6)
    chunks = (tmp_path / "made").rglob("*.gz")
    events = [json.loads(line) for chunk in chunks for line in gzip.decompress(chunk.read_bytes()).splitlines()]
    (tmp_path / "sample.csv").write_bytes(as_csv(events))
    lines = read_lines(spark, list_files(spark, [f"file:{tmp_path}/sample.csv"]).files)
    reasons = parse(lines, ingested_at=datetime.now(UTC)).groupBy("_reason").count().collect()
    assert [tuple(row) for row in reasons] == [(None, len(events))]


# --- records that do harm where they are believed -------------------------------------------------------------------

USUAL = {"apikey": "a", "timestamp_info_nginx_ms": START_MS, "visitor_site_id": "v"}
COLUMNS = [*FEW, "metadata_title", "session_id", "display", "ip_lat", "metadata_tags", "extra_data", "Mood"]
EMPTY: dict[str, Any] = {}
RAW = "raw"  # refused, and kept as it stands

# The cells behind those of FEW, as they are in the file, and what becomes of the record.
RECORDS: dict[str, tuple[bytes, dict[str, Any] | str]] = {
    "nothing": (b",,,,,,", EMPTY),
    "nothing in quotes": (b'"","","","","","",""', EMPTY),
    # quotes
    "a text in quotes": (b'"b",,,,,,', {"metadata_title": "b"}),
    "a comma": (b'"a,b,,",,,,,,', {"metadata_title": "a,b,,"}),
    "a doubled quote": (b'"say ""a"", ""b""",,,,,,', {"metadata_title": 'say "a", "b"'}),
    "only a quote": (b'"""",,,,,,', {"metadata_title": '"'}),
    "quotes, commas and ends": (b'""",\n"",""",,,,,,', {"metadata_title": '",\n","'}),
    "lines within": (b'"a\r\nb\n\n,c",,,,,,', {"metadata_title": "a\r\nb\n\n,c"}),
    "a line that is a record": (
        b'"x\na,e,1768392000000,v,,,,,,,\n",,,,,,',
        {"metadata_title": "x\na,e,1768392000000,v,,,,,,,\n"},
    ),
    "backslashes": (b'"\\q\\b\\\\",,,,,,\\', {"metadata_title": "\\q\\b\\\\", "_rescued": {"Mood": "\\"}}),
    "a backslash at the end": (b'"a\\",,,,,,', {"metadata_title": "a\\"}),
    "the last cell in quotes": (b',,,,,,"a,""b"', {"_rescued": {"Mood": 'a,"b'}}),
    "apostrophes": (b"'a',,,,,,", {"metadata_title": "'a'"}),
    "white space": (
        b'" a ", 3 , true , 1.5 ,,,',
        {"metadata_title": " a ", "session_id": 3, "display": True, "ip_lat": 1.5},
    ),
    "two quotes in bare cells": (b'a"b,,,,,,c"d', RAW),
    "a letter before the quote": (b'a"b",,,,,,', RAW),
    "a letter behind the quote": (b'"b"a,,,,,,', RAW),
    "white space before the quote": (b' "b",,,,,,', RAW),
    "backslashes before quotes": (b'"{\\"a\\": 1}",,,,,,', RAW),
    # cells
    "a cell less": (b",,,,,", RAW),
    "a cell more": (b",,,,,,,", RAW),
    "not UTF-8": (b"\xff,,,,,,", RAW),
    "not UTF-8 in quotes": (b'"\xc3(\n",,,,,,', RAW),
    "a NUL and a tab": (b"a\0\tb,,,,,,", {"metadata_title": "a\0\tb"}),
    "signs that end lines elsewhere": ("a\u2028b\u0085\v\f,,,,,,".encode(), {"metadata_title": "a\u2028b\u0085\v\f"}),
    "JSON in a text": (b'"{""a"":1}",,,,,,', {"metadata_title": '{"a":1}'}),
    "a formula": (b'"=1+1",,,,,,', {"metadata_title": "=1+1"}),
    "no letters of ASCII": ("Größe 🦉,,,,,,".encode(), {"metadata_title": "Größe 🦉"}),
    # types
    "a number": (b",-7,,,,,", {"session_id": -7}),
    "a number with a point": (b",7.0,,,,,", {"session_id": 7}),
    "a number of a spreadsheet": (b",7E+3,,,,,", {"session_id": 7000}),
    "a number that begins with 0": (b",007,,,,,", {"session_id": 7}),
    "the largest number": (b",9223372036854775807,,,,,", {"session_id": 2**63 - 1}),
    "a number too large": (b",9223372036854775808,,,,,", {"_rescued": {"session_id": "9223372036854775808"}}),
    "no number": (b",5;6,,,,,", {"_rescued": {"session_id": "5;6"}}),
    "an injected field": (b',"1,""apikey"":""b""",,,,,', {"_rescued": {"session_id": '1,"apikey":"b"'}}),
    "True": (b",,True,,,,", {"display": True}),
    "FALSE": (b",,FALSE,,,,", {"display": False}),
    "1 for true": (b",,1,,,,", {"display": True}),
    "yes": (b",,yes,,,,", {"_rescued": {"display": "yes"}}),
    "a fraction": (b",,,-33.870000000000005,,,", {"ip_lat": -33.870000000000005}),
    "a whole fraction": (b",,,4,,,", {"ip_lat": 4.0}),
    "a fraction with an exponent": (b",,,1e-05,,,", {"ip_lat": 1e-05}),
    "nan": (b",,,nan,,,", {"_rescued": {"ip_lat": "nan"}}),
    "a fraction without end": (b",,,1e999,,,", {"_rescued": {"ip_lat": "1e999"}}),
    "a list": (b',,,,"[""a"", null, ""b,\xc3\xbc""]",,', {"metadata_tags": ["a", None, "b,ü"]}),
    "an empty list": (b",,,,[],,", {"metadata_tags": []}),
    "one text for a list": (b",,,,news,,", {"metadata_tags": ["news"]}),
    "two lists": (b',,,,"[""a""],[""b""]",,', {"_rescued": {"metadata_tags": '["a"],["b"]'}}),
    "a list of Python's": (b",,,,['a'],,", {"metadata_tags": ["a"]}),
    "a list of lists": (b',,,,"[[1], {""a"": 2}]",,', {"metadata_tags": ["[1]", '{"a":2}']}),
    "a list with a number of 2,000 digits": (
        b",,,,[%s],," % (b"1" * 2000),
        {"_rescued": {"metadata_tags": f"[{'1' * 2000}]"}},
    ),
    "a list of 2,000 levels": (
        b",,,,%s%s,," % (b"[" * 2000, b"]" * 2000),
        {"_rescued": {"metadata_tags": "[" * 2000 + "]" * 2000}},
    ),
    "a list that breaks out": (b',,,,"[],""apikey"":""b""",,', {"_rescued": {"metadata_tags": '[],"apikey":"b"'}}),
    "an object": (b',,,,,"{""a"": {""b"": [1, 2.50]}}",', {"extra_data": '{"a":{"b":[1,2.5]}}'}),
    "an object that breaks out": (b',,,,,"{},""apikey"":""b""",', {"extra_data": '{},"apikey":"b"'}),
    "no object": (b",,,,,[1],", {"_rescued": {"extra_data": "[1]"}}),
    "an unknown field": (b",,,,,,7", {"_rescued": {"Mood": "7"}}),
}


def record(number: int, cells: bytes) -> bytes:
    return b"a,e%d,%d,v," % (number, START_MS) + cells


@pytest.fixture(scope="module")
def outcomes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the parse makes of each record of RECORDS, by its name, and of a line that is blank."""
    path = tmp_path_factory.mktemp("records") / "hostile.csv"
    records = [record(number, cells) for number, (cells, _) in enumerate(RECORDS.values())]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([",".join(COLUMNS).encode(), *records]))
    lines = read_lines(spark, list_files(spark, [f"file:{path}"]).files)
    parsed = parse(lines, ingested_at=datetime.now(UTC)).persist()
    refused = parsed.where("_reason = 'not_an_object'").select(F.col("_line").alias("value"), "source", "bytes")
    both = parsed.where("_reason is distinct from 'not_an_object'").union(
        parse_again(refused, ingested_at=datetime.now(UTC))
    )
    rows = [row.asDict() for row in both.withColumn("_line", F.col("_line").cast("binary")).collect()]
    parsed.unpersist()
    names = dict(zip(records, RECORDS, strict=True))
    ids = {f"e{number}": name for number, name in enumerate(RECORDS)}
    found = {}
    for row in rows:
        line = row["_line"] and bytes(row["_line"]).rstrip(b"\r")
        found[ids[row["event_id"]] if line is None else names.get(line, line)] = row
    assert len(found) == len(rows) == len(RECORDS)
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_a_hostile_record_becomes_what_is_written(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    """Refused and kept as it stands, or an event of these values and no others."""
    (_, wanted), row = RECORDS[name], outcomes[name]
    if wanted == RAW:
        assert row["_reason"] == ("not_utf8" if "UTF-8" in name else "not_an_object")
        return
    assert isinstance(wanted, dict)
    fields = [field.name for field in EVENT_FIELDS if field.name != "event_id"]
    actual = {name: row[name] for name in (*fields, "_rescued") if row[name] is not None}
    if "_rescued" in actual:
        actual["_rescued"] = json.loads(actual["_rescued"])
    assert (row["_reason"], row["_is_blank"]) == (None, False)
    assert actual == USUAL | wanted


# --- whether every record is accounted for ------------------------------------------------------------------------


def test_every_record_is_accounted_for_and_a_file_is_read_once(lake: Lake, tmp_path: Path) -> None:
    # given: records of every kind, blank lines, and an event of another file
    path = tmp_path / "a b%20[c]{d}.csv"
    table = as_csv([event(1), event(2), event(1), event(3, apikey=""), event(4, timestamp_info_nginx_ms="")], FEW)
    short = b'x,e9,"1\r\n2"\r\n'
    path.write_bytes(table + b"\r\n  \r\n" + short + b"x,e5,%d,v" % START_MS)
    # when, then
    summary = run(lake, path)
    assert (summary.files, summary.lines, summary.inserted, summary.duplicate) == (1, 9, 3, 1)
    assert (summary.rejected, summary.blank) == (3, 2)
    (row,) = ledger(lake)
    assert row["path"] == f"file:{path}"
    assert row["size_bytes"] == path.stat().st_size
    assert [row[name] for name in ("lines", "inserted", "duplicate", "rejected", "blank")] == [9, 3, 1, 3, 2]
    rejected = {row["reason"]: row.asDict() for row in lake.read("rejected_lines").collect()}
    assert json.loads(rejected["no_apikey"]["line"]) == {name: event(3)[name] for name in FEW if name != "apikey"}
    assert rejected["no_time"]["line"] == '{"apikey":"x","event_id":"e4","visitor_site_id":"v"}'
    assert rejected["not_an_object"]["line"] == short.decode().removesuffix("\n")
    assert rejected["not_an_object"]["line_sha256"] == sha256(short.removesuffix(b"\n")).hexdigest()
    # again: known; changed: read again
    assert run(lake, path).known == 1
    path.write_bytes(as_csv([event(1), event(6, Mood="well")], [*FEW, "Mood"]))
    again = run(lake, path)
    assert (again.lines, again.inserted, again.duplicate, again.unknown_fields) == (2, 1, 1, ["Mood"])


def test_files_under_different_headers_and_lines_of_json_are_read_in_one_run(lake: Lake, tmp_path: Path) -> None:
    hour = tmp_path / "events/2026/01/14/12"
    hour.mkdir(parents=True)
    (hour / "lines.gz").write_bytes(gzip.compress(json.dumps(event(1)).encode()))
    (hour / "table.csv.gz").write_bytes(gzip.compress(as_csv([event(2), event(1)], FEW)))
    (tmp_path / "b.CSV").write_bytes(as_csv([event(3), event(2, url="u")], [*FEW[::-1], "url"]))
    summary = run(lake, tmp_path, tmp_path / "b.CSV")
    assert (summary.files, summary.lines, summary.inserted, summary.duplicate, summary.others) == (3, 5, 3, 2, 1)


def test_a_file_is_cut_into_records_wherever_spark_cuts_it(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of 1,000 bytes end within texts of many lines, and records of a large file are spread over tasks."""
    titles = [f"{number}\n" + "\n".join('a, "b"\r\n' * (number % 40)) for number in range(200)]
    path = tmp_path / "a.csv"
    header = [*FEW, "metadata_title"]
    path.write_bytes(as_csv([event(n, metadata_title=t) for n, t in enumerate(titles)], header))
    monkeypatch.setattr(source_lines, "_LARGE_BYTES", 1000)
    monkeypatch.setattr(source_lines, "BYTES_PER_TASK", 5000)
    files = list_files(spark, [f"file:{path}"]).files
    blocks = ("spark.sql.files.maxPartitionBytes", "spark.sql.files.openCostInBytes")
    before = {key: spark.conf.get(key) for key in blocks}
    try:
        for key in before:
            spark.conf.set(key, "1000")
        lines = read_lines(spark, files)
        rows = lines.select("value", "bytes", F.spark_partition_id().alias("task")).collect()
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
    assert sorted(json.loads(row["value"])["metadata_title"] for row in rows) == sorted(titles)
    assert sum(row["bytes"] for row in rows) == path.stat().st_size - len(as_csv([], header))
    assert len({row["task"] for row in rows}) > 3


def test_a_record_that_nobody_can_hold_costs_nothing_but_itself(lake: Lake, tmp_path: Path) -> None:
    """Of 40 MB: in one line, and in lines of 1 MB; in a file as it is, and in a compressed one."""
    long = {"one line": "a" * 40 * 2**20, "many lines": "\n".join(["a" * 2**20] * 40)}
    for number, (name, text) in enumerate(long.items()):
        events = [event(10 * number), event(10 * number + 1, metadata_title=text), event(10 * number + 2)]
        table = as_csv(events, [*FEW, "metadata_title"])
        (tmp_path / f"{name}.csv").write_bytes(table)
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(table, 1))
    summary = run(lake, *sorted(tmp_path.glob("*.csv*")))
    assert summary.quarantined == {}
    assert (summary.lines, summary.inserted, summary.duplicate, summary.rejected) == (12, 4, 4, 4)
    assert {row["reason"] for row in lake.read("rejected_lines").collect()} == {"too_long"}


# --- what is no file of CSV ---------------------------------------------------------------------------------------

WANTED = "wanted is a first line with the fields' names, separated by commas, as Parse.ly's sample has it"
GOOD = as_csv([event(1), event(2, metadata_title="a\nb")], [*FEW, "metadata_title"])
BROKEN: dict[str, tuple[bytes, str]] = {
    "gzip": (
        gzip.compress(GOOD),
        "its first line is not UTF-8, like that of a compressed file or a workbook; save it as CSV in UTF-8",
    ),
    "UTF-16": (
        GOOD.decode().encode("utf-16"),
        "its first line is not UTF-8, like that of a compressed file or a workbook; save it as CSV in UTF-8",
    ),
    "no header": (
        GOOD.split(b"\n", 1)[1],
        f"its header has no column apikey, event_id, timestamp_info_nginx_ms, visitor_site_id; {WANTED}",
    ),
    "JSON": (
        json.dumps(event(1)).encode(),
        f"its header has no column apikey, event_id, timestamp_info_nginx_ms, visitor_site_id; {WANTED}",
    ),
    "semicolons": (
        GOOD.replace(b",", b";"),
        f"its header has no column apikey, event_id, timestamp_info_nginx_ms, visitor_site_id; {WANTED}",
    ),
    "no event_id": (GOOD.replace(b"event_id", b"id"), f"its header has no column event_id; {WANTED}"),
    "another case": (GOOD.replace(b"event_id", b"Event_ID"), f"its header has no column event_id; {WANTED}"),
    "a name twice": (
        as_csv([event(1)], [*FEW, "url", "apikey"]),
        "its header has the column 'apikey' more than once; leave one of them",
    ),
    "a column without a name": (
        as_csv([event(1)], ["", *FEW]),
        "column 1 of its header has no name; name it or leave it out",
    ),
    "very many columns": (
        as_csv([event(1)], [*FEW, *map(str, range(997))]),
        "its header has 1,001 columns, at most 1,000 are read; leave some out",
    ),
    "a header that goes on": (b'apikey,"event\r\n_id",x\r\n', f"a quote in its header is out of place; {WANTED}"),
    "only carriage returns": (
        GOOD.replace(b"\r\n", b"\r"),
        "its lines end with carriage returns alone; save it with newlines",
    ),
    "a blank first line": (
        b"\n" + GOOD,
        f"its header has no column apikey, event_id, timestamp_info_nginx_ms, visitor_site_id; {WANTED}",
    ),
    "a quote in a bare cell": (
        GOOD + b'x,e3,1768392000000,v,a"b\r\n',
        "a quote in it is not closed, as where a file was cut off or a quote inside a text is not doubled; put a whole "
        "copy in its place or take it away, and run again",
    ),
    "cut off": (
        GOOD[:-4],
        "a quote in it is not closed, as where a file was cut off or a quote inside a text is not doubled; put a whole "
        "copy in its place or take it away, and run again",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_no_csv_is_said_in_one_sentence(spark: SparkSession, tmp_path: Path, how: str) -> None:
    content, said = BROKEN[how]
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BrokenFileError) as told:
        read_lines(spark, list_files(spark, [f"file:{tmp_path}/a.csv"]).files)
    assert str(told.value) == f"file:{tmp_path}/a.csv: {said}."
    assert told.value.path == f"file:{tmp_path}/a.csv"


def test_a_broken_file_is_left_out_by_its_name_and_heals(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, whole = tmp_path / "broken.csv", tmp_path / "whole.csv"
    broken.write_bytes(BROKEN["cut off"][0])
    whole.write_bytes(as_csv([event(7)], FEW))
    flags = ["--source", str(broken), "--source", str(whole), "--lake", lake.place, "--tables", "sessions"]
    with pytest.raises(SystemExit) as exit:
        main(["batch", *flags])
    assert exit.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "parsely-spark batch: 1 files were left out, all else is done; the first is "
        f"file:{broken}: {BROKEN['cut off'][1]}."
    )
    assert [row["error"] is None for row in ledger(lake)] == [False, True]
    broken.write_bytes(GOOD)
    assert main(["batch", *flags]) == 0
    assert lake.read("events").count() == 3


# --- which files are one ------------------------------------------------------------------------------------------


def test_a_file_is_looked_for_by_itself(spark: SparkSession, tmp_path: Path) -> None:
    """Not in its folder, which may be anybody's home: Hadoop cannot list one that holds a name with a colon."""
    (tmp_path / "a:b").touch()
    path = tmp_path / "a.csv"
    path.write_bytes(GOOD)
    files = list_files(spark, [f"file:{path}"]).files
    assert [file.path for file in files] == [f"file:{path}"]
    assert changed_since(spark, files) == ()
    path.write_bytes(GOOD + b"\r\n")
    assert changed_since(spark, files) == (f"file:{path}",)
    path.unlink()
    assert changed_since(spark, files) == (f"file:{path}",)


def test_in_a_folder_of_tables_each_has_to_be_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "a.csv/part.csv").write_bytes(GOOD)
    with pytest.raises(SourceError) as told:
        list_files(spark, [f"file:{tmp_path}/a.csv"])
    assert str(told.value) == (
        f"file:{tmp_path}/a.csv: of its 1 objects, such as file:{tmp_path}/a.csv/part.csv, none is one of the *.gz "
        "below YYYY/MM/DD/HH folders; give the `events/` prefix or the bucket above it, or a CSV file by its own name."
    )


def test_an_empty_file_is_said_to_be_one(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(SourceError) as told:
        list_files(spark, [f"file:{tmp_path}/a.csv"])
    assert str(told.value) == (
        f"file:{tmp_path}/a.csv: it is empty, but a CSV file with a header was wanted; put a whole copy in its place."
    )


@pytest.mark.parametrize("name", ["sample.csv", "sample.CSV", "sample.csv.gz"])
def test_a_csv_file_is_a_source_wherever_it_lies(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    check_raw_events("--source", str(tmp_path / name))


@pytest.mark.parametrize("name", ["sample.tsv", ".csv", "csv", "sample.csv.zip"])
def test_another_file_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SettingsError, match=r"is a file and no \*\.csv; give the events/ prefix"):
        check_raw_events("--source", str(tmp_path / name))


@pytest.mark.parametrize("hours", [{"from_": "2026-01-14"}, {"until": "2026-01-14T06"}])
def test_hours_are_of_folders_and_not_of_a_csv_file(hours: dict[str, str]) -> None:
    with pytest.raises(
        SettingsError, match=r"given with source='s3a://x/sample\.csv', which has no hours; leave one of"
    ):
        BatchSettings(source=("s3a://x/events", "s3a://x/sample.csv"), lake="lake", **hours)
