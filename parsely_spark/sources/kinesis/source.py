"""The data source as Spark knows it: thin, because each of its methods runs in another process.

The planner's methods run in a process beside the driver that lives as long as the query; ``read`` runs in the workers,
on a copy of the reader that was made before any of them was called. So nothing but the options is shared, and clients
are made where they are used.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

from parsely_spark.kinesis_settings import OURS, KinesisSettings
from parsely_spark.sources.kinesis.at_once import read_at_once
from parsely_spark.sources.kinesis.kpl import records_of
from parsely_spark.sources.kinesis.lost import Lost, check_same
from parsely_spark.sources.kinesis.offsets import Offset, Range, ranges
from parsely_spark.sources.kinesis.planning import Planner, Slice
from parsely_spark.sources.kinesis.reading import read_range
from parsely_spark.sources.kinesis.stream import CLOCK_SLACK_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from parsely_spark.sources.kinesis.client import KinesisStream
    from parsely_spark.sources.kinesis.stream import Page

try:  # from Spark 4.2 on
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxBytes, SupportsTriggerAvailableNow
except ImportError:
    HAS_LIMITS = False

    class SupportsTriggerAvailableNow:  # type: ignore[no-redef]  # one of the two is there
        """Stands in for what older releases do not have."""

else:
    HAS_LIMITS = True

# Option that tells for how long the stream has been drained, where Spark does not say that it is. By AWS's clock the
# planner then knows when that began; this machine's may differ. It is `pipelines/stream.py` that gives it.
DRAINED_MS = "drained_ms"

SCHEMA = (
    "stream string, shard_id string, sequence_number string, sub_sequence int, partition_key string, "
    "arrived_at timestamp, behind_ms bigint, data binary, gap_since timestamp, gap_until timestamp"
)


class ParselyKinesis(DataSource):
    """``spark.readStream.format("parsely-kinesis")``: a row for each record, those of KPL aggregates one by one.

    Columns: stream; shard_id; sequence_number (digits); sub_sequence (place in an aggregate, 0 for a plain record);
    partition_key (may be null); arrived_at; behind_ms (how far behind the newest record of the shard the page ends that
    the record came with); data (the bytes as sent). A row with gap_since and gap_until and no data tells of a time
    whose records may have gone unread, which the option ``on_gap`` lets the query go over.

    Options: those of `KinesisSettings`.
    """

    @classmethod
    def name(cls) -> str:
        return OURS

    def schema(self) -> str:
        return SCHEMA

    def streamReader(self, schema: Any) -> KinesisReader:  # Spark's name
        given = dict(self.options)
        drained_ms = given.pop(DRAINED_MS, None)
        return KinesisReader(KinesisSettings.of_options(given), None if drained_ms is None else int(drained_ms))


class Task(InputPartition):
    """What one task reads."""

    def __init__(self, asked: Sequence[Range]) -> None:
        self.asked = asked


class KinesisReader(SupportsTriggerAvailableNow, DataSourceStreamReader):
    """Plans and reads; see the module."""

    def __init__(self, options: KinesisSettings, drained_ms: int | None = None) -> None:
        self._options = options
        self._drained_ms = drained_ms
        self._planner: Planner | None = None
        self._reached: Offset | None = None  # for releases that do not say where a batch begins

    def initialOffset(self) -> dict[str, Any]:
        """Before the first batch. Spark asks again when it repeats that batch, so nothing that changes is in it."""
        return Offset(stream=self._options.stream).to_json()

    def prepareForTriggerAvailableNow(self) -> None:
        """Take what is there by now, and then no more."""
        self._drained_ms = self._drained_ms or 0

    def getDefaultReadLimit(self) -> ReadLimit:
        """Slices, unless Spark says that all is wanted at once."""
        return ReadMaxBytes(self._options.shard_mib * 2**20)

    def latestOffset(self, start: dict[str, Any] | None = None, limit: ReadLimit | None = None) -> dict[str, Any]:
        """Where the next batch ends."""
        begin = Offset.of_json(start) if start else self._reached or Offset(stream=self._options.stream)
        is_sliced = not (HAS_LIMITS and isinstance(limit, ReadAllAvailable))
        most = Slice(ms=self._options.shard_s * 1000, bytes=self._options.shard_mib * 2**20) if is_sliced else Slice()
        self._reached = self._plans().next(begin, most)
        return self._reached.to_json()

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[Task]:
        """What lies between two offsets: a task for each shard that has something, or for several."""
        # Older releases ask this of the last offset they know before they ask for the next one.
        self._reached = Offset.of_json(end)
        check_same(self._reached, self._options.stream)  # a batch that is repeated is not planned again
        asked = list(ranges(Offset.of_json(start), self._reached))
        tasks = min(self._options.read_tasks or len(asked), len(asked))
        return [Task(asked[number::tasks]) for number in range(tasks)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of its ranges, a batch for each page."""
        assert isinstance(partition, Task)
        stream = _connect(self._options)

        def read(asked: Range) -> Iterator[tuple[Range, Page | Lost]]:
            for found in read_range(stream, asked, heals_later=self._heals_later):
                yield asked, found

        for asked, found in read_at_once(partition.asked, read):
            yield _batch([_gap_row(asked, found)] if isinstance(found, Lost) else _rows(asked, found))

    @property
    def _heals_later(self) -> bool:
        return self._options.on_gap == "heal-later"

    def _plans(self) -> Planner:
        if self._planner is None:
            stream = _connect(self._options)
            until_ms = None
            if self._drained_ms is not None:
                until_ms = stream.now_ms() + CLOCK_SLACK_MS - self._drained_ms
            self._planner = Planner(stream, self._options.begin, heals_later=self._heals_later, until_ms=until_ms)
        return self._planner


@cache  # boto3 reads the description of the service for each client, and a worker reads a range in each batch
def _connect(options: KinesisSettings) -> KinesisStream:
    from parsely_spark.sources.kinesis.client import KinesisStream

    return KinesisStream(options)


def _rows(asked: Range, page: Page) -> list[tuple[Any, ...]]:
    return [
        (
            asked.stream,
            asked.shard,
            record.sequence,
            sub,
            key,
            _instant(record.arrived_ms),
            page.behind_ms,
            data,
            None,
            None,
        )
        for record in page.records
        for sub, (data, key) in enumerate(records_of(record))
    ]


def _gap_row(asked: Range, lost: Lost) -> tuple[Any, ...]:
    since, until = (_instant(ms) for ms in lost)
    return (asked.stream, asked.shard, None, None, None, None, None, None, since, until)


def _instant(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).replace(microsecond=epoch_ms % 1000 * 1000)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """*rows* as Spark wants them: it refuses a batch whose types are not exactly those of the schema."""
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "binary": pa.binary()}
    types["timestamp"] = pa.timestamp("us", tz="UTC")
    schema = pa.schema([(name, types[kind]) for name, kind in (column.split() for column in SCHEMA.split(", "))])
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
