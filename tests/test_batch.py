"""The main job, on generated buckets, against an independent computation over the same lines."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lakes import DERIVED, readable, rows_of
from oracle import Ledger, read_lines, sessions, unique_events
from oracle_tables import as_text, tables
from pyspark.sql import functions as F

from parsely_spark.columns import NOT_A_BOT, bot_words
from parsely_spark.extra_fields import extra_field
from parsely_spark.pipelines.batch import Limits, Summary, run_batch
from parsely_spark.progress import Progress
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import version_of
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
EXTRA = (extra_field("weather", "string"),)  # made a column
JUNK = [
    b"",
    b"  \t ",
    b"not json",
    b"[]",
    b'"text"',
    b"null",
    b'{"apikey": "a.example"}',
    b'{"apikey": "a.example", "timestamp_info_nginx_ms": 99999999999999}',
    b'{"apikey": "a.example", "timestamp_info_nginx_ms": -9223372036854775808}',
    b'{"timestamp_info_nginx_ms": 1768392000000}',
    b'{"apikey": "a.example", "timestamp_info_nginx_ms": 1768392000000} {"apikey": "b.example"}',
    b'{"apikey": "a.example", "timestamp_info_nginx_ms": 1768392000000} trailing',
    b'{"apikey": "a.example", "timestamp_info_nginx_ms": 1768392000000, "url": "\xff\xfe"}',
    b"not json",
]


def is_bot(user_agent: str | None, ua_browser: str | None) -> bool:
    """The bot rule in plain Python."""
    text = f"{ua_browser or ''} {user_agent or ''}".lower().replace(NOT_A_BOT, "")
    return any(word in text for word in bot_words())


def drifted(lines: list[bytes]) -> Iterator[bytes]:
    """The events again under other ids, with fields that nobody announced and values of other types."""
    for number, line in enumerate(lines):
        event = json.loads(line) | {"event_id": f"drift-{number}", "reader_mood": {"score": number}}
        event |= [{"ip_lat": "north"}, {"weather": "rain"}, {"engaged_time_inc": "7"}][number % 3]
        yield json.dumps(event).encode() + b"\n"


def rescued(sent: dict[str, Any]) -> dict[str, str] | None:
    """What of an event no column holds, each value as text."""
    lost = {"ip_lat"} & {name for name, value in sent.items() if value == "north"}
    columns = {field.name for field in (*EVENT_FIELDS, *EXTRA)} | {"session_key", "event_at", "date", "hour"}
    lost |= sent.keys() - columns
    texts = {name: sent[name] if isinstance(sent[name], str) else json.dumps(sent[name]) for name in lost}
    return {name: text.replace(" ", "") for name, text in texts.items()} or None


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small realistic bucket with a file of junk in it."""
    out = tmp_path_factory.mktemp("bucket")
    generate(out, events=4000, hours=20, seed=11)
    hour = next(iter(sorted((out / "events").glob("*/*/*/*"))))
    with gzip.open(hour / "junk.gz", "wb") as junk:
        junk.write(b"\n".join(JUNK) + b"\n")
    with gzip.open(hour / "drift.gz", "wb") as drift:
        drift.writelines(drifted(gzip.decompress(min(hour.glob("*.gz")).read_bytes()).splitlines()))
    (hour / "_SUCCESS").touch()
    (out / "events" / "README.txt").write_text("not a chunk")
    return out


@pytest.fixture(scope="module")
def expected(bucket: Path) -> Ledger:
    """What the lines of the bucket hold, by the oracle."""
    return unique_events(read_lines(bucket / "events"), datetime.now(UTC))


@pytest.fixture(scope="module")
def filled(spark: SparkSession, bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Summary]:
    """The lake after one run over the whole bucket."""
    lake = Lake(spark, str(tmp_path_factory.mktemp("filled")))
    return lake, run_batch(lake, [str(bucket / "events")], QUIET, Limits(extra=EXTRA))


FACTS = ("events", "rejected_lines", *DERIVED)


def test_every_line_is_accounted_for(filled: tuple[Lake, Summary], expected: Ledger) -> None:
    """lines = inserted + duplicate + rejected + blank, each number as the oracle counts it."""
    _, summary = filled
    assert summary.lines == expected.lines
    assert (summary.inserted, summary.duplicate) == (len(expected.events), expected.duplicate)
    assert (summary.rejected, summary.blank) == (expected.rejected, expected.blank)
    assert summary.unknown_fields == ["reader_mood"]
    assert summary.others == 1


def test_events_hold_each_event_once_with_the_values_that_were_sent(
    filled: tuple[Lake, Summary], expected: Ledger
) -> None:
    """Every field of every event equals the JSON of its line, and the computed columns the oracle's."""
    lake, _ = filled
    computed = {"event_at": F.unix_millis("event_at"), "date": F.col("date").cast("string")}
    plain = [name for name in lake.read("events").columns if name not in computed]
    rows = lake.read("events").select(*plain, *[of.alias(name) for name, of in computed.items()]).collect()
    assert len(rows) == len(expected.events)
    for row in rows:
        sent = expected.events[(row["apikey"], row["event_id"])]
        actual = row.asDict()
        assert actual.pop("is_bot") == is_bot(sent.get("user_agent"), sent.get("ua_browser"))
        kept = actual.pop("_rescued")
        assert (kept and json.loads(kept)) == rescued(sent)
        sent = {name: None if value == "north" else value for name, value in sent.items()}
        assert actual.pop("event_at") == round(sent["event_at"].timestamp() * 1000)
        assert actual.pop("date") == sent["date"].isoformat()
        given = actual.pop("extra_data")
        assert (json.loads(given) if given else None) == sent.get("extra_data")
        assert actual == {name: sent.get(name) for name in actual}


