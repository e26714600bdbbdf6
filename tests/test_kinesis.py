"""The Kinesis reader without Spark: every record once, or an error that says which are missing."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from hashlib import md5
from typing import TYPE_CHECKING

import pytest
from fake_kinesis import HOUR_MS, FakeKinesis, fake_kinesis

from parsely_spark.errors import SettingsError, SourceError
from parsely_spark.kinesis_settings import KinesisSettings
from parsely_spark.sources.kinesis import client
from parsely_spark.sources.kinesis.client import KinesisStream
from parsely_spark.sources.kinesis.kpl import MAGIC, records_of
from parsely_spark.sources.kinesis.offsets import Offset, ranges
from parsely_spark.sources.kinesis.planning import GapError, Planner, Slice
from parsely_spark.sources.kinesis.reading import read_range
from parsely_spark.sources.kinesis.stream import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.sources.kinesis.stream import Page


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture
def kinesis() -> Iterator[FakeKinesis]:
    """A server with a stream ``s`` of one shard."""
    with fake_kinesis() as running:
        running.calls_per_s = 10_000
        running.create("s")
        yield running


class Reader:
    """A job that reads a stream batch by batch, as Spark would, and knows no more than the last offset."""

    def __init__(self, kinesis: FakeKinesis, *, most: Slice | None = None, **options: str) -> None:
        given = {"stream": "s", "region": "us-east-1", "endpoint_url": kinesis.url, "spacing_ms": "1", "retry_s": "5"}
        self.options = KinesisSettings.of_options(given | options)
        self.most = most or Slice()
        self.offset = Offset(stream="s")
        self.data: list[bytes] = []
        self.gaps: list[tuple[int, int]] = []
        self.batches = 0
        self.start()

    def start(self) -> None:
        """A new process."""
        self.stream = KinesisStream(self.options)
        heals_later = self.options.on_gap == "heal-later"
        self.planner = Planner(self.stream, self.options.begin, heals_later=heals_later)

    def batch(self) -> bool:
        """Plan a batch, log it and read it; return whether there was one."""
        end = Offset.of_json(json.loads(json.dumps(self.planner.next(self.offset, self.most).to_json())))
        if end == self.offset:
            return False
        self.data += self.read(end)
        self.gaps += [asked.gap_ms for asked in ranges(self.offset, end) if asked.gap_ms]
        self.offset = end
        self.batches += 1
        return True

    def read(self, end: Offset) -> list[bytes]:
        """What lies between the last batch and *end*."""
        pages: list[Page] = [page for asked in ranges(self.offset, end) for page in read_range(self.stream, asked)]
        return [record.data for page in pages for record in page.records]

    def drain(self) -> list[bytes]:
        """All batches that there are; return the data of the records of all batches ever, sorted."""
        while self.batch():
            assert self.batches < 500
        return sorted(self.data)


def numbered(first: int, last: int) -> list[bytes]:
    """Data of records, one for each number."""
    return [f"{number:06d}".encode() for number in range(first, last)]


def test_a_batch_ends_where_the_stream_does_and_the_next_one_goes_on(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 50))
    kinesis.advance(30)
    kinesis.put("s", *numbered(50, 60))
    assert reader.drain() == numbered(0, 60)
    kinesis.put("s", *numbered(60, 61))
    assert reader.drain() == numbered(0, 61)
    assert reader.batch() is False


def test_latest_begins_with_the_first_plan_also_when_nothing_comes_for_a_while(kinesis: FakeKinesis) -> None:
    kinesis.put("s", b"before")
    kinesis.advance(5)
    reader = Reader(kinesis, start="latest")
    assert reader.batch()
    kinesis.advance(60)
    kinesis.put("s", b"after")
    kinesis.advance(600)
    reader.start()
    assert reader.drain() == [b"after"]


def test_an_instant_is_where_it_begins(kinesis: FakeKinesis) -> None:
    began = kinesis.now_ms()
    for number in range(10):
        kinesis.put("s", b"%d" % number)
        kinesis.advance(60)
    at = datetime.fromtimestamp((began + 290_000) / 1000, UTC).isoformat()
    assert Reader(kinesis, start=at).drain() == [b"5", b"6", b"7", b"8", b"9"]


def test_a_logged_batch_is_the_same_records_when_it_is_read_again(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 20))
    end = reader.planner.next(reader.offset, Slice())
    kinesis.put("s", *numbered(20, 40))
    kinesis.split("s", "shardId-000000000000")
    kinesis.put("s", *numbered(40, 60))
    assert reader.read(end) == reader.read(end) == numbered(0, 20)


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


def test_a_stream_that_was_made_again_is_said_to_be(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.advance(60)
    kinesis.create("s")
    with pytest.raises(SourceError, match=r"was deleted and made again at .* Give a new checkpoint"):
        reader.batch()


def test_a_batch_that_the_stream_let_go_of_is_an_error_and_no_endless_search(kinesis: FakeKinesis) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    end = reader.planner.next(reader.offset, Slice())
    kinesis.advance(25 * 3600)
    with pytest.raises(SourceError, match="no longer holds its records up to"):
        reader.read(end)


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
        kinesis.advance(301)  # what the records are for takes its time
        taken += [record.data for record in page.records]
    assert taken == numbered(5, 25_000)


def test_the_rate_of_a_shard_is_kept(kinesis: FakeKinesis) -> None:
    kinesis.calls_per_s = 5
    reader = Reader(kinesis, spacing_ms="210")
    for number in range(4):
        kinesis.put("s", *numbered(10 * number, 10 * number + 10))
        reader.batch()
    assert reader.drain() == numbered(0, 40)
    assert kinesis.too_fast == []


def test_large_records_come_whole(kinesis: FakeKinesis) -> None:
    large = [bytes([number]) * (10 * 2**20 - 100) for number in range(3)]
    kinesis.put("s", *large)
    assert Reader(kinesis).drain() == sorted(large)


def test_a_record_without_partition_key_is_taken(kinesis: FakeKinesis) -> None:
    kinesis.put("s", b"x", key=None)
    kinesis.put("s", b"y", key="k")
    reader = Reader(kinesis)
    end = reader.planner.next(reader.offset, Slice())
    (page,) = [page for asked in ranges(reader.offset, end) for page in read_range(reader.stream, asked)]
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
        ({"stream": "s", "shard_mib": "0"}, "shard_mib=0 is less than 1"),
        ({"stream": "s", "on_gap": "skip"}, "on_gap='skip' is neither fail nor heal-later"),
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
    kinesis.calls_per_s = 0
    with pytest.raises(SourceError, match="s: AWS refused GetRecords for 1 s because of its rate"):
        Reader(kinesis, retry_s="1").batch()


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    more, low = number >> 7, number & 0x7F
    return bytes([low | 0x80]) + varint(more) if more else bytes([low])


def written(field: int, value: bytes | int) -> bytes:
    """A field as protobuf writes it."""
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    return varint(field << 3 | 2) + varint(len(value)) + value


def aggregate(*records: tuple[str, bytes]) -> bytes:
    """Records as the producer library puts them together."""
    keys = sorted({key for key, _ in records})
    message = b"".join(written(1, key.encode()) for key in keys) + written(2, b"0")
    message += b"".join(
        written(3, written(1, keys.index(key)) + written(2, 0) + written(3, data)) for key, data in records
    )
    return MAGIC + message + md5(message, usedforsecurity=False).digest()


def test_records_that_were_put_together_are_taken_apart() -> None:
    whole = aggregate(("a", b"1"), ("b", b"2" * 300), ("a", b""))
    assert records_of(Record("1", 0, whole, "k")) == [(b"1", "a"), (b"2" * 300, "b"), (b"", "a")]
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    odd = MAGIC + b"\x1a\x7f" + md5(b"\x1a\x7f", usedforsecurity=False).digest()
    for data in (b"plain", b"", MAGIC, broken, odd):
        assert records_of(Record("1", 0, data, "k")) == [(data, "k")]
