"""Raw events in files: which there are.

Everything goes through Spark's own file systems, so one set of credentials serves and `s3a://`, `s3://`, local
folders and Databricks volumes all work.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from parsely_spark.errors import SourceError
from parsely_spark.jvm import is_s3a, list_folders, list_objects
from parsely_spark.places import is_csv, literally
from parsely_spark.storage_errors import look_at, storage_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

# The prefix `events/` is missing in old buckets, the hour in old archives; deeper folders occur.
CHUNK = re.compile(r"/(\d{4}/\d{2}/\d{2})/(?:(\d\d)/)?(?:.*/)?[^/]+\.gz$")


# What Spark passes over, in folders and names below the source.
_DAY = re.compile(r"/\d{4}/\d{2}/\d{2}/")
_HIDDEN = re.compile(r"/(_[^=/]*(/|$)|\.)|\._COPYING_$")
_LISTINGS_AT_ONCE = 16


@dataclass(frozen=True, order=True)
class RawFile:
    """One object as the listing showed it: the path, and what tells its versions apart."""

    path: str
    size_bytes: int
    modified_ms: int  # epoch

    @property
    def modified_at(self) -> datetime:
        """When it was last changed, UTC."""
        return datetime.fromtimestamp(self.modified_ms // 1000, UTC).replace(microsecond=self.modified_ms % 1000 * 1000)

    @property
    def version(self) -> tuple[str, int, int]:
        """The object in this state and no other."""
        return self.path, self.size_bytes, self.modified_ms


@dataclass(frozen=True)
class Listing:
    """What lies under the sources: chunks of raw events, and how many other objects."""

    files: tuple[RawFile, ...]
    others: int


def list_files(
    spark: SparkSession, sources: Sequence[str], *, begin: str | None = None, end: str | None = None
) -> Listing:
    """Find the chunks of raw events under *sources*.

    Args:
        spark: the session.
        sources: URIs of the `events/` prefix, of the bucket above it, or of a file of CSV, whose folder is anybody's.
        begin: the first hour wanted, as `YYYY/MM/DD/HH`; of the folders, not of the events in them.
        end: the first hour not wanted any more, likewise.

    Returns:
        The `*.gz` objects below a `YYYY/MM/DD` folder and the files of CSV, sorted by path, and the number of others.

    Raises:
        SourceError: if a source cannot be listed, or holds no such object.
    """
    files: set[RawFile] = set()
    others = 0
    for source in sources:
        with storage_errors(SourceError, source):
            look_at(spark, source)
            found = _list(spark, [source])
        if is_csv(source) and [_name(file.path) for file in found] == [_name(source)]:
            files.update(found)
            continue
        chunks = [file for file in found if CHUNK.search(file.path)]
        if not chunks:
            raise SourceError(_nothing_found(source, found))
        files.update(file for file in chunks if _is_between(file.path, begin, end))
        others += len(found) - len(chunks)
    return Listing(tuple(sorted(files)), others)


def newest_day(spark: SparkSession, source: str) -> str:
    """The folder of the last day below *source*, found by a listing of a folder's own folders at each level.

    It is *source* where that is a day's or lies below one; and where no way leads to one, or no JVM is beside this
    process to ask: what to say of that, `list_files` knows.
    """
    folder = source.rstrip("/")
    while not _DAY.search(f"{folder}/"):
        wanted = "[0-9]{2}" if re.search(r"/\d{4}(/\d{2})?$", folder) else "events|[0-9]{4}"
        below = [name for name in list_folders(spark, folder) if re.fullmatch(wanted, name)]
        if not below:
            return source
        folder = f"{folder}/{max(below)}"
    return folder


def changed_since(spark: SparkSession, files: Sequence[RawFile]) -> tuple[str, ...]:
    """The paths of those *files* that are not there any more as they were listed."""
    # A file of CSV may lie among thousands of others, and is looked for by itself.
    places = sorted({file.path if is_csv(file.path) else file.path.rsplit("/", 1)[0] for file in files})
    try:
        now = _list(spark, places)
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        # One of them is gone altogether. That is rare, so each may be asked for by itself.
        now = [file for place in places for file in _list_if_there(spark, place)]
    versions = {file.version for file in now}
    return tuple(file.path for file in files if file.version not in versions)


def slices_of(files: Sequence[RawFile], *, bytes_each: int, files_each: int) -> list[list[RawFile]]:
    """Cut *files* into runs of at most so many compressed bytes and objects; a larger object is a slice by itself."""
    slices: list[list[RawFile]] = []
    room = 0
    for file in files:
        if not slices or file.size_bytes > room or len(slices[-1]) == files_each:
            slices.append([])
            room = bytes_each
        slices[-1].append(file)
        room -= file.size_bytes
    return slices


def _is_between(path: str, begin: str | None, end: str | None) -> bool:
    found = CHUNK.search(path)
    assert found is not None
    day, hour = found[1], found[2]
    first, last = (f"{day}/{hour}",) * 2 if hour else (f"{day}/00", f"{day}/23")  # old archives have folders of days
    return (begin is None or last >= begin) and (end is None or first < end)


def _list_if_there(spark: SparkSession, uri: str) -> list[RawFile]:
    try:
        return _list(spark, [uri])
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return []


def _list(spark: SparkSession, uris: Sequence[str]) -> list[RawFile]:
    if uris and is_s3a(spark, uris[0]):
        with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as threads:
            return [file for some in threads.map(partial(_list_s3a, spark), uris) for file in some]
    return _list_any(spark, uris)


def _list_s3a(spark: SparkSession, uri: str) -> list[RawFile]:
    """As `_list_any`, which asks for the head of each object, lists them."""
    objects = list_objects(spark, uri)
    if objects is None:
        return _list_any(spark, [uri])
    files = [RawFile(*of) for of in objects]
    return [file for file in files if file.size_bytes and not _HIDDEN.search(file.path.removeprefix(uri.rstrip("/")))]


def _list_any(spark: SparkSession, uris: Sequence[str]) -> list[RawFile]:
    listing = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    # Without the column `content` no object is opened, though Spark asks for the head of each.
    objects = listing.load([literally(uri) for uri in uris])
    shown = objects.select("path", "length", F.unix_millis("modificationTime").alias("modified_ms"))
    return [RawFile(row["path"], row["length"], row["modified_ms"]) for row in shown.collect()]


def _name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def _nothing_found(source: str, found: list[RawFile]) -> str:
    wanted = "*.gz below YYYY/MM/DD/HH folders"
    if is_csv(source) and not found:
        return f"{source}: it is empty, but a CSV file with a header was wanted; put a whole copy in its place."
    if not found:
        return f"{source}: it is empty, but {wanted} were wanted; check the bucket, the prefix and the site's name."
    has_csv = any(is_csv(file.path) for file in found)
    return (
        f"{source}: of its {len(found):,} objects, such as {found[0].path}, none is one of the {wanted}; "
        f"give the `events/` prefix or the bucket above it{', or a CSV file by its own name' if has_csv else ''}."
    )
