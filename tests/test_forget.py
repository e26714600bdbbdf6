"""Whoever is forgotten is nowhere any more, everybody else is as if there had been nobody, and so it stays."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from costs import cost_of_block
from lakes import DERIVED, readable
from oracle import read_lines, sessions, unique_events
from oracle_tables import as_text, tables
from programs import end, start
from pyspark.sql import functions as F

from parsely_spark import columns, ingest, session
from parsely_spark.cli import main
from parsely_spark.commands import _visitors
from parsely_spark.errors import SettingsError
from parsely_spark.pipelines import forget
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.forget import Wish, run_forget
from parsely_spark.pipelines.rebuild import run_rebuild
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.settings import ForgetSettings
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.forgotten import listed, remember
from parsely_spark.tables.vacuum import Kept
from parsely_spark.testing.generate import generate
from parsely_spark.transforms.forgetting import Listed, keyed_hash, keyed_hash_of, set_aside

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
SALT = "00ff" * 16
# Of a visitor; of what others have a part in, with cells and without.
OF_EACH_KIND = ("sessions", "post_hours", "posts")


def events_of(bucket: Path) -> list[dict[str, Any]]:
    lines = [line for path in bucket.glob("events/**/*.gz") for line in gzip.decompress(path.read_bytes()).splitlines()]
    return [json.loads(line) for line in lines if line.startswith(b"{") and b"apikey" in line]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hours in which a visitor is also in lines that are no events, and in a field that nobody knows."""
    out = tmp_path_factory.mktemp("forget") / "bucket"
    generate(out, events=900, hours=4, seed=12)
    who = visitor_of(out)
    (first, *_) = events_of(out)
    other = first | {"event_id": "tells of another", "visitor_site_id": "somebody else", "other_id": who}
    more = [
        json.dumps({"visitor_site_id": who, "url": "no site, no time"}).encode(),
        b'{"broken \xff": "' + who.encode() + b'"}',
        json.dumps(other).encode(),
        b"oops",
    ]
    chunk = sorted(out.glob("events/**/*.gz"))[0]
    chunk.write_bytes(chunk.read_bytes() + gzip.compress(b"\n".join(more) + b"\n"))
    return out


def visitor_of(bucket: Path) -> str:
    """The one with the most events."""
    found = Counter(event.get("visitor_site_id") for event in events_of(bucket))
    return next(str(visitor) for visitor, _ in found.most_common() if visitor and len(visitor) > len("OPTOUT"))


def hour_of(event: dict[str, Any]) -> str:
    return datetime.fromtimestamp(event["timestamp_info_nginx_ms"] / 1000, UTC).strftime("%Y/%m/%d/%H")


def is_bot(user_agent: str | None, ua_browser: str | None) -> bool:
    """By the package's own words: who is one is no claim of these tests."""
    text = f"{ua_browser or ''} {user_agent or ''}".lower().replace(columns.NOT_A_BOT, "")
    return any(word in text for word in columns.bot_words())


def without(bucket: Path, visitor: str) -> dict[str, list[str]]:
    """The tables of a lake that never had the visitor, by the oracle."""
    theirs = [line for line in read_lines(bucket) if visitor.encode() not in line or b"tells of another" in line]
    events = list(unique_events(theirs, datetime.now(UTC)).events.values())
    rows = {"sessions": list(sessions(events, is_bot).values()), **tables(events, is_bot)}
    return {table: as_text(rows[table]) for table in DERIVED}


def assert_is_without(lake: Lake, bucket: Path, visitor: str, names: tuple[str, ...] = DERIVED) -> None:
    wanted = without(bucket, visitor)
    for table in names:
        assert readable(lake, table) == wanted[table], table
    findings = run_verify(lake, QUIET, tables=names)
    assert findings.is_right, (findings.differences, findings.unbalanced)


def holding(lake: Lake, text: str) -> list[str]:
    """The files of data in which a text is, in their bytes or in what is read from them."""
    found = []
    for path in Path(lake.place).rglob("*.parquet"):
        if "_delta_log" in path.parts:
            continue
        rows = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=repr)
        if text in rows or text.encode() in path.read_bytes():
            found.append(str(path.relative_to(lake.place)))
    return found


