"""What the Kinesis reader needs of a server, from two: that of these tests and moto's, which others have written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fake_kinesis import fake_kinesis
from kinesis_reader import MotoKinesis, Reader, numbered, pages_of
from s3_server import moto

from parsely_spark.errors import SourceError
from parsely_spark.sources.kinesis.offsets import Offset, ranges
from parsely_spark.sources.kinesis.planning import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kinesis_reader import Server

# Moto leaves what is put after a split with the shard that was split, which it calls closed; that harms no test here.
# The tests that cannot pass because of what it does wrong, and what that is; if one passes, that is a failure.
WRONG_IN_MOTO = {
    "test_two_that_are_merged_are_read_to_their_end": "It copies the records of both into what comes of them.",
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@pytest.fixture(scope="module")
def moto_kinesis() -> Iterator[MotoKinesis]:
    """Moto, started once."""
    with moto() as running:
        yield MotoKinesis(running)


@pytest.fixture(params=["fake", "moto"])
def kinesis(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with a new stream ``s`` of one shard."""
    if request.param == "moto":
        if reason := WRONG_IN_MOTO.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason))
        of_moto: MotoKinesis = request.getfixturevalue("moto_kinesis")
        of_moto.create("s")
        yield of_moto
    else:
        with fake_kinesis() as running:
            running.calls_per_s, running.bytes_per_s = 10_000, 2**40
            running.advance(-3600)  # what it then advances to is no future to us
            running.create("s")
            yield running


def test_a_batch_ends_where_the_stream_does_and_the_next_one_goes_on(kinesis: Server) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 50))
    kinesis.advance(30)
    kinesis.put("s", *numbered(50, 60))
    assert reader.drain() == numbered(0, 60)
    kinesis.put("s", *numbered(60, 61))
    assert reader.drain() == numbered(0, 61)
    assert reader.batch() is False


def test_latest_begins_with_the_first_plan_also_when_nothing_comes_for_a_while(kinesis: Server) -> None:
    kinesis.put("s", b"before")
    kinesis.advance(5)
    reader = Reader(kinesis, start="latest")
    assert reader.batch()
    kinesis.advance(60)
    kinesis.put("s", b"after")
    kinesis.advance(600)
    reader.start()
    assert reader.drain() == [b"after"]


def test_an_instant_is_where_it_begins(kinesis: Server) -> None:
    for number in range(4):
        if number == 2:
            kinesis.advance(60)
            at = datetime.fromtimestamp(kinesis.now_ms() / 1000, UTC).isoformat()
            kinesis.advance(10)
        kinesis.put("s", b"%d" % number)
    assert Reader(kinesis, start=at).drain() == [b"2", b"3"]


def test_a_logged_batch_is_the_same_records_when_it_is_read_again(kinesis: Server) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 20))
    end = reader.planner.next(reader.offset, Slice())
    kinesis.put("s", *numbered(20, 40))
    kinesis.split("s", "shardId-000000000000")
    kinesis.put("s", *numbered(40, 60))
    assert reader.read(end) == reader.read(end) == numbered(0, 20)


def test_one_that_is_split_is_read_to_its_end_and_what_comes_of_it_from_its_beginning(kinesis: Server) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 10))
    reader.batch()
    kinesis.put("s", *numbered(10, 20))
    kinesis.split("s", *kinesis.open_shards("s"))
    kinesis.put("s", *numbered(20, 60))
    reader.start()
    assert reader.drain() == numbered(0, 60)
    assert len(kinesis.open_shards("s")) == 2


def test_two_that_are_merged_are_read_to_their_end(kinesis: Server) -> None:
    kinesis.create("s", shards=2)
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 30))
    reader.batch()
    kinesis.put("s", *numbered(30, 50))
    kinesis.merge("s", *kinesis.open_shards("s"))
    kinesis.put("s", *numbered(50, 60))
    reader.start()
    assert reader.drain() == numbered(0, 60)
    assert len(kinesis.open_shards("s")) == 1


def test_numbers_of_another_length_are_compared_as_numbers(kinesis: Server) -> None:
    """Moto counts 9, 10."""
    reader = Reader(kinesis, most=Slice(ms=1))
    for number in range(12):
        kinesis.put("s", b"%02d" % number)
        kinesis.advance(0.01)
    kinesis.advance(2)  # the clock of the answers has whole seconds
    assert reader.drain() == [b"%02d" % number for number in range(12)]
    assert reader.batches > 2


def test_large_records_come_whole(kinesis: Server) -> None:
    large = [bytes([number]) * (10 * 2**20 - 1000) for number in range(3)]
    kinesis.put("s", *large)
    assert Reader(kinesis).drain() == large


def test_partition_keys_and_bytes_come_as_they_were_put(kinesis: Server) -> None:
    kinesis.put("s", bytes(range(256)), key="κ")
    reader = Reader(kinesis)
    end = reader.planner.next(reader.offset, Slice())
    (page,) = [page for asked in ranges(reader.offset, end) for page in pages_of(reader.stream, asked)]
    assert [(record.data, record.key) for record in page.records] == [(bytes(range(256)), "κ")]


def test_a_stream_that_was_made_again_is_said_to_be(kinesis: Server) -> None:
    reader = Reader(kinesis)
    kinesis.put("s", *numbered(0, 5))
    reader.drain()
    kinesis.advance(60)
    kinesis.create("s")
    with pytest.raises(SourceError, match=r"was deleted and made again at .* Give a new checkpoint"):
        reader.batch()


def test_a_stream_that_is_not_there_is_said_not_to_be(kinesis: Server) -> None:
    with pytest.raises(SourceError, match="There is no stream other in us-east-1; give its name or ARN"):
        Reader(kinesis, stream="other").planner.next(Offset(stream="other"), Slice())
