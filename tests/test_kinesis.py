"""The Kinesis reader without Spark: every record once, or an error that says which are missing.

What any server shows, moto's as well, is in `test_moto_kinesis.py`.
"""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import md5
from typing import TYPE_CHECKING, Any

import pytest
from aggregates import aggregate
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)
from fake_kinesis import HOUR_MS, FakeKinesis, fake_kinesis
from kinesis_reader import Reader, numbered, pages_of

from parsely_spark.errors import SettingsError, SourceError
from parsely_spark.kinesis_settings import OF_DATABRICKS, OF_EMR, FollowSettings, KinesisSettings
from parsely_spark.sources.kinesis import client
from parsely_spark.sources.kinesis.kpl import MAGIC, records_of
from parsely_spark.sources.kinesis.lost import GapError
from parsely_spark.sources.kinesis.offsets import Offset, Place, ranges
from parsely_spark.sources.kinesis.planning import Slice
from parsely_spark.sources.kinesis.reading import read_range
from parsely_spark.sources.kinesis.stream import About, Page, Position, Record, Shard

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture
def kinesis(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKinesis]:
    """A server with a stream ``s`` of one shard, which gives as many bytes as are wanted."""
    monkeypatch.setattr(client, "_SHARD_BYTES_PER_S", 2**40)
    with fake_kinesis() as running:
        running.calls_per_s, running.bytes_per_s = 10_000, 2**40
        running.create("s")
        yield running


