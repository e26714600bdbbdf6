"""Whether the stream can be read: each of the four things that reading it asks of AWS, by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.doctor.finding import NotReachedError, Step, look_in_turn
from parsely_spark.sources.kinesis.client import KinesisStream, who_gave_keys
from parsely_spark.sources.kinesis.stream import HORIZON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.doctor.finding import Finding
    from parsely_spark.kinesis_settings import KinesisSettings
    from parsely_spark.sources.kinesis.stream import Shard

_HOUR_MS = 3_600_000


def look_at_stream_keys(options: KinesisSettings) -> str:
    """By which way boto3 has found keys."""
    return f"stream {options.stream}: {who_gave_keys(options)}, says boto3"


def server_of(options: KinesisSettings) -> str:
    """The URL that the stream is asked at."""
    return KinesisStream(options).address


def look_at_stream(options: KinesisSettings) -> Iterator[Finding]:
    """Ask for its summary, its shards, an iterator and a record."""
    trial = _Trial(options)
    steps = (
        Step("stream summary", trial.summary, "kinesis:DescribeStreamSummary"),
        Step("stream shards", trial.shards, "kinesis:ListShards"),
        Step("stream iterator", trial.iterator, "kinesis:GetShardIterator"),
        Step("stream records", trial.records, "kinesis:GetRecords"),
    )
    yield from look_in_turn(steps)


class _Trial:
    """A stream, and what is known of it so far."""

    def __init__(self, options: KinesisSettings) -> None:
        self._options = options
        self._stream: KinesisStream | None = None
        self._shard: Shard | None = None
        self._iterator = ""

    @property
    def _asked(self) -> KinesisStream:
        """The stream; that it cannot be asked at all is a finding of the first step."""
        self._stream = self._stream or KinesisStream(self._options)
        return self._stream

    def summary(self) -> str:
        about = self._asked.about()
        return f"{self._options.stream} keeps records for {about.retention_ms / _HOUR_MS:.0f} h"

    def shards(self) -> str:
        shards = self._asked.shards()
        still_open = [shard for shard in shards if shard.last is None]
        self._shard = next(iter(still_open), None)
        return f"{len(shards)} with records, {len(still_open)} of them open"

    def iterator(self) -> str:
        if self._shard is None:
            raise NotReachedError("no open shard is known")
        self._iterator = self._asked.iterator(self._shard.id, HORIZON)
        return f"one for the oldest record of {self._shard.id}"

    def records(self) -> str:
        if self._shard is None or not self._iterator:
            raise NotReachedError("there is no iterator")
        page = self._asked.page(self._shard.id, self._iterator, limit=1)
        return "the first one came" if page.records else "the first answer is empty, as answers may be"
