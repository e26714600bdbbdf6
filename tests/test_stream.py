"""A Kinesis stream becomes the tables that the same events in files become, once each, whatever happens on the way."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from aggregates import aggregate
from fake_kinesis import HOUR_MS, FakeKinesis, fake_kinesis
from lakes import rows_of
from pyspark.sql import functions as F

from parsely_spark.errors import SourceError
from parsely_spark.kinesis_settings import OF_DATABRICKS, OF_EMR, OURS, KinesisSettings
from parsely_spark.pipelines import stream
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.stream import Pace, Streamed, run_stream
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.privacy_settings import PrivacySettings
from parsely_spark.progress import Progress
from parsely_spark.sources.kinesis.readers import Reader, reader_of
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from parsely_spark.tables.catalog import Lake

QUIET = Progress(is_terminal=False)
TABLES = ("sessions",)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture
def kinesis() -> Iterator[FakeKinesis]:
    """A server with a stream ``s`` of one shard."""
    with fake_kinesis(asked_by_one=False) as running:
        running.create("s")
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw events in files."""
    folder = tmp_path_factory.mktemp("stream") / "bucket"
    generate(folder, events=600, hours=3, seed=6)
    return folder


@pytest.fixture(scope="module")
def lines(bucket: Path) -> list[bytes]:
    """The same as records, in the order of the files."""
    files = sorted(bucket.rglob("*.gz"))
    return [line for file in files for line in gzip.decompress(file.read_bytes()).split(b"\n") if line]


def reader(kinesis: FakeKinesis, **options: str) -> Reader:
    """Ours, of the stream ``s``."""
    return reader_of(OURS, options_of(kinesis, **options))


def options_of(kinesis: FakeKinesis, **options: str) -> KinesisSettings:
    """Of the stream ``s``."""
    given = {"stream": "s", "region": "us-east-1", "endpoint_url": kinesis.url}
    return KinesisSettings.of_options(given | options)


def drain(lake: Lake, kinesis: FakeKinesis, checkpoint: Path, **options: str) -> Streamed:
    """Take what is in the stream."""
    pace = Pace(checkpoint=f"file:{checkpoint}", drains=True, tables=TABLES)
    return run_stream(lake, reader(kinesis, **options), QUIET, pace)


def follow(lake: Lake, kinesis: FakeKinesis, checkpoint: Path) -> Streamed:
    """Take what comes until the query is stopped."""
    pace = Pace(checkpoint=f"file:{checkpoint}", trigger_s=1, tables=TABLES)
    return run_stream(lake, reader(kinesis), QUIET, pace)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < end
        time.sleep(1)


def uncommit(checkpoint: Path) -> None:
    """As if the last run had been killed within its last batch."""
    newest = max((checkpoint / "commits").glob("[0-9]*"), key=lambda commit: int(commit.name))
    newest.unlink()
    (newest.parent / f".{newest.name}.crc").unlink()


@contextmanager
def putting(kinesis: FakeKinesis, lines: list[bytes]) -> Iterator[list[bytes]]:
    """Put a line after the other, round and round, within the block, or for ten minutes; gives what has been put."""
    put: list[bytes] = []
    is_over = threading.Event()

    def run() -> None:
        for line in cycle(lines):
            if is_over.wait(0.2) or len(put) == 3000:
                return
            kinesis.put("s", line)
            put.append(line)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield put
    finally:
        is_over.set()
        thread.join()