@pytest.mark.parametrize("seed", range(12))
def test_every_record_comes_once_while_shards_split_and_merge_and_the_reader_dies(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With slices, empty pages, refused calls, restarts between planning and reading, and time that passes."""
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.01)
    chance = random.Random(seed)
    with fake_kinesis() as kinesis:
        kinesis.calls_per_s, kinesis.refuses_every, kinesis.walk_ms = 10_000, chance.choice([0, 7]), 5 * HOUR_MS
        kinesis.create("s", shards=chance.choice([1, 2]))
        most = chance.choice([Slice(), Slice(ms=60_000), Slice(ms=600_000, bytes=100)])
        reader = Reader(kinesis, most=most, retry_s="60")
        put = 0
        for _ in range(25):
            what = chance.choice(["put", "put", "put", "split", "merge", "wait", "batch", "batch", "die"])
            open_shards = kinesis.open_shards("s")
            if what == "put":
                more = chance.randrange(1, 40)
                kinesis.put("s", *numbered(put, put + more))
                put += more
            elif what == "split":
                kinesis.split("s", chance.choice(open_shards))
            elif what == "merge" and len(open_shards) > 1:
                at = chance.randrange(len(open_shards) - 1)
                kinesis.merge("s", *open_shards[at : at + 2])
            elif what == "wait":
                kinesis.advance(chance.choice([1, 30, 400, 5000]))
            elif what == "batch":
                reader.batch()
            elif what == "die":
                reader.planner.next(reader.offset, most)  # and nobody logged it
                reader.start()
        assert reader.drain() == numbered(0, put)


def test_a_shard_that_came_and_went_while_nobody_read_is_read(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.split("s", kinesis.open_shards("s")[0])
    kinesis.put("s", *numbered(5, 50))
    kinesis.merge("s", *kinesis.open_shards("s"))
    kinesis.put("s", *numbered(50, 60))
    kinesis.advance(7200)
    reader.start()
    assert reader.drain() == numbered(0, 60)
    assert [place.closed for place in reader.offset.shards.values()] == [True, True, True, False]


def test_numbers_are_compared_as_numbers(kinesis: FakeKinesis) -> None:
    """Of 9 and 10, 10 is the later one."""
    shard = kinesis._streams["s"].shards["shardId-000000000000"]
    shard.first = shard.first // 10**3 * 10**3 + 998
    for _ in range(30):
        kinesis.put("s", b"x")
    assert len({len(number) for _, number, _ in kinesis.records("s")}) == 1
    reader = Reader(kinesis, most=Slice(ms=1))
    assert len(reader.drain()) == 30


def test_records_that_the_stream_let_go_of_are_an_error_that_says_which_hours_heal_it(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.advance(3600)
    kinesis.put("s", *numbered(5, 10))
    kinesis.advance(24 * 3600 + 60)
    kinesis.put("s", *numbered(10, 15))
    reader.start()
    with pytest.raises(
        GapError, match=r"keeps records for 24 h, and what came to its shardId-0+ between .* may be gone"
    ) as error:
        reader.batch()
    assert "--on-gap heal-later, and run `parsely-spark batch --from " in str(error.value)
    going_on = Reader(kinesis, on_gap="heal-later")
    going_on.offset = reader.offset
    assert going_on.drain() == numbered(10, 15)
    ((since_ms, until_ms),) = going_on.gaps
    (lost_ms,) = {record[1] for record in kinesis._streams["s"].shards["shardId-000000000000"].records[5:10]}
    assert since_ms <= lost_ms < until_ms
    assert until_ms - since_ms < 2 * HOUR_MS
    kinesis.advance(600)
    kinesis.put("s", b"more")
    assert going_on.drain() == [*numbered(10, 15), b"more"]
    assert len(going_on.gaps) == 1


def put_over_the_horizon(kinesis: FakeKinesis) -> None:
    """Ten records a second, the first of them older than the stream keeps; and one of now."""
    kinesis.walk_ms = 25 * HOUR_MS
    begin_ms = kinesis.now_ms() - 24 * HOUR_MS - 60_000
    for number in range(12_000):
        kinesis.put("s", b"%d" % number, at_ms=begin_ms + number * 100)
    kinesis.put("s", b"new")


def test_a_busy_stream_is_begun_where_its_records_are_still_there_when_they_are_read(kinesis: FakeKinesis) -> None:
    """As with ``--start trim_horizon``: between the plan and the task, the stream lets go of its oldest records."""
    kinesis.advance(25 * 3600)
    put_over_the_horizon(kinesis)
    reader = Reader(kinesis)
    end = reader.planner.next(Offset(stream="s"), Slice(ms=600_000))
    kinesis.advance(300)
    assert len(reader.read(end)) > 4000


def test_after_a_gap_a_busy_stream_goes_on_where_the_gap_ends(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis, on_gap="heal-later")
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.advance(30 * 3600)
    put_over_the_horizon(kinesis)
    reader.start()
    end = reader.planner.next(reader.offset, Slice(ms=600_000))
    kinesis.advance(300)
    assert len(reader.read(end)) > 4000
    ((_, until_ms),) = [asked.gap_ms for asked in ranges(reader.offset, end) if asked.gap_ms]
    first = reader.read(end)[0]
    (arrived_ms,) = [r[1] for r in kinesis._streams["s"].shards["shardId-000000000000"].records if r[2] == first]
    assert until_ms <= arrived_ms < until_ms + 100


def test_a_stream_that_is_younger_than_its_retention_is_read_from_its_first_record(kinesis: FakeKinesis) -> None:
    """It has let go of nothing, also where a start before its time was given."""
    kinesis.put("s", *numbered(0, 5))
    kinesis.advance(24 * 3600 - 700)
    kinesis.put("s", *numbered(5, 9))
    assert Reader(kinesis).drain() == numbered(0, 9)
    assert Reader(kinesis, start="2020-01-01T00:00:00Z").drain() == numbered(0, 9)


def test_silence_is_no_gap(kinesis: FakeKinesis) -> None:
    """While somebody looks; and not if the last record that was read is still there."""
    kinesis.walk_ms = 12 * HOUR_MS
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    for _ in range(60):
        kinesis.advance(3700)  # the clock of the answers has whole seconds
        reader.batch()
    kinesis.put("s", *numbered(5, 10))
    assert reader.drain() == numbered(0, 10)
    assert reader.batches == 62  # one an hour in silence
    kinesis.advance(23 * 3600)
    reader.start()
    assert reader.batch() is True
    assert reader.gaps == []


def test_a_shard_that_expired_before_it_was_read_is_a_gap(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis, on_gap="heal-later")
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.split("s", kinesis.open_shards("s")[0])
    kinesis.advance(25 * 3600)
    kinesis.put("s", *numbered(5, 9))
    assert reader.drain() == numbered(0, 9)
    assert len(reader.gaps) == 3  # of the parent, and of both children, where records may have come and gone
    assert len(reader.offset.shards) == 2


def planned(kinesis: FakeKinesis, **options: str) -> tuple[Reader, Offset]:
    """A reader that has read 5 records and died within a batch of 10 more, put two hours apart; and that batch."""
    reader = Reader(kinesis, **options)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.put("s", *numbered(5, 10))
    kinesis.advance(2 * 3600)
    kinesis.put("s", *numbered(10, 15))
    return reader, reader.planner.next(reader.offset, Slice())


def test_a_batch_that_the_stream_let_go_of_is_an_error_that_says_which_hours_heal_it(kinesis: FakeKinesis) -> None:
    """And no endless search."""
    reader, end = planned(kinesis)
    kinesis.advance(25 * 3600)
    with pytest.raises(
        GapError,
        match=r"keeps records for 24 h, and what came to its shardId-0+ between .* --on-gap heal-later, and run",
    ):
        reader.read(end)


@pytest.mark.parametrize(("down_h", "left"), [(23, numbered(10, 15)), (25, [])])
def test_a_batch_that_the_stream_let_go_of_is_gone_over(kinesis: FakeKinesis, down_h: int, left: list[bytes]) -> None:
    """What is left of it is read; and what follows it as well, whether there is another gap or not."""
    reader, end = planned(kinesis, on_gap="heal-later")
    kinesis.advance(down_h * 3600)
    kinesis.put("s", *numbered(15, 20))
    reader.start()
    assert reader.read(end) == left == reader.read(end)
    since_ms, until_ms = reader.gaps[0]
    lost_ms = [r[1] for r in kinesis._streams["s"].shards["shardId-000000000000"].records[5 : 15 - len(left)]]
    assert since_ms <= min(lost_ms)
    assert max(lost_ms) < until_ms < max(lost_ms) + 2 * HOUR_MS
    reader.offset, reader.gaps, reader.data = end, [], []
    assert reader.drain() == numbered(15, 20)
    assert len(reader.gaps) == (0 if left else 1)


def test_a_batch_that_ends_a_shard_which_is_gone_is_gone_over(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis, on_gap="heal-later")
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.put("s", *numbered(5, 9))
    kinesis.split("s", kinesis.open_shards("s")[0])
    end = reader.planner.next(reader.offset, Slice())
    assert reader.read(end) == numbered(5, 9)
    kinesis.advance(25 * 3600)
    assert reader.read(end) == []
    assert len(reader.gaps) == 1
    with pytest.raises(GapError, match="may be gone unread"):
        list(read_range(reader.stream, ranges(reader.offset, end)[0]))


class EmptyPages:
    """A stream of one closed shard with two records, and empty pages before and behind them."""

    name = "s"

    def __init__(self, *pages: Page) -> None:
        self._pages = pages

    def now_ms(self) -> int:
        return 90_000_000

    def about(self) -> About:
        return About(created_ms=1, retention_ms=86_400_000)

    def shards(self) -> list[Shard]:
        return [Shard(id="a", last="120")]

    def iterator(self, shard: str, position: Position) -> str:
        return "0"

    def page(self, shard: str, iterator: str, limit: int | None = None) -> Page:
        return self._pages[int(iterator)]


@pytest.mark.parametrize("behind_ms", [86_395_000, 86_400_000])
def test_empty_pages_where_records_go_on_are_gone_through(behind_ms: int) -> None:
    """Near the horizon, and behind the last record of a closed shard, which ends some pages later."""
    two = [Record(number, 3_700_000, b"x", None) for number in ("101", "102")]
    empty = Page(records=[], behind_ms=behind_ms, next="1")
    stream = EmptyPages(
        empty,
        Page(records=two, behind_ms=0, next="2"),
        Page(records=[], behind_ms=0, next="3"),
        Page(records=[], behind_ms=0, next=None),
    )
    whole = Offset(
        stream="s", created_ms=1, shards={"a": Place(first="101", end="120", end_ms=90_000_000, closed=True)}
    )
    (asked,) = ranges(Offset(stream="s"), whole)
    assert [page.records for page in pages_of(stream, asked)] == [two]


def test_slices_bound_a_batch_by_time_and_by_bytes(kinesis: FakeKinesis) -> None:
    for _ in range(60):
        kinesis.put("s", *[bytes(1000)] * 10)
        kinesis.advance(10)
    by_time, by_bytes = Reader(kinesis, most=Slice(ms=60_000)), Reader(kinesis, most=Slice(bytes=100_000))
    by_time.drain()
    by_bytes.drain()
    assert 9 <= by_time.batches <= 11
    assert 5 <= by_bytes.batches <= 8
    assert len(by_time.data) == len(by_bytes.data) == 600


def test_iterators_that_expire_are_made_again(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    reader.drain()
    kinesis.advance(301)
    kinesis.put("s", *numbered(0, 5))
    assert reader.drain() == numbered(0, 5)
    kinesis.put("s", *numbered(5, 25_000))
    end = reader.planner.next(reader.offset, Slice())
    (asked,) = ranges(reader.offset, end)
    taken = []
    for page in read_range(reader.stream, asked):
        assert isinstance(page, Page)
        kinesis.advance(301)  # what the records are for takes its time
        taken += [record.data for record in page.records]
    assert taken == numbered(5, 25_000)


def test_the_rate_of_a_shard_is_kept(kinesis: FakeKinesis) -> None:
    kinesis.calls_per_s = 5
    reader = Reader(kinesis, spacing_ms="250")
    for number in range(4):
        kinesis.put("s", *numbered(10 * number, 10 * number + 10))
        reader.batch()
    assert reader.drain() == numbered(0, 40)


def test_a_call_that_is_made_again_keeps_its_distance_as_well(
    kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does the one that follows it."""
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.01)
    kinesis.calls_per_s, kinesis.refuses_every = 5, 2
    kinesis.put("s", *numbered(0, 10))
    reader = Reader(kinesis, spacing_ms="250")
    assert reader.drain() == numbered(0, 10)


