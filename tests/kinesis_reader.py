"""A job that reads a Kinesis stream without Spark, and moto's server by the words of `FakeKinesis`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol

from parsely_spark.kinesis_settings import KinesisSettings
from parsely_spark.sources.kinesis.client import KinesisStream
from parsely_spark.sources.kinesis.lost import Lost
from parsely_spark.sources.kinesis.offsets import Offset, ranges
from parsely_spark.sources.kinesis.planning import Planner, Slice
from parsely_spark.sources.kinesis.reading import read_range

if TYPE_CHECKING:
    from s3_server import Moto

    from parsely_spark.sources.kinesis.offsets import Range
    from parsely_spark.sources.kinesis.stream import Page, Stream

_HASHES = 2**128
_LONGEST_WAIT_S = 2.0  # where time has to pass in earnest


class Server(Protocol):
    """What tests do to a server with streams."""

    url: str

    def now_ms(self) -> int:
        """The clock."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def create(self, name: str, shards: int = 1) -> None:
        """Make a stream, in the place of one of that name."""
        ...

    def put(self, name: str, *data: bytes, key: str | None = None) -> None:
        """Put records, each by the hash of its data, or all by that of *key*."""
        ...

    def split(self, name: str, shard_id: str) -> None:
        """Make two of a shard."""
        ...

    def merge(self, name: str, one: str, other: str) -> None:
        """Make one of two neighbours."""
        ...

    def open_shards(self, name: str) -> list[str]:
        """Ids of the open shards, by their part of the hash keys."""
        ...


class MotoKinesis:
    """The streams of a running moto."""

    def __init__(self, moto: Moto) -> None:
        self.url = moto.url
        self._client = moto.client("kinesis")

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    def advance(self, seconds: float) -> None:
        time.sleep(min(seconds, _LONGEST_WAIT_S))

    def create(self, name: str, shards: int = 1) -> None:
        if name in self._client.list_streams()["StreamNames"]:
            self._client.delete_stream(StreamName=name)
        self._client.create_stream(StreamName=name, ShardCount=shards)

    def put(self, name: str, *data: bytes, key: str | None = None) -> None:
        for one in data:
            self._client.put_record(StreamName=name, Data=one, PartitionKey=key or one[:200].decode("latin-1"))

    def split(self, name: str, shard_id: str) -> None:
        (shard,) = [shard for shard in self._shards(name) if shard["ShardId"] == shard_id]
        low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        self._client.split_shard(StreamName=name, ShardToSplit=shard_id, NewStartingHashKey=str((low + high) // 2 + 1))

    def merge(self, name: str, one: str, other: str) -> None:
        self._client.merge_shards(StreamName=name, ShardToMerge=one, AdjacentShardToMerge=other)

    def open_shards(self, name: str) -> list[str]:
        shards = sorted(self._shards(name), key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        return [shard["ShardId"] for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]

    def _shards(self, name: str) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = self._client.list_shards(StreamName=name)["Shards"]
        return shards


class Reader:
    """A job that reads a stream batch by batch, as Spark would, and knows no more than the last offset."""

    def __init__(self, kinesis: Server, *, most: Slice | None = None, **options: str) -> None:
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
        self.heals_later = self.options.on_gap == "heal-later"
        self.planner = Planner(self.stream, self.options.begin, heals_later=self.heals_later)

    def batch(self) -> bool:
        """Plan a batch, log it and read it; return whether there was one."""
        end = Offset.of_json(json.loads(json.dumps(self.planner.next(self.offset, self.most).to_json())))
        if end == self.offset:
            return False
        self.data += self.read(end)
        self.offset = end
        self.batches += 1
        return True

    def read(self, end: Offset) -> list[bytes]:
        """What lies between the last batch and *end*; adds to the gaps."""
        data = []
        for asked in ranges(self.offset, end):
            for found in read_range(self.stream, asked, heals_later=self.heals_later):
                if isinstance(found, Lost):
                    self.gaps.append(found)
                else:
                    data += [record.data for record in found.records]
        return data

    def drain(self) -> list[bytes]:
        """All batches that there are; return the data of the records of all batches ever, sorted."""
        while self.batch():
            assert self.batches < 500
        return sorted(self.data)


def numbered(first: int, last: int) -> list[bytes]:
    """Data of records, one for each number."""
    return [f"{number:06d}".encode() for number in range(first, last)]


def pages_of(stream: Stream, asked: Range) -> list[Page]:
    """What is read of *asked*, where nothing is lost."""
    return [page for page in read_range(stream, asked) if not isinstance(page, Lost)]
