"""What `status` shows of a lake: rows that were put there are told as they are."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fake_kinesis import FakeKinesis, fake_kinesis
from lakes import DERIVED

from parsely_spark import session
from parsely_spark.cli import main
from parsely_spark.errors import LakeError
from parsely_spark.kinesis_settings import OURS, KinesisSettings
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.status import run_status
from parsely_spark.pipelines.stream import Pace, run_stream
from parsely_spark.progress import Progress
from parsely_spark.settings import BatchSettings
from parsely_spark.sources.kinesis.readers import reader_of
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.ledger import record_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from parsely_spark.glance import Run, Status

QUIET = Progress(is_terminal=False)
NOW = datetime(2026, 1, 15, 12, 40, tzinfo=UTC)
SOURCE = "s3a://parsely-dw-example-com/events"


@pytest.fixture
def kinesis() -> Iterator[FakeKinesis]:
    """A server."""
    with fake_kinesis(asked_by_one=False) as running:
        yield running


def look(lake: Lake) -> Status:
    """Its status at `NOW`."""
    return run_status(lake, QUIET, now=NOW)


def put_events(lake: Lake, events: Sequence[tuple[str, datetime]]) -> None:
    """Rows of ``events``: site and instant."""
    rows = [(site, f"e{number}", at, at.date(), at.hour) for number, (site, at) in enumerate(events)]
    columns = "apikey string, event_id string, event_at timestamp, date date, hour int"
    put(lake, "events", columns, rows)


def put(lake: Lake, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of *table* with some of its columns."""
    frame = lake.spark.createDataFrame(rows, columns)
    frame.coalesce(1).write.format("delta").mode("append").saveAsTable(lake.name_of(table))


def put_run(lake: Lake, job: str, run_id: str, ended_at: datetime, **more: Any) -> None:
    """A row of ``runs`` of five minutes."""
    row = {"job": job, "run_id": run_id, "started_at": ended_at - timedelta(minutes=5), "ended_at": ended_at}
    record_run(lake, row | {"outcome": "done"} | more)


def put_gap(lake: Lake, *gaps: tuple[str, datetime, datetime], noted_at: datetime = NOW) -> None:
    """A row of a stream that notes gaps: shard, begin and end."""
    put_run(lake, "stream", "s", noted_at, outcome="gap", gaps=list(gaps))


def ago(**of: float) -> datetime:
    return NOW - timedelta(**of)


def test_a_lake_that_is_not_there_or_empty_is_told_in_a_sentence(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"^\S+nothing: it has no table events; give the folder or the catalog schema"):
        look(Lake(lake.spark, f"file:{tmp_path}/nothing"))
    with pytest.raises(
        LakeError, match=r"^\S+lake: it is empty; `parsely-spark batch` or `stream` brings events in\.$"
    ):
        look(lake)


def test_events_are_counted_by_site_and_hour(lake: Lake) -> None:
    """The present hour is the last; what is older, or of a clock that is ahead, is of no hour that is shown."""
    newest = {"a.example": ago(minutes=2), "b.example": ago(days=3), "c.example": ago(minutes=-50)}
    events = [
        *(("a.example", at) for at in (ago(minutes=2), ago(minutes=40), ago(minutes=41), ago(hours=5), ago(hours=30))),
        *(("b.example", at) for at in (ago(days=3), ago(days=4))),
        *(("c.example", at) for at in (ago(hours=23, minutes=40), ago(hours=23, minutes=41), ago(minutes=-50))),
    ]
    put_events(lake, events)
    status = look(lake)
    first = datetime(2026, 1, 14, 13, tzinfo=UTC)
    assert status.first_hour_at == first
    hours = [first + timedelta(hours=number) for number in range(24)]
    expected = {
        site: tuple(sum(s == site and h <= at < h + timedelta(hours=1) for s, at in events) for h in hours)
        for site in newest
    }
    assert {site.apikey: site.hours for site in status.sites} == expected
    assert {site.apikey: site.newest_at for site in status.sites} == newest
    assert [site.age_s for site in status.sites] == [120, 3 * 86_400, 0]
    assert status.behind == dict.fromkeys(DERIVED, 1)
    shown = str(status).splitlines()
    assert "a.example  2026-01-15 12:38:00  2 min         4       2  ··················▄···▄█" in shown
    assert "b.example  2026-01-12 12:40:00  3 d           0       0  ························" in shown


def test_a_lake_of_last_month_is_shown_as_old(lake: Lake) -> None:
    put_events(lake, [("a.example", ago(days=40))])
    assert [(site.apikey, site.age_s) for site in look(lake).sites] == [("a.example", 40 * 86_400)]