def test_a_shard_that_has_given_a_large_page_is_left_alone_for_as_long_as_it_refuses(
    kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.bytes_per_s = 2 * 2**20
    monkeypatch.setattr(client, "_SHARD_BYTES_PER_S", kinesis.bytes_per_s)
    large = [bytes([number]) * 2**20 for number in range(12)]
    kinesis.put("s", *large)
    assert (Reader(kinesis).drain(), kinesis.too_much) == (large, [])


def test_a_shard_that_others_read_as_well_is_read_all_the_same(kinesis: FakeKinesis) -> None:
    """What they have taken, this reader does not see."""
    kinesis.bytes_per_s = 2 * 2**20
    large = [bytes([number]) * 2**20 for number in range(12)]
    kinesis.put("s", *large)
    assert (Reader(kinesis, retry_s="60").drain(), kinesis.too_much != []) == (large, True)


def test_a_record_without_partition_key_is_taken(kinesis: FakeKinesis) -> None:
    kinesis.put("s", b"x", key=None)
    kinesis.put("s", b"y", key="k")
    reader = Reader(kinesis)
    end = reader.planner.next(reader.offset, Slice())
    (page,) = [page for asked in ranges(reader.offset, end) for page in pages_of(reader.stream, asked)]
    assert [record.key for record in page.records] == [None, "k"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "was given no option stream"),
        ({"stream": "s", "strat": "latest"}, "has no option strat; there are stream, region"),
        (
            {"stream": "s", "start": "yesterday"},
            "start='yesterday' is no start; give trim_horizon, latest or an instant",
        ),
        ({"stream": "s", "start": "2026-01-14T12:00:00"}, "an instant with its zone"),
        ({"stream": "s", "start": "2099-01-01T00:00:00Z"}, "start='2099-01-01T00:00:00Z' lies in the future; give"),
        ({"stream": "s", "shard_mib": "0"}, "shard_mib=0 is less than 1"),
        ({"stream": "s", "on_gap": "skip"}, "on_gap='skip' is none of fail, heal-later"),
    ],
)
def test_a_wrong_option_is_one_sentence(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        KinesisSettings.of_options(given)
    assert said in str(error.value)


def test_what_aws_refuses_is_one_sentence(kinesis: FakeKinesis) -> None:
    with pytest.raises(SourceError, match="There is no stream other in us-east-1; give its name or ARN"):
        Reader(kinesis, stream="other").planner.next(Offset(stream="other"), Slice())
    kinesis.put("s", b"x")
    kinesis.refuses_while = lambda: True
    with pytest.raises(SourceError, match="s: AWS refused GetRecords for 1 s because of its rate"):
        Reader(kinesis, retry_s="1").batch()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reader": OF_EMR}, "reader='aws-kinesis' has to be told the region of the stream; give --region"),
        ({"reader": OF_EMR, "region": "us-east-1", "available_now": True}, "'aws-kinesis' knows no --available-now"),
        ({"reader": OF_DATABRICKS, "on_gap": "heal-later"}, "'databricks' knows no --on-gap heal-later"),
        ({"reader": OF_DATABRICKS, "shard_s": 60}, "'databricks' knows no --shard-s"),
        ({"reader": OF_EMR, "region": "us-east-1", "shard_mib": 1}, "'aws-kinesis' knows no --shard-mib"),
        ({"reader": OF_EMR, "region": "us-east-1", "spacing_ms": 1000}, "'aws-kinesis' knows no --spacing-ms"),
        ({"reader": OF_DATABRICKS, "retry_s": 1}, "'databricks' knows no --retry-s"),
    ],
)
def test_what_a_reader_of_a_platform_cannot_do_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        FollowSettings(stream="s", checkpoint="/tmp/c", **given)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        {"reader": OF_EMR, "region": "us-east-1", "on_gap": "heal-later"},
        {"reader": OF_EMR, "endpoint_url": "https://vpce-1.kinesis.us-east-1.vpce.amazonaws.com"},
        {"reader": OF_EMR, "stream": "arn:aws:kinesis:us-east-1:123456789012:stream/s"},
        {"reader": OF_DATABRICKS, "available_now": True},
        {"available_now": True, "on_gap": "heal-later", "shard_s": 60},
    ],
)
def test_what_a_reader_of_a_platform_can_do_is_taken(given: dict[str, Any]) -> None:
    FollowSettings(**{"stream": "s", "checkpoint": "/tmp/c", **given})