def test_sessions_equal_the_oracle_row_for_row_and_column_for_column(
    filled: tuple[Lake, Summary], expected: Ledger
) -> None:
    """Each session of the table equals the one that plain Python makes of the same lines."""
    lake, _ = filled
    wanted = sessions(expected.events.values(), is_bot)
    columns = {name for name in lake.read("sessions").columns if not name.startswith("_")}
    assert columns == set(next(iter(wanted.values())))
    assert readable(lake, "sessions") == as_text(list(wanted.values()))


@pytest.mark.parametrize("table", [table for table in DERIVED if table != "sessions"])
def test_the_other_tables_equal_the_oracle_row_for_row_and_column_for_column(
    filled: tuple[Lake, Summary], expected: Ledger, table: str
) -> None:
    """Each row of the table equals the one that plain Python makes of the same lines."""
    lake, _ = filled
    wanted = tables(list(expected.events.values()), is_bot)[table]
    columns = {name for name in lake.read(table).columns if not name.startswith("_")}
    assert columns - {"version_key", "visitors_sketch"} == set(wanted[0])
    assert len(wanted) > 10
    assert readable(lake, table) == as_text(wanted)


def test_a_rejected_line_is_kept_with_its_reason(filled: tuple[Lake, Summary]) -> None:
    """Each distinct junk line is in rejected_lines once, raw, or base64 where it is not UTF-8."""
    lake, _ = filled
    rows = {row["line"]: row["reason"] for row in lake.read("rejected_lines").collect()}
    assert rows["not json"] == "not_an_object"
    assert rows["[]"] == "not_an_object"
    assert rows['{"apikey": "a.example"}'] == "no_time"
    assert rows['{"timestamp_info_nginx_ms": 1768392000000}'] == "no_apikey"
    assert sum(reason == "time_out_of_range" for reason in rows.values()) == 2
    assert sum(reason == "not_utf8" for reason in rows.values()) == 1
    assert len(rows) == len({line for line in JUNK if line.strip()})


def test_the_same_batch_again_reads_nothing(filled: tuple[Lake, Summary], bucket: Path) -> None:
    """Every file is in the ledger; no table of facts is touched."""
    lake, first = filled
    before = {table: version_of(lake, table) for table in FACTS}
    again = run_batch(lake, [str(bucket)], QUIET)
    assert (again.files, again.known, again.lines, again.rows_touched) == (0, first.files, 0, dict.fromkeys(DERIVED, 0))
    assert {table: version_of(lake, table) for table in FACTS} == before


def test_the_same_hours_delivered_again_rewrite_no_file(
    filled: tuple[Lake, Summary], bucket: Path, tmp_path: Path
) -> None:
    """As other chunks and as one data.gz an hour: all duplicates, and no commit to a table of facts."""
    lake, first = filled
    before = {table: version_of(lake, table) for table in FACTS}
    for hour in (bucket / "events").glob("*/*/*/*"):
        whole = tmp_path / "compacted" / "events" / hour.relative_to(bucket / "events") / "data.gz"
        whole.parent.mkdir(parents=True)
        whole.write_bytes(b"".join(chunk.read_bytes() for chunk in sorted(hour.glob("*.gz"))))
    shutil.copytree(bucket, tmp_path / "copied")
    for source in ("copied", "compacted"):
        again = run_batch(lake, [str(tmp_path / source)], QUIET)
        assert (again.lines, again.inserted) == (first.lines, 0)
        assert again.duplicate == first.inserted + first.duplicate
    assert {table: version_of(lake, table) for table in FACTS} == before


def test_the_ledger_accounts_for_every_line_of_every_file(filled: tuple[Lake, Summary], bucket: Path) -> None:
    """Its counts are those of the bytes on disk, and add up to those of the run."""
    lake, first = filled
    ledger = lake.read("ingested_files").where(F.col("run_id") == first.run_id).collect()
    for row in ledger:
        content = gzip.decompress(Path(row["path"].removeprefix("file:")).read_bytes())
        assert row["lines"] == len(content.splitlines()), row
        assert row["lines"] == row["inserted"] + row["duplicate"] + row["rejected"] + row["blank"], row
    assert len(ledger) == first.files
    for name in ("lines", "inserted", "duplicate", "rejected", "blank"):
        assert sum(row[name] for row in ledger) == getattr(first, name)
    (run,) = lake.read("runs").where(F.col("run_id") == first.run_id).collect()
    assert (run["outcome"], run["lines"], run["inserted"]) == ("done", first.lines, first.inserted)


def test_hours_in_any_order_give_the_tables_of_one_run(
    spark: SparkSession, filled: tuple[Lake, Summary], bucket: Path, tmp_path: Path
) -> None:
    """Late hours first, a part twice: merges into existing rows end where one fold over everything ends."""
    whole, _ = filled
    parts, some_tables = Lake(spark, str(tmp_path / "parts")), ("sessions", "pageviews", "posts", "post_hours")
    hours = sorted((bucket / "events").glob("*/*/*/*"))
    for number, some in enumerate([hours[12:], hours[:5], hours[3:13]]):
        source = tmp_path / f"source{number}"
        for hour in some:
            target = source / "events" / hour.relative_to(bucket / "events")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(hour)
        run_batch(parts, [str(source)], QUIET, Limits(tables=some_tables, extra=EXTRA))
    for table in ("events", *some_tables):
        assert rows_of(parts, table) == rows_of(whole, table), table