def test_the_last_runs_of_each_job_are_shown(lake: Lake) -> None:
    """Of batch the last three of some days; the rows of a stream are one run, with its last batch that had records."""
    counts = {"lines": 90, "inserted": 70, "duplicate": 15, "rejected": 5, "blank": 0}
    for hours in (40, 3, 2, 1):
        outcome = {"outcome": "failed", "error": "no disk"} if hours == 2 else {}
        put_run(lake, "batch", f"b{hours}", ago(hours=hours), files=hours, quarantined=0, **counts, **outcome)
    batches = [(1, ago(days=9), 600, 6_000, 1_500, 2_000), (2, ago(days=9), 300, 3_000, 250, 1_200)]
    quiet = [(3, ago(days=9), 0, 0, None, 40)]
    put_run(lake, "stream", "old", ago(days=10), lines=1, batches=[(0, ago(days=10), 1, 1, 9, 9)])
    put_run(lake, "stream", "new", ago(days=9, minutes=9), outcome="running", batches=batches, **counts)
    put_run(lake, "stream", "new", ago(days=9), outcome="running", batches=quiet, **dict.fromkeys(counts, 1))
    *of_batch, new, old = look(lake).runs
    assert [(run.run_id, run.outcome, run.error, run.files, run.age_s) for run in of_batch] == [
        ("b1", "done", None, 1, 3_600),
        ("b2", "failed", "no disk", 2, 7_200),
        ("b3", "done", None, 3, 10_800),
    ]
    assert [batch_of(run) for run in (of_batch[0], new, old)] == [(None,) * 3, (250, 250, 1_200), (9, 111, 9)]
    assert (new.job, new.run_id, new.outcome, new.age_s) == ("stream", "new", "running", 9 * 86_400)
    assert new.started_at == ago(days=9, minutes=14)
    assert [(run.lines, run.inserted, run.duplicate, run.rejected) for run in (of_batch[0], new)] == [
        (90, 70, 15, 5),
        (91, 71, 16, 6),
    ]


def batch_of(run: Run) -> tuple[int | None, ...]:
    """Of the last batch of a stream: ms behind, lines per second, ms."""
    return run.lag_ms, run.lines_per_s, run.batch_ms


def test_the_lines_of_the_last_days_are_accounted_for(lake: Lake) -> None:
    """Of batch and stream; with fields that nobody knows, reasons of rejected lines, and files that stay broken."""
    counts = {"lines": 90, "inserted": 70, "duplicate": 15, "rejected": 5, "blank": 0}
    put_run(lake, "batch", "b", ago(hours=1), unknown_fields=["new", "newer"], **counts)
    put_run(lake, "stream", "s", ago(hours=30), unknown_fields=["new"], **dict.fromkeys(counts, 2))
    put_run(lake, "batch", "old", ago(days=5), unknown_fields=["old"], **counts)
    put_run(lake, "maintain", "m", ago(hours=2))
    lines = [
        ("not_json", 1, NOW.date()),
        ("no_site", 2, NOW.date()),
        ("no_site", 3, NOW.date()),
        ("a", 4, date(2026, 1, 1)),
    ]
    put(lake, "rejected_lines", "reason string, line_sha256 string, date date", [(r, str(n), d) for r, n, d in lines])
    files = [
        ("torn.gz", "it ends too early", ago(hours=9), ago(hours=8)),
        ("mended.gz", "it ends too early", ago(hours=9), ago(hours=8)),
        ("mended.gz", None, ago(hours=7), ago(hours=6)),
        ("good.gz", None, ago(hours=7), ago(hours=6)),
    ]
    put(lake, "ingested_files", "path string, error string, modified_at timestamp, ingested_at timestamp", files)
    status = look(lake)
    assert [(run.job, run.run_id) for run in status.runs] == [("batch", "b"), ("stream", "s"), ("maintain", "m")]
    wrong = dataclasses.asdict(status.account)
    assert wrong["reasons"] == {"no_site": 2, "not_json": 1}
    assert wrong["unknown_fields"] == ("new", "newer")
    assert wrong["broken"] == {"torn.gz": "it ends too early"}
    # The rows of the stream are made up, and do not add up.
    assert "Of 2 days: 92 lines = 72 inserted + 17 duplicate + 7 rejected + 2 blank -6, WHICH NOBODY" in str(status)
    assert "Left out until a whole one is in its place: torn.gz: it ends too early" in str(status)


