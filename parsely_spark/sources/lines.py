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
from parsely_spark.places import is_csv, literally
from parsely_spark.sources.csv_records import read_records
from parsely_spark.sources.text import LONGEST_LINE_BYTES, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import SparkSession

    from parsely_spark.sources.s3 import RawFile

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
        The lines of a large file are spread over several tasks. A record of a CSV file is a line of JSON.

    Raises:
        BrokenFileError: if a file of CSV is none.
    """
    large = [file for file in files if file.size_bytes > _LARGE_BYTES]
    small = [file for file in files if file.size_bytes <= _LARGE_BYTES]
    parts = [_lines(spark, small)] if small else []
    if large:
        tasks = sum(file.size_bytes for file in large) // BYTES_PER_TASK
        # By hash: Spark would have to sort them all to be able to hand them out in turn a second time.
        parts.append(_lines(spark, large).repartition(tasks, F.xxhash64("value")))
    return reduce(DataFrame.union, parts)


def _lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    of_json = [file for file in files if not is_csv(file.path)]
    of_csv = [file for file in files if is_csv(file.path)]
    parts = [read_text(spark, of_json).select("value", "source", "bytes")] if of_json else []
    if of_csv:
        parts.append(read_records(spark, of_csv))
    return reduce(DataFrame.union, parts)


def tasks_per_cell(files: Sequence[RawFile]) -> int:
    """How many tasks share an hour, so that a file of ``events`` stays at a size that reads well."""
    hours = {file.path.rsplit("/", 1)[0] for file in files}
    bytes_per_hour = sum(file.size_bytes for file in files) / len(hours)
    return max(1, round(bytes_per_hour / BYTES_PER_TASK))


def first_lines(spark: SparkSession, file: RawFile, most: int) -> list[str]:
    """The first *most* lines of *file*, for which no more of it is read than they take."""
    return [row["value"] for row in _lines(spark, [file]).limit(most).collect()]


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
    plain = [file for file in files if not file.path.endswith(".gz")]
    able = [file for file in files if file.path.endswith(".gz") and file.size_bytes * _DENSEST >= LONGEST_LINE_BYTES]
    said = _said_sizes(spark, [file for file in able if file.size_bytes <= _LARGE_BYTES])

    def is_clear(file: RawFile) -> bool:
        # A newline was counted that is not there, or a byte order mark of three bytes left out; or both, or neither.
        return file.path in said and (said[file.path] - read.get(file.path, 0)) % _SAID_UP_TO in _AS_READ

    def holds(file: RawFile) -> bool:
        counted = count_bytes(spark, file.path)
        return counted is not None and counted - read.get(file.path, 0) >= LONGEST_LINE_BYTES

    unclear = [file for file in able if not is_clear(file)]
    with ThreadPoolExecutor(_COUNTED_AT_ONCE) as threads:
        found = [file for file, longer in zip(unclear, threads.map(holds, unclear), strict=True) if longer]
    # What is missing is the header, too, but that is shorter than a long line.
    return found + [file for file in plain if file.size_bytes - read.get(file.path, 0) >= LONGEST_LINE_BYTES]


def _said_sizes(spark: SparkSession, files: Sequence[RawFile]) -> dict[str, int]:
    """How many bytes each of *files* says that it, or its last part, holds, by path."""
    if not files:
        return {}
    objects = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    last = F.substring("content", -4, 4).alias("last")
    rows = objects.load([literally(file.path) for file in files]).select("path", last).collect()
    return {row["path"]: int.from_bytes(row["last"], "little") for row in rows}
