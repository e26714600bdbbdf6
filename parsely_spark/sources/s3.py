"""Raw events in files: which there are, and their lines.

Everything goes through Spark's own file systems, so one set of credentials serves and `s3a://`, `s3://`, local
folders and Databricks volumes all work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import SourceError
from parsely_spark.storage_errors import look_at, storage_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

# The prefix `events/` is missing in old buckets, the hour in old archives; deeper folders occur.
CHUNK = re.compile(r"/\d{4}/\d{2}/\d{2}/(?:.*/)?[^/]+\.gz$")


@dataclass(frozen=True, order=True)
class RawFile:
    """One object as the listing showed it: the path with its version."""

    path: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class Listing:
    """What lies under the sources: chunks of raw events, and how many other objects."""

    files: tuple[RawFile, ...]
    others: int


def list_files(spark: SparkSession, sources: Sequence[str]) -> Listing:
    """Find the chunks of raw events under *sources*.

    Args:
        spark: the session.
        sources: URIs of the `events/` prefix or of the bucket above it.

    Returns:
        The `*.gz` objects below a `YYYY/MM/DD` folder, sorted by path, and the number of others.

    Raises:
        SourceError: if a source cannot be listed, or holds no such object.
    """
    files: set[RawFile] = set()
    others = 0
    for source in sources:
        found = _list_one(spark, source)
        chunks = [file for file in found if CHUNK.search(file.path)]
        if not chunks:
            raise SourceError(_nothing_found(source, found))
        files.update(chunks)
        others += len(found) - len(chunks)
    return Listing(tuple(sorted(files)), others)


def _list_one(spark: SparkSession, source: str) -> list[RawFile]:
    listing = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    with storage_errors(SourceError, source):
        look_at(spark, source)
        # Without the column `content` no object is opened, though Spark asks for the head of each.
        rows = listing.load(source).select("path", "length", "modificationTime").collect()
    return [RawFile(row["path"], row["length"], row["modificationTime"]) for row in rows]


def _nothing_found(source: str, found: list[RawFile]) -> str:
    wanted = "*.gz below YYYY/MM/DD/HH folders"
    if not found:
        return f"{source}: it is empty, but {wanted} were wanted; check the bucket, the prefix and the site's name."
    return (
        f"{source}: of its {len(found):,} objects, such as {found[0].path}, none is one of the {wanted}; "
        "give the `events/` prefix or the bucket above it."
    )


def read_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """Read the lines of *files*.

    Args:
        spark: the session.
        files: what `list_files` found.

    Returns:
        ``value`` (string, the line's bytes as they are, without the newline) and ``source`` (string, the file).
        Lines end at newlines only: a bare carriage return is white space to JSON.
    """
    text = spark.read.option("lineSep", "\n").option("recursiveFileLookup", "true")
    return text.text([file.path for file in files]).select("value", F.col("_metadata.file_path").alias("source"))
