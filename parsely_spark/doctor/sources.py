"""Whether raw events can be listed and read, and whose keys S3 is asked with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parsely_spark.doctor.finding import NotAskedForError, NotReachedError, Step, look_in_turn
from parsely_spark.errors import SourceError
from parsely_spark.jvm import FAILURES, is_s3a, who_gave_keys
from parsely_spark.places import absolute, check_raw_events, is_csv
from parsely_spark.sources.lines import first_lines
from parsely_spark.sources.s3 import CHUNK, RawFile, list_files, newest_day
from parsely_spark.storage_errors import look_at, storage_errors
from parsely_spark.transforms.parse import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.doctor.finding import Finding
    from parsely_spark.errors import LakeError

_LINES = 20
_LARGE_CSV_BYTES = 64 * 2**20  # whether it has a record, only the whole of it tells


def look_at_keys(spark: SparkSession, uri: str, kind: type[SourceError] | type[LakeError]) -> str:
    """Which provider has keys for the bucket of *uri*."""
    bucket = uri.split("/")[2]
    with storage_errors(kind, f"s3a://{bucket}"):
        if not is_s3a(spark, uri):
            raise NotReachedError(f"s3a://{bucket}: it is not Hadoop's S3A that this Spark reaches it by")
        return f"s3a://{bucket}: {who_gave_keys(spark, uri)}"


def look_at_source(spark: SparkSession, source: str) -> Iterator[Finding]:
    """List the newest day of *source*, and read an object of it."""
    newest: list[RawFile] = []

    def list_newest() -> str:
        check_raw_events("source", source)
        uri = absolute(source)
        with storage_errors(SourceError, uri, action="s3:ListBucket"):
            look_at(spark, uri)
            day = newest_day(spark, uri)
        files = list_files(spark, [day]).files
        if is_csv(files[0].path):
            newest.append(files[0])
            return f"{files[0].path} is one file of CSV, {_count(files[0].size_bytes, 'byte')}"
        hours = {file: _hour_of(file.path) for file in files}
        last = max(hours.values())
        newest.extend(file for file in files if hours[file] == last)
        counts = _count(len(files), "object"), _count(len(set(hours.values())), "hour")
        return f"{day}, the newest day, has {' in '.join(counts)}"

    def read_one() -> str:
        if not newest:
            raise NotReachedError(f"{source}: no object is known")
        file = min(newest, key=lambda file: file.size_bytes)
        if is_csv(file.path) and file.size_bytes > _LARGE_CSV_BYTES:
            raise NotAskedForError(f"{file.path}: it would have to be read to its end")
        with storage_errors(SourceError, file.path, action="s3:GetObject"):
            return _judge(file.path, first_lines(spark, file, _LINES))

    steps = Step("source list", list_newest, "s3:ListBucket"), Step("source read", read_one, "s3:GetObject")
    yield from look_in_turn(steps, FAILURES)


def _hour_of(path: str) -> str:
    """The folder of its hour, or of its day where old archives have no more."""
    found = CHUNK.search(path)
    assert found is not None
    return "/".join(filter(None, found.groups()))


def _judge(path: str, lines: list[str]) -> str:
    events = [event for event in map(_event, lines) if event is not None]
    # The records of a table come in no order.
    looked_at = f"{_count(len(lines), 'record')} of it" if is_csv(path) else f"its first {_count(len(lines), 'line')}"
    if not events:
        wanted = "a record with an apikey" if is_csv(path) else "a JSON object with an apikey"
        raise SourceError(
            f"{path}: none of {looked_at} is {wanted}, as an event is; give the events/ prefix of Parse.ly's raw "
            f"events{', or a whole copy of its sample' if is_csv(path) else ''}."
        )
    are = "is an event" if len(lines) == 1 else "are events"
    said = f"{path}: {len(events)} of {looked_at} {are}"
    unnamed = sum(not event.get("event_id") for event in events)
    return f"{said}, {unnamed} of them without an event_id, as old ones are" if unnamed else said


def _event(line: str) -> dict[str, object] | None:
    """What *line* holds, if it looks like an event; the run has the whole rule."""
    try:
        held = json.loads(line.removeprefix(BYTE_ORDER_MARK))
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, dict) and held.get("apikey") else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
