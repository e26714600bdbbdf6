"""The data sources that can read a Kinesis stream: ours, and those of the platforms, each by its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.declaration import declared
from parsely_spark.jvm import local_cores
from parsely_spark.kinesis_settings import OF_DATABRICKS, OF_EMR, OURS, KinesisSettings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A data source.

    Attributes:
        format: its name to Spark.
        options: what `.option()` is given.
    """

    format: str
    options: dict[str, str]

    @property
    def drains_by_one_batch(self) -> bool:
        """Whether Spark ends a query that drains after one batch, and not when nothing is left."""
        if self.format != OURS:
            return False
        from parsely_spark.sources.kinesis.source import HAS_LIMITS

        return not HAS_LIMITS

    def read(self, spark: SparkSession, *, drained_s: float | None = None) -> DataFrame:
        """The stream as the source gives it.

        Args:
            spark: the session.
            drained_s: for how many seconds the stream has been drained, where that takes a query for each batch: what
                came since is left for another run, or a stream that never rests would have no end.
        """
        options = dict(self.options)
        if self.format == OURS:
            from parsely_spark.sources.kinesis.source import DRAINED_MS, ParselyKinesis

            spark.dataSource.register(ParselyKinesis)
            # A shard gives 2 MiB a second at most, and a core that waits for one could read several.
            if options.get("read_tasks") == "0":
                options["read_tasks"] = str(local_cores(spark) or 0)
            if drained_s is not None:
                options[DRAINED_MS] = str(round(drained_s * 1000))
        return spark.readStream.format(self.format).options(**options).load()

    def records(self, rows: DataFrame) -> DataFrame:
        """What the source gave, by the same names whichever it is.

        Returns:
            ``stream`` and ``shard`` (string), ``arrived_at`` (timestamp), ``behind_ms`` (bigint), ``data`` (binary),
            ``gap_since`` and ``gap_until`` (timestamp); null where the source does not tell.
        """
        given = {
            OURS: {name: name for name in ("stream", "arrived_at", "behind_ms", "gap_since", "gap_until")}
            | {"shard": "shard_id"},
            OF_EMR: {"stream": "streamName", "arrived_at": "approximateArrivalTimestamp"},
            "kinesis": {"stream": "stream", "shard": "shardId", "arrived_at": "approximateArrivalTimestamp"},
        }[self.format]
        types = {"stream": "string", "shard": "string", "arrived_at": "timestamp", "behind_ms": "bigint"}
        types |= {"gap_since": "timestamp", "gap_until": "timestamp"}

        def column(name: str) -> Column:
            return (F.col(given[name]) if name in given else F.lit(None)).cast(types[name]).alias(name)

        return rows.select(*[column(name) for name in types], "data")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the records of a batch are.

    Attributes:
        bytes: of their lines.
        lag_ms: how far behind the newest record of its shard the last page ended, ms; None without records.
        gaps: shard, begin and end of times whose records may have gone unread, UTC.
    """

    bytes: int
    lag_ms: int | None
    gaps: list[tuple[str, datetime, datetime]]


def seen_in(lines: DataFrame) -> Seen:
    """What `lines_of` gave, whatever became of ``value``."""
    gap = F.struct(F.unix_millis("gap_since").alias("since"), F.unix_millis("gap_until").alias("until"))
    by_shard = lines.groupBy("shard").agg(
        F.sum("bytes").alias("bytes"),
        F.min("behind_ms").alias("behind_ms"),
        F.unix_millis(F.max("arrived_at")).alias("arrived_ms"),
        F.collect_set(F.when(F.col("gap_since").isNotNull(), gap)).alias("gaps"),
    )
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    rows = by_shard.collect()
    lags = [
        row["behind_ms"] if row["behind_ms"] is not None else now_ms - row["arrived_ms"]
        for row in rows
        if row["bytes"] is not None
    ]
    return Seen(
        bytes=sum(row["bytes"] or 0 for row in rows),
        lag_ms=max(lags, default=None),
        gaps=[
            (row["shard"], *(datetime.fromtimestamp(ms / 1000, UTC) for ms in gap))
            for row in rows
            for gap in row["gaps"]
        ],
    )


def reader_of(which: str, options: KinesisSettings) -> Reader:
    """The reader *which*, told what *options* say in its own words."""
    return {OURS: _ours, OF_EMR: _of_emr, OF_DATABRICKS: _of_databricks}[which](options)


def _ours(options: KinesisSettings) -> Reader:
    given = {name: getattr(options, name) for name in declared(KinesisSettings)}
    return Reader(format=OURS, options={name: str(of) for name, of in given.items() if of is not None})


def _of_emr(options: KinesisSettings) -> Reader:
    """The connector of EMR, by its README; it takes names and no ARNs."""
    region = options.region or options.region_of_arn
    host = f"kinesis.{region}.amazonaws.com{'.cn' if region and region.startswith('cn-') else ''}"
    words = {
        "kinesis.streamName": options.stream.rpartition("/")[2],
        "kinesis.region": region,
        "kinesis.endpointUrl": options.endpoint_url or (f"https://{host}" if region else None),
        "kinesis.consumerType": "GetRecords",
        "kinesis.startingPosition": _position(options, "AT_TIMESTAMP {}"),
        "kinesis.failOnDataLoss": str(options.on_gap == "fail").lower(),
        "kinesis.stsRoleArn": options.role_arn,
    }
    return Reader(format=OF_EMR, options={name: of for name, of in words.items() if of is not None})


def _of_databricks(options: KinesisSettings) -> Reader:
    position = _position(options, "{}").lower()
    if position not in ("trim_horizon", "latest"):
        # Z in quotes would be a letter, and the instant one of the zone of whoever reads it.
        position = json.dumps({"at_timestamp": position.upper(), "format": "yyyy-MM-dd'T'HH:mm:ssXXX"})
    words = {
        "streamARN" if options.stream.startswith("arn:") else "streamName": options.stream,
        "region": options.region or options.region_of_arn,
        "endpoint": options.endpoint_url,
        "initialPosition": position,
        "roleArn": options.role_arn,
    }
    return Reader(format="kinesis", options={name: of for name, of in words.items() if of is not None})


def _position(options: KinesisSettings, instant: str) -> str:
    begin = options.begin
    if isinstance(begin, int):
        return instant.format(datetime.fromtimestamp(begin / 1000, UTC).strftime(_INSTANT))
    return options.start.upper()


def lines_of(records: DataFrame) -> DataFrame:
    """The lines of *records*: nearly always a record is one.

    Returns:
        The columns of *records* but ``stream`` and ``data``, and ``value`` (string, the bytes as they are), ``source``
        (string, stream and shard), ``bytes`` (bigint). A row that tells of a gap has no value and no bytes.
    """
    text = F.col("data").cast("string")
    # Spark splits text alone, and would put other signs for bytes that are no UTF-8. In Latin-1 each byte is a letter.
    letters = F.split(F.decode("data", "ISO-8859-1"), "\n")
    pieces = F.transform(letters, lambda piece: F.encode(piece, "ISO-8859-1").cast("string"))
    lines = F.when(F.instr(text, "\n") > 0, pieces).otherwise(F.array(text))
    source = F.concat(F.lit("kinesis:"), F.concat_ws("/", "stream", "shard")).alias("source")
    kept = [name for name in records.columns if name not in ("stream", "data")]
    rows = records.select(*kept, F.explode(lines).alias("value"), source)
    return rows.withColumn("bytes", F.octet_length("value").cast("bigint"))