def refused(code: str, operation: str) -> ClientError:
    """As boto3 says it."""
    said = {"Code": code, "Message": f"User is not authorized to perform: {operation}"}
    return ClientError({"Error": said, "ResponseMetadata": {}}, operation)  # type: ignore[typeddict-item]  # half of it is enough


@pytest.mark.parametrize(
    ("error", "said", "calls"),
    [
        (refused("AccessDenied", "AssumeRole"), "what is missing is sts:AssumeRole on arn:aws:iam::1:role/r for", 1),
        (refused("AccessDeniedException", "GetRecords"), "what is missing is kinesis:GetRecords for", 1),
        (refused("ThrottlingException", "GetRecords"), "refused GetRecords for 1 s because of its rate", 2),
        (NoCredentialsError(), "no keys of AWS were found .* give them as other AWS tools have them", 1),
        (CredentialRetrievalError(provider="sso", error_msg="expired"), "give them as other AWS tools have them", 1),
        (ParamValidationError(report="StreamName: too long"), "GetRecords failed: .*StreamName: too long", 1),
        (EndpointConnectionError(endpoint_url="http://x"), "GetRecords failed: Could not connect", 2),
        (refused("IncompleteSignature", "x Credential=AKIA/y, Signature=z"), r"perform: x Credential=\*\*\*, Sig", 1),
    ],
)
def test_what_another_try_cannot_mend_is_told_at_once(error: Exception, said: str, calls: int) -> None:
    made = 0

    def call(**_: object) -> None:
        nonlocal made
        made += 1
        raise error

    options = KinesisSettings(stream="s", region="us-east-1", retry_s=1)
    stream = client.KinesisStream(options)
    stream._options = replace(options, role_arn="arn:aws:iam::1:role/r")
    with pytest.raises(SourceError, match=said):
        stream._ask("GetRecords", call)
    assert made == calls


