"""The lines of files of raw events.

A gzip file can be read by one task only and from its beginning only, and a line of it can be of any length: a few
kilobytes of gzip may hold gigabytes of one letter.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from parsely_spark.jvm import count_bytes
from parsely_spark.places import literally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import Column, SparkSession

    from parsely_spark.sources.s3 import RawFile

# Kinesis takes no record of more than 10 MiB, and Spark's JSON parser no text of more than 20 million signs.
LONGEST_LINE_BYTES = 16 * 2**20
# About 4 MB of gzip are 20,000 events, 70 MB of JSON and 15 MB of Parquet.
BYTES_PER_TASK = 16 * 2**20
_LARGE_BYTES = 64 * 2**20  # more work than one task should do alone
_DENSEST = 1032  # bytes that a byte of gzip can hold at most
_SAID_UP_TO = 2**32  # a gzip file says the rest of a division by it
_AS_READ = (0, _SAID_UP_TO - 1, 3, 2)
_COUNTED_AT_ONCE = 4


def read_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """Read the lines of *files*, but for those of more than `LONGEST_LINE_BYTES`, which `hold_longer_lines` finds.

    Args:
        spark: the session.
        files: what `list_files` found.

    Returns:
        ``value`` (string, the line's bytes as they are, without the newline), ``source`` (string, the file) and
        ``bytes`` (int, with the newline). Lines end at newlines only: a bare carriage return is white space to JSON.
        The lines of a large file are spread over several tasks.
    """
    large = [file for file in files if file.size_bytes > _LARGE_BYTES]
    small = [file for file in files if file.size_bytes <= _LARGE_BYTES]
    parts = [_text(spark, small)] if small else []
    if large:
        tasks = sum(file.size_bytes for file in large) // BYTES_PER_TASK
        # By hash: Spark would have to sort them all to be able to hand them out in turn a second time.
        parts.append(_text(spark, large).repartition(tasks, F.xxhash64("value")))
    return reduce(DataFrame.union, parts)


def hold_longer_lines(spark: SparkSession, files: Sequence[RawFile], read: Mapping[str, int]) -> list[RawFile]:
    """Those of *files* of which `read_lines` has passed over a line, because it was too long.

    Hadoop's reader does so without a word, but the bytes are missing, and a gzip file says at its end how many it
    holds. One that was put together of several says so of the last of them only; its bytes are counted, and those of
    large ones, whose end cannot be had without the rest.

    Args:
        spark: the session. Without a JVM beside this process, nothing is known of large files and of those that were
            put together.
        files: what was read.
        read: the sum of ``bytes`` by path.
    """
    able = [file for file in files if file.size_bytes * _DENSEST >= LONGEST_LINE_BYTES]
    said = _said_sizes(spark, [file for file in able if file.size_bytes <= _LARGE_BYTES])

    def is_clear(file: RawFile) -> bool:
        # A newline was counted that is not there, or a byte order mark of three bytes left out; or both, or neither.
        return file.path in said and (said[file.path] - read.get(file.path, 0)) % _SAID_UP_TO in _AS_READ

    def holds(file: RawFile) -> bool:
        counted = count_bytes(spark, file.path)
        return counted is not None and counted - read.get(file.path, 0) >= LONGEST_LINE_BYTES

    unclear = [file for file in able if not is_clear(file)]
    with ThreadPoolExecutor(_COUNTED_AT_ONCE) as threads:
        return [file for file, longer in zip(unclear, threads.map(holds, unclear), strict=True) if longer]


def _said_sizes(spark: SparkSession, files: Sequence[RawFile]) -> dict[str, int]:
    """How many bytes each of *files* says that it, or its last part, holds, by path."""
    if not files:
        return {}
    objects = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    last = F.substring("content", -4, 4).alias("last")
    rows = objects.load([literally(file.path) for file in files]).select("path", last).collect()
    return {row["path"]: int.from_bytes(row["last"], "little") for row in rows}


def _text(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    text = spark.read.option("lineSep", "\n").option("recursiveFileLookup", "true")
    text = text.option("mapreduce.input.linerecordreader.line.maxlength", LONGEST_LINE_BYTES)
    rows = text.text([literally(file.path) for file in files])
    return rows.select("value", _path_read().alias("source"), (F.octet_length("value") + 1).alias("bytes"))


def _path_read() -> Column:
    """The path of the file at hand as the listing shows it; Spark tells it with most signs encoded."""
    return F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