def is_utf8(data: bytes) -> bool:
    """Whether it is text."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def last_run(lake: Lake) -> dict[str, Any]:
    """The newest row of ``runs``."""
    return lake.read("runs").orderBy("ended_at", ascending=False).limit(1).collect()[0].asDict(recursive=True)


def noted_gaps(lake: Lake) -> list[tuple[str, dict[str, Any]]]:
    """Every gap in ``runs``, with the outcome of its row."""
    rows = [row.asDict(recursive=True) for row in lake.read("runs").collect()]
    return [(row["outcome"], gap) for row in rows for gap in row["gaps"]]


def test_both_doors_lead_to_the_same_tables(
    lake: Lake, kinesis: FakeKinesis, bucket: Path, lines: list[bytes], tmp_path: Path
) -> None:
    """Drained twice with records put in between, and a split; then the files bring nothing new."""
    half = len(lines) // 2
    kinesis.put("s", *lines[:half])
    first = drain(lake, kinesis, tmp_path / "checkpoint")
    assert first.lines == half
    kinesis.split("s", kinesis.open_shards("s")[0])
    kinesis.put("s", *lines[half:], b"", b"no event", lines[0] + b"\n" + lines[1])
    second = drain(lake, kinesis, tmp_path / "checkpoint")
    assert (second.lines, second.rejected, second.blank) == (len(lines) - half + 4, 1, 1)
    assert drain(lake, kinesis, tmp_path / "checkpoint").lines == 0

    of_files = run_batch(lake, [f"file:{bucket}"], QUIET, Limits(tables=TABLES))
    assert (of_files.lines, of_files.inserted) == (len(lines), 0)
    assert first.inserted + second.inserted == lake.read("events").count() == 600
    assert run_verify(lake, QUIET, tables=TABLES).is_right


def test_a_drain_in_slices_takes_all_that_was_there_and_ends_while_more_comes(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """Also where the run before it died in a batch, which is then the first to be taken."""
    before, later = lines[:90], lines[90:]
    for part in (before[:30], before[30:60], before[60:]):
        kinesis.put("s", *part)
        kinesis.advance(60)
    with putting(kinesis, later) as put:
        first = drain(lake, kinesis, tmp_path / "checkpoint", shard_s="30")
        assert len(put) < 3000
    rows = lake.read("runs").where(F.col("run_id") == first.run_id).orderBy("ended_at").collect()
    batches = [batch["lines"] for row in rows for batch in row["batches"] if batch["lines"]]
    assert len(batches) >= 3
    assert sum(batches) == first.lines >= len(before)
    assert first.lines < len(before) + len(put)
    assert not [call for call in kinesis.too_fast if call.startswith("GetRecords")]

    uncommit(tmp_path / "checkpoint")
    rest = drain(lake, kinesis, tmp_path / "checkpoint", shard_s="30")
    assert rest.lines == len(before) + len(put) - first.lines + batches[-1]
    ids = {json.loads(line)["event_id"] for line in [*before, *put]}
    assert first.inserted + rest.inserted == len(ids)
    assert {row["event_id"] for row in lake.read("events").select("event_id").collect()} == ids
    assert run_verify(lake, QUIET, tables=TABLES).is_right


def test_a_stream_is_followed_as_it_grows_until_its_query_is_stopped(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """Begun twice: with records that come later, and over a split."""
    ids = [json.loads(line)["event_id"] for line in lines]
    is_following = threading.Event()

    def grow(begin: int, end: int) -> None:
        try:
            for number in range(begin, end, 50):
                kinesis.put("s", *lines[number : number + 50])
                wait_for(lambda till=number + 50: lake.read("events").count() == len(set(ids[:till])))
            wait_for(lambda: len(logged("offsets")) == len(logged("commits")))
        finally:
            if is_following.is_set():
                for query in lake.spark.streams.active:
                    query.stop()

    def logged(what: str) -> list[Path]:
        return list((tmp_path / "checkpoint" / what).glob("[0-9]*"))

    for begin in (0, 150):
        thread = threading.Thread(target=grow, args=(begin, begin + 150))
        is_following.set()
        thread.start()
        try:
            followed = follow(lake, kinesis, tmp_path / "checkpoint")
        finally:
            is_following.clear()
        thread.join()
        assert followed.lines == 150
        kinesis.split("s", kinesis.open_shards("s")[0])
    assert run_verify(lake, QUIET, tables=TABLES).is_right


def test_a_lost_checkpoint_changes_no_table(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """The stream is taken from its beginning again."""
    kinesis.put("s", *lines[:200])
    drain(lake, kinesis, tmp_path / "checkpoint")
    before = rows_of(lake, "events"), rows_of(lake, "sessions")
    shutil.rmtree(tmp_path / "checkpoint")
    again = drain(lake, kinesis, tmp_path / "checkpoint")
    assert (again.lines, again.inserted, again.duplicate) == (200, 0, 200)
    assert (rows_of(lake, "events"), rows_of(lake, "sessions")) == before


def test_what_the_stream_lost_is_told_and_noted(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """An error first, by a sentence; then, if it is asked to go on, a row that says when."""
    kinesis.put("s", *lines[:10])
    drain(lake, kinesis, tmp_path / "checkpoint")
    kinesis.put("s", *lines[10:20])
    kinesis.advance(25 * 3600)
    kinesis.put("s", *lines[20:30])
    with pytest.raises(SourceError, match=r"^s keeps records for 24 h, .*--on-gap heal-later, and run `parsely"):
        drain(lake, kinesis, tmp_path / "checkpoint")
    assert last_run(lake)["outcome"] == "failed"
    went_on = drain(lake, kinesis, tmp_path / "checkpoint", on_gap="heal-later")
    assert (went_on.lines, went_on.gaps) == (10, 1)
    ((outcome, gap),) = noted_gaps(lake)
    assert outcome == "gap"
    assert gap["since"] < gap["until"]
    assert last_run(lake)["outcome"] == "done"


def test_a_gap_is_noted_before_its_batch_is_over(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run goes on behind it and would not know of it."""

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("as if killed")

    kinesis.put("s", *lines[:10])
    drain(lake, kinesis, tmp_path / "checkpoint")
    kinesis.advance(25 * 3600)
    kinesis.put("s", *lines[20:30])
    with monkeypatch.context() as patch:
        patch.setattr(stream, "fold_new_events", die)
        with pytest.raises(RuntimeError, match="as if killed"):
            drain(lake, kinesis, tmp_path / "checkpoint", on_gap="heal-later")
    assert len(noted_gaps(lake)) == 1
    assert drain(lake, kinesis, tmp_path / "checkpoint", on_gap="heal-later").gaps == 0