def test_a_role_without_keys_to_assume_it_with_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(SourceError, match="no keys of AWS were found"):
        client.KinesisStream(KinesisSettings(stream="s", region="us-east-1", role_arn="arn:aws:iam::1:role/r"))


def test_a_checkpoint_of_another_stream_is_said_to_be_one(kinesis: FakeKinesis) -> None:
    """Also if both were made in the same second; an ARN and a name may be of one stream."""
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.create("t")
    kinesis._streams["t"].created_ms = kinesis._streams["s"].created_ms
    other = Reader(kinesis, stream="t")
    other.offset = reader.offset
    with pytest.raises(SourceError, match="The checkpoint is of the stream s, and t is to be read; give"):
        other.batch()
    by_arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
    same = Reader(kinesis, stream=by_arn)
    same.offset = reader.offset
    assert same.batch() is False
    assert not replace(reader.offset, stream=by_arn).is_of(by_arn.replace("us-east-1", "eu-west-1"))


def test_records_that_were_put_together_are_taken_apart() -> None:
    whole = aggregate(("a", b"1"), ("b", b"2" * 300), ("a", b""))
    assert records_of(Record("1", 0, whole, "k")) == [(b"1", "a"), (b"2" * 300, "b"), (b"", "a")]
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    odd = MAGIC + b"\x1a\x7f" + md5(b"\x1a\x7f", usedforsecurity=False).digest()
    for data in (b"plain", b"", MAGIC, broken, odd):
        assert records_of(Record("1", 0, data, "k")) == [(data, "k")]