def test_gaps_are_shown_until_batch_has_listed_their_hours(lake: Lake) -> None:
    """Noted twice, of two shards; a run that failed heals nothing."""
    since, until = ago(hours=30), ago(hours=26)
    put_gap(lake, ("shard-1", since, until), ("shard-0", since, until), noted_at=ago(hours=2))
    put_gap(lake, ("shard-1", since, until), noted_at=ago(hours=1))
    listed = ([SOURCE], None, None, [])
    put_run(lake, "batch", "b1", NOW, listed=listed, outcome="failed")
    (gap,) = look(lake).gaps
    assert (gap.since, gap.until, gap.shards, gap.sources) == (since, until, ("shard-0", "shard-1"), ())
    left_out = f"{SOURCE}/2026/01/14/08/x.gz"
    put_run(lake, "batch", "b2", NOW, listed=([SOURCE], None, None, [left_out]), outcome="incomplete")
    status = look(lake)
    assert [(gap.sources, gap.left_out) for gap in status.gaps] == [((SOURCE.removesuffix("/events"),), (left_out,))]
    assert str(status).splitlines()[-1] == (
        "Gap: 2026-01-14 06:40:00 to 2026-01-14 10:40:00 of shard-0, shard-1 may be lost to the stream; `parsely-spark "
        "batch --source s3a://parsely-dw-example-com "
        f"--lake {lake.place} --from 2026-01-14T06 --until 2026-01-14T11` brings it in; {left_out} "
        "was left out."
    )
    put_run(lake, "batch", "b3", NOW, listed=([SOURCE], datetime(2026, 1, 14, 6, tzinfo=UTC), None, []))
    healed = look(lake)
    assert healed.gaps == []
    assert str(healed).splitlines()[-1] == "No gaps of a stream are open."


def test_a_gap_of_a_stream_is_healed_by_batch(
    lake: Lake,
    kinesis: FakeKinesis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command that is shown, although but one of the hours has a file; the tables are then whole."""

    def take(*events: bytes, **options: str) -> None:
        kinesis.put("s", *events)
        given = {"stream": "s", "region": "us-east-1", "endpoint_url": kinesis.url}
        reader = reader_of(OURS, KinesisSettings.of_options(given | options))
        pace = Pace(checkpoint=f"file:{tmp_path}/checkpoint", drains=True, tables=("conversions",))
        run_stream(lake, reader, QUIET, pace)

    # given: one event came in time, one was lost, one came after it
    kinesis.advance(-40 * 3600)
    kinesis.create("s")
    began = datetime.fromtimestamp(kinesis.now_ms() / 1000, UTC)
    take(event("kept", began))
    lost_at = began + timedelta(hours=8)
    folder = tmp_path / f"bucket/events/{lost_at:%Y/%m/%d/%H}"
    folder.mkdir(parents=True)
    (folder / "x.gz").write_bytes(gzip.compress(event("lost", lost_at)))
    kinesis.advance(40 * 3600)
    take(event("later", began + timedelta(hours=40)), on_gap="heal-later")
    # then
    monkeypatch.setattr(session, "get_session", lambda *_: lake.spark)
    shown = command(lake, capsys)
    begin, end = re.search(r"batch --source URI --lake \S+ --from (\S+) --until (\S+?)`", shown).groups()
    (gap,) = json.loads(command(lake, capsys, "--json"))["gaps"]
    since, until = (datetime.fromisoformat(gap[name]) for name in ("since", "until"))
    assert abs(since - began) < timedelta(minutes=10)
    assert timedelta(hours=15) < until - since < timedelta(hours=17)
    # when
    asked = BatchSettings(source=(f"{tmp_path}/bucket",), lake=lake.place, from_=begin, until=end)
    done = run_batch(lake, asked.sources, QUIET, Limits(begin=asked.begin, end=asked.end, tables=("conversions",)))
    # then
    assert (done.files, done.inserted) == (1, 1)
    assert sorted(row["event_id"] for row in lake.read("events").collect()) == ["kept", "later", "lost"]
    healed = json.loads(command(lake, capsys, "--json"))
    assert healed["gaps"] == []
    assert [(run["job"], run["inserted"]) for run in healed["runs"]] == [("batch", 1), ("stream", 1), ("stream", 1)]
    assert sum(healed["sites"][0]["hours"]) == 1
    assert healed["behind"]["conversions"] == 0
    assert healed["behind"]["sessions"] > 0


def event(event_id: str, at: datetime) -> bytes:
    """A line."""
    ms = round(at.timestamp() * 1000)
    return json.dumps(
        {"apikey": "a.example", "event_id": event_id, "action": "pageview", "timestamp_info_nginx_ms": ms}
    ).encode()


def command(lake: Lake, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """What the command prints."""
    capsys.readouterr()
    assert main(["status", "--lake", lake.place, *flags]) == 0
    out: str = capsys.readouterr().out
    return out


def test_the_command_tells_what_is_wrong_and_is_exit_code_1(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "get_session", lambda *_: spark)
    with pytest.raises(SystemExit) as leaving:
        main(["status", "--lake", str(tmp_path / "lake")])
    assert leaving.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"parsely-spark status: file:{tmp_path}/lake: it has no table events;")
    assert not (tmp_path / "lake").exists()