def test_a_visitor_is_deleted_everywhere_and_does_not_come_back(
    bucket: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: the visitor is in every table; of a part of the files first, so that rows were changed since
    who = visitor_of(bucket)
    lake = Lake(spark, str(tmp_path / "lake"))
    for number in range(2):
        for path in sorted(bucket.glob("events/**/*.gz"))[number::2]:
            target = tmp_path / str(number) / path.relative_to(bucket)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        run_batch(lake, [str(tmp_path / str(number))], QUIET)
    places = {path.split("/")[0] for path in holding(lake, who)}
    assert {"events", "sessions", "pageviews", "visitor_days", "rejected_lines"} <= places
    events = lake.read("events").where(F.col("visitor_site_id") == who).count()
    monkeypatch.setattr(forget, "kept_for", lambda *_, **__: Kept(hours=0))
    # when
    proof = run_forget(lake, QUIET, Wish(visitors=(who,)))
    # then
    assert holding(lake, who) == []
    assert_is_without(lake, bucket, who)
    assert (proof.tables["events"].found, proof.tables["events"].touched) == (events + 1, events)
    assert (proof.tables["rejected_lines"].found, proof.remaining) == (2, 0)
    assert proof.sources == [str(tmp_path / str(number)) for number in range(2)]
    assert proof.folders == sorted({hour_of(event) for event in events_of(bucket) if who in event.values()})
    assert who not in str(proof) + repr(proof)
    # and: read again, from files that nobody knows
    shutil.copytree(bucket, tmp_path / "again")
    again = run_batch(lake, [str(tmp_path / "again")], QUIET)
    assert again.inserted == 0
    assert again.rejected == sum(who.encode() in line and b"another" not in line for line in read_lines(bucket)) + 1
    assert again.lines == again.inserted + again.duplicate + again.rejected + again.blank
    run_rebuild(lake, ("posts",), QUIET)
    assert holding(lake, who) == []
    assert_is_without(lake, bucket, who, ("sessions", "posts"))


@pytest.mark.parametrize("point", ["erased events", "folded sessions"])
def test_killed_on_the_way_the_next_run_of_anything_makes_the_tables_right(
    bucket: Path, spark: SparkSession, tmp_path: Path, point: str
) -> None:
    # given: one file is still to be read
    who = visitor_of(bucket)
    lake = Lake(spark, str(tmp_path / "lake"))
    shutil.copytree(bucket, tmp_path / "source")
    last = sorted((tmp_path / "source").glob("events/**/*.gz"))[-1]
    last.rename(tmp_path / "last")
    run_batch(lake, [str(tmp_path / "source")], QUIET, Limits(tables=OF_EACH_KIND))
    (tmp_path / "visitors").write_text(f"{who}\n\n")
    # when
    flags = ("--lake", lake.place, "--visitors-from", tmp_path / "visitors")
    code, said = end(start(tmp_path, "forget", *flags, crash_at=point))
    assert code == -signal.SIGKILL, said
    (tmp_path / "last").rename(last)
    run_batch(lake, [str(tmp_path / "source")], QUIET, Limits(tables=OF_EACH_KIND))
    # then
    assert_is_without(lake, bucket, who, OF_EACH_KIND)
    # and: what the dead run has deleted is noted by the next
    proof = run_forget(lake, QUIET, Wish(visitors=(who,)))
    assert proof.remaining == 0
    noted = lake.read("runs").where("job = 'forget'").select("outcome", F.col("rows_touched")["events"]).collect()
    assert sorted(tuple(row) for row in noted) == [("done", 0), ("failed", noted_events(lake))]


def noted_events(lake: Lake) -> int:
    deleted = lake.delta("events").history().where("operation = 'DELETE'").select("operationMetrics").collect()
    return sum(int(row[0]["numDeletedRows"]) for row in deleted)


def test_who_is_forgotten_while_a_run_reads_lines_is_not_brought_in_by_it(
    bucket: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    who = visitor_of(bucket)
    lake = Lake(spark, str(tmp_path / "lake"))
    insert = ingest.insert_events

    def then_forgotten(*given: Any, **more: Any) -> Any:
        remember(lake, [who], None, run_id="1")
        return insert(*given, **more)

    monkeypatch.setattr(ingest, "insert_events", then_forgotten)
    # when
    limits = Limits(tables=("sessions",))
    summary = run_batch(lake, [str(bucket)], QUIET, limits)
    # then
    theirs = sum(event.get("visitor_site_id") == who for event in events_of(bucket))
    assert 0 < summary.inserted - lake.read("events").count() <= theirs
    for table in ("events", "sessions"):
        assert lake.read(table).where(F.col("visitor_site_id") == who).isEmpty()
    assert run_verify(lake, QUIET, tables=("sessions",)).is_right


def test_a_visitor_is_known_by_a_hash_on_one_site_or_on_all(spark: SparkSession) -> None:
    everywhere, of_site = "ünïcode", "b"
    who = Listed(SALT, frozenset([keyed_hash(everywhere, SALT)]), frozenset([keyed_hash(f"site\n{of_site}", SALT)]))
    rows = [
        ("site", everywhere, None, "{}"),
        ("site", of_site, None, "{}"),
        ("other", of_site, None, "{}"),
        ("site", None, None, "{}"),
        (None, None, "no_time", '{"visitor_site_id" : "b", "apikey":"site"}'),
        (None, None, "no_time", '{"visitor_site_id" : "b", "apikey":"other"}'),
        (None, None, None, "  "),
    ]
    lines = spark.createDataFrame(rows, "apikey string, visitor_site_id string, _reason string, _line string")
    reasons = [row["_reason"] for row in set_aside(lines, who).collect()]
    assert reasons == ["forgotten", "forgotten", None, None, "forgotten", "no_time", None]
    long = "x" * 100
    hashed = spark.range(1).select(keyed_hash_of(F.lit(long), SALT)).collect()[0][0]
    assert hashed == keyed_hash(long, SALT)


def test_where_nobody_was_forgotten_that_costs_no_work_of_sparks(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))
    with cost_of_block(spark) as cost:
        assert listed(lake) is None
    assert cost.jobs == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "neither of --visitor ID and --visitors-from FILE given"),
        ({"visitor": ("OPTOUT",)}, "stands for many people"),
        ({"visitor": tuple(map(str, range(1001)))}, "1,001 visitors given; give up to 1,000 at once"),
        ({"visitors_from": "/dev/null"}, "names nobody"),
    ],
)
def test_who_is_to_be_forgotten_has_to_be_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        _visitors(ForgetSettings(lake="lake", **given))


def test_the_first_of_a_file_is_the_same_visitor_whatever_the_editor_writes_before_it(tmp_path: Path) -> None:
    file = tmp_path / "visitors.txt"
    file.write_bytes(b"\xef\xbb\xbfpid=1\r\npid=2\r\n")
    assert _visitors(ForgetSettings(lake="lake", visitors_from=str(file))) == ("pid=1", "pid=2")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, "cannot be read (No such file or directory); check the path and its permissions."),
        ("pid=1\n".encode("utf-16"), "is not UTF-8; save it as that."),
    ],
)
def test_a_file_of_visitors_that_cannot_be_read_is_named_before_spark_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], held: bytes | None, said: str
) -> None:
    file = tmp_path / "visitors.txt"
    if held is not None:
        file.write_bytes(held)
    monkeypatch.setattr(session, "get_session", lambda *_: pytest.fail("Spark is started"))
    with pytest.raises(SystemExit) as leaving:
        main(["forget", "--lake", str(tmp_path / "lake"), "--visitors-from", str(file)])
    assert leaving.value.code == 2
    assert capsys.readouterr().err == f"parsely-spark forget: visitors_from={str(file)!r} {said}\n"