def test_a_batch_that_the_stream_lost_before_it_was_repeated_is_gone_over_and_noted(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """As where the run before it was killed within the batch, and nobody began it again for a day."""
    kinesis.walk_ms = 25 * HOUR_MS
    for part in (lines[:10], lines[10:20]):
        kinesis.put("s", *part)
        drain(lake, kinesis, tmp_path / "checkpoint")
    uncommit(tmp_path / "checkpoint")
    kinesis.advance(25 * 3600)
    kinesis.put("s", *lines[20:30])
    with pytest.raises(SourceError, match=r"^s keeps records for 24 h, .*--on-gap heal-later, and run `parsely"):
        drain(lake, kinesis, tmp_path / "checkpoint")
    went_on = drain(lake, kinesis, tmp_path / "checkpoint", on_gap="heal-later")
    assert (went_on.lines, went_on.gaps) == (10, 2)
    (_, lost), (_, after) = sorted(noted_gaps(lake), key=lambda noted: noted[1]["since"])
    assert lost["since"] < lost["until"]
    assert after["since"] < after["until"]


def test_a_log_tells_how_it_goes_and_what_was_rejected(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a batch that is well there is no line of its own."""
    kinesis.put("s", *lines[:100], b"no event")
    drain(lake, kinesis, tmp_path / "checkpoint")
    kinesis.put("s", *lines[90:110])
    drain(lake, kinesis, tmp_path / "checkpoint")
    said = [line[10:] for line in capsys.readouterr().err.splitlines() if "lines" in line]
    shapes = [re.sub(r"\b[\d,]+/s", "N/s", re.sub(r"\d+\.\d s", "_ s", line)) for line in said]
    assert shapes == [
        "batch 0: 1 of 101 lines are no events",
        "stream         _ s behind, N/s, _ s a batch; 101 lines, 100 new, 1 rejected",
        "stream         _ s behind, N/s, _ s a batch; 20 lines, 10 new",
    ]


def test_poison_ends_in_rejected_lines_and_the_run_goes_on(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """As it came, byte for byte; the events around it, also in the same record, are taken."""
    given = dict(json.loads(lines[2]), event_id="large", extra_data={"text": "x" * (10 * 2**20 - 10_000)})
    large = json.dumps(given).encode()
    whole = aggregate(("a", lines[3]), ("b", b"no event"), ("a", lines[4]))
    poison = {
        b"\xff\xfe": "not_utf8",
        lines[0].replace(b'"apikey"', b'"\xe9", "apikey"'): "not_utf8",
        b"\x00" * 100_000: "not_an_object",
        b"{" * 50_000: "not_an_object",
        lines[0][:-10]: "not_an_object",
        b'{"event_id": "1"}': "no_apikey",
        b"no event": "not_an_object",
    }
    cut = whole[:-30]
    kinesis.put("s", lines[0], *[one for one in poison if one != b"no event"], b"", b" \n", large, whole, cut)
    kinesis.put("s", b"\xff\n" + lines[1] + b"\n\xe9 {}")
    run = drain(lake, kinesis, tmp_path / "checkpoint")
    wanted = poison | {b"\xff": "not_utf8", b"\xe9 {}": "not_utf8"}
    for piece in cut.split(b"\n"):
        wanted[piece] = "not_an_object" if is_utf8(piece) else "not_utf8"
    rows = lake.read("rejected_lines").collect()
    assert {row["line_sha256"]: row["reason"] for row in rows} == {
        sha256(line).hexdigest(): reason for line, reason in wanted.items()
    }
    events = {row["event_id"] for row in lake.read("events").select("event_id").collect()}
    assert events == {json.loads(line)["event_id"] for line in [*lines[:2], *lines[3:5]]} | {"large"}
    assert (run.inserted, run.rejected, run.blank) == (5, len(wanted), 3)
    assert last_run(lake)["outcome"] == "done"


def test_what_is_private_is_cut_from_a_stream_as_from_files(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    private = {"event_id": "1", "visitor_ip": "203.0.113.77", "url": "https://a.example/?email=x&b=1"}
    line = json.dumps(json.loads(lines[0]) | private).encode()
    kinesis.put("s", line, line[:-8])
    settings = PrivacySettings(visitor_ip="truncate", strip_query=("email",))
    pace = Pace(checkpoint=f"file:{tmp_path / 'checkpoint'}", drains=True, tables=("conversions",), privacy=settings)
    run_stream(lake, reader(kinesis), QUIET, pace)
    (event,) = lake.read("events").select("visitor_ip", "url").collect()
    assert tuple(event) == ("203.0.113.0", "https://a.example/?b=1")
    (rejected,) = lake.read("rejected_lines").collect()
    assert (rejected["line"], rejected["line_sha256"]) == (None, sha256(line[:-8]).hexdigest())


def test_a_rate_that_is_refused_for_long_ends_the_run_in_a_sentence_and_the_next_one_goes_on(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path
) -> None:
    """Whether it begins while a batch is planned or while it is read."""
    kinesis.walk_ms = 25 * HOUR_MS
    kinesis.put("s", *lines[:50])
    first = tmp_path / "checkpoint" / "offsets" / "0"
    for is_planned in (False, True):
        kinesis.refuses_while = first.exists if is_planned else lambda: True
        with pytest.raises(SourceError, match=r"^s: AWS refused GetRecords for 1 s because of its rate; other readers"):
            drain(lake, kinesis, tmp_path / "checkpoint", retry_s="1")
        assert first.exists() == is_planned
        assert last_run(lake)["outcome"] == "failed"
    kinesis.refuses_while, kinesis.refuses_every = lambda: False, 3
    assert drain(lake, kinesis, tmp_path / "checkpoint").inserted == 50


@dataclass(frozen=True, kw_only=True)
class Denied(Reader):
    """May plan, and not read."""

    why: str

    def records(self, rows: DataFrame) -> DataFrame:
        return super().records(rows).withColumn("data", F.raise_error(F.lit(self.why)).cast("binary"))


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("parsely_spark.errors.SourceError: s: not allowed (AccessDenied)", r"^s: not allowed \(AccessDenied\)"),
        ("(Service: Kinesis, Status Code: 400)", r"^The stream ended: .*Service: Kinesis, Status Code: 400"),
    ],
    ids=["ours", "that of a platform"],
)
def test_what_a_reader_says_of_the_stream_is_not_taken_for_what_the_lake_says(
    lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path, why: str, said: str
) -> None:
    """Both are asked in one go, and S3 has the same words."""
    kinesis.put("s", *lines[:5])
    ours = reader(kinesis)
    pace = Pace(checkpoint=f"file:{tmp_path / 'checkpoint'}", drains=True, tables=TABLES)
    with pytest.raises(SourceError, match=said):
        run_stream(lake, Denied(format=ours.format, options=ours.options, why=why), QUIET, pace)


def test_a_run_tells_its_batches(lake: Lake, kinesis: FakeKinesis, lines: list[bytes], tmp_path: Path) -> None:
    """How much, how long, how far behind."""
    kinesis.put("s", *lines[:100])
    drain(lake, kinesis, tmp_path / "checkpoint")
    row = last_run(lake)
    assert (row["job"], row["outcome"], row["lines"], row["lag_ms"]) == ("stream", "done", 100, 0)
    (batch,) = [batch for batch in row["batches"] if batch["lines"]]
    assert batch["bytes"] == sum(map(len, lines[:100]))
    assert 0 < batch["took_ms"] < 120_000


@pytest.mark.parametrize(
    ("which", "given", "options"),
    [
        (
            OF_EMR,
            {"stream": "s", "region": "us-east-1"},
            {
                "kinesis.streamName": "s",
                "kinesis.region": "us-east-1",
                "kinesis.endpointUrl": "https://kinesis.us-east-1.amazonaws.com",
                "kinesis.consumerType": "GetRecords",
                "kinesis.startingPosition": "TRIM_HORIZON",
                "kinesis.failOnDataLoss": "true",
            },
        ),
        (
            OF_EMR,
            {"stream": "arn:aws:kinesis:eu-west-1:123456789012:stream/s", "start": "2026-01-14T13:00:00+01:00"},
            {
                "kinesis.streamName": "s",
                "kinesis.region": "eu-west-1",
                "kinesis.endpointUrl": "https://kinesis.eu-west-1.amazonaws.com",
                "kinesis.consumerType": "GetRecords",
                "kinesis.startingPosition": "AT_TIMESTAMP 2026-01-14T12:00:00Z",
                "kinesis.failOnDataLoss": "true",
            },
        ),
        (
            OF_EMR,
            {"stream": "s", "region": "cn-north-1", "on_gap": "heal-later"},
            {
                "kinesis.streamName": "s",
                "kinesis.region": "cn-north-1",
                "kinesis.endpointUrl": "https://kinesis.cn-north-1.amazonaws.com.cn",
                "kinesis.consumerType": "GetRecords",
                "kinesis.startingPosition": "TRIM_HORIZON",
                "kinesis.failOnDataLoss": "false",
            },
        ),
        (
            OF_DATABRICKS,
            {"stream": "s", "region": "us-east-1", "start": "2026-01-14T13:00:00+01:00"},
            {
                "streamName": "s",
                "region": "us-east-1",
                # Java reads XXX, which Z is one of, as a zone; Z in quotes it would take for a letter.
                "initialPosition": '{"at_timestamp": "2026-01-14T12:00:00Z", "format": "yyyy-MM-dd\'T\'HH:mm:ssXXX"}',
            },
        ),
        (
            OF_DATABRICKS,
            {"stream": "s", "region": "us-east-1", "start": "latest", "role_arn": "arn:aws:iam::1:role/r"},
            {"streamName": "s", "region": "us-east-1", "initialPosition": "latest", "roleArn": "arn:aws:iam::1:role/r"},
        ),
    ],
)
def test_the_readers_of_the_platforms_are_told_in_their_own_words(
    which: str, given: dict[str, str], options: dict[str, str]
) -> None:
    assert reader_of(which, KinesisSettings.of_options(given)).options == options


@pytest.mark.parametrize("which", [OF_EMR, OF_DATABRICKS])
def test_what_the_readers_of_the_platforms_give_is_taken(spark: SparkSession, which: str) -> None:
    """By the columns of their documentation."""
    columns = {
        OF_EMR: "data binary, streamName string, partitionKey string, sequenceNumber string, "
        "approximateArrivalTimestamp timestamp",
        OF_DATABRICKS: "partitionKey string, data binary, stream string, shardId string, sequenceNumber string, "
        "approximateArrivalTimestamp timestamp",
    }[which]
    nothing = spark.createDataFrame([], columns)
    records = reader_of(which, KinesisSettings.of_options({"stream": "s", "region": "r"})).records(nothing)
    assert records.columns == ["stream", "shard", "arrived_at", "behind_ms", "gap_since", "gap_until", "data"]
    assert json.loads(records.select("data").schema.json())["fields"][0]["type"] == "binary"
