"""Whether the tables can be written where they shall lie, and only by one at a time."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from parsely_spark.doctor.finding import OK, NotAskedForError, NotReachedError, Step, look, look_in_turn
from parsely_spark.errors import LakeError
from parsely_spark.jvm import FAILURES, delete, is_driver, is_s3a, read_object, write_file, write_object
from parsely_spark.storage_errors import look_at, storage_errors
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.lease import refuse_twice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.doctor.finding import Finding


def look_at_folder(spark: SparkSession, lake: str, *, takes_turns: bool) -> Iterator[Finding]:
    """Write to the folder *lake*, under a name that no table has, and delete it again."""
    with_s3a = look("lake list", lambda: str(_reaches_by_s3a(spark, lake)), FAILURES)
    if with_s3a.state != OK:
        yield with_s3a
        return
    trial = _Trial(spark, lake, takes_turns=takes_turns)
    if with_s3a.said == str(True):
        yield from look_in_turn(trial.on_s3(), FAILURES)
    else:
        yield from look_in_turn(trial.elsewhere(), FAILURES)


def look_at_catalog(spark: SparkSession, schema: str, *, takes_turns: bool) -> Iterator[Finding]:
    """Make a table in *schema*, fill and read it; where it lies on S3, try that place as well, then drop it."""
    lake = Lake(spark, schema, is_catalog=True, takes_turns=takes_turns)
    name = f"parsely_spark_doctor_{uuid.uuid4().hex}"

    def make() -> str:
        with storage_errors(LakeError, schema):
            spark.sql(f"CREATE TABLE {lake.name_of(name)} (n BIGINT) USING DELTA")
            spark.sql(f"INSERT INTO {lake.name_of(name)} VALUES (1)")
            rows = lake.read(name).count()
        if rows != 1:
            raise LakeError(f"{lake.name_of(name)}: a row was written and {rows} read; take another schema.")
        return f"{schema}: a table was made, written and read"

    def drop() -> str:
        with storage_errors(LakeError, schema):
            spark.sql(f"DROP TABLE IF EXISTS {lake.name_of(name)}")
        return f"{schema}: it was dropped"

    made = look("lake table", make, FAILURES)
    yield made
    if made.state == OK:
        lease = lake.lease_of(name)
        if lease is not None and is_s3a(spark, lease):
            yield from look_at_folder(spark, lease.partition("/_leases/")[0], takes_turns=takes_turns)
    yield look("lake drop", drop, FAILURES)


def _reaches_by_s3a(spark: SparkSession, lake: str) -> bool:
    if not is_driver(spark):
        raise NotReachedError(f"{lake}: a client of Spark Connect cannot try it")
    with storage_errors(LakeError, lake):
        return is_s3a(spark, lake)


class _Trial:
    """One object of our own in the folder of a lake; those by which writers take turns, beside it, nobody deletes."""

    def __init__(self, spark: SparkSession, lake: str, *, takes_turns: bool) -> None:
        self._spark = spark
        self._lake = lake
        self._takes_turns = takes_turns
        self._text = uuid.uuid4().hex
        self._uri = f"{lake.rstrip('/')}/_doctor/{uuid.uuid4().hex}.json"
        self._is_written = False
        self._is_read = False

    def on_s3(self) -> tuple[Step, ...]:
        """Each right that a lake needs, by itself."""
        return (
            Step("lake list", self._list, "s3:ListBucket"),
            Step("lake write", self._write, "s3:PutObject"),
            Step("lake read", self._read, "s3:GetObject"),
            Step("lake condition", self._refuse, is_alone=True),
            Step("lake delete", self._delete, "s3:DeleteObject"),
        )

    def elsewhere(self) -> tuple[Step, ...]:
        """On a file system that keeps two writers apart itself."""
        return Step("lake write", self._write_plainly), Step("lake delete", self._delete_plainly)

    def _list(self) -> str:
        with storage_errors(LakeError, self._lake, action="s3:ListBucket"):
            look_at(self._spark, self._lake)
        return f"{self._lake} can be listed"

    def _write(self) -> str:
        with storage_errors(LakeError, self._lake, action="s3:PutObject"):
            self._is_written = write_object(self._spark, self._uri, self._text, instead_of=None)
        if not self._is_written:
            raise LakeError(f"{self._uri}: it is refused as if it were there already; run again, by another name.")
        return f"{self._uri} was written"

    def _read(self) -> str:
        self._need("written", self._is_written)
        with storage_errors(LakeError, self._lake, action="s3:GetObject"):
            read = read_object(self._spark, self._uri)
        if read != self._text:
            raise LakeError(f"{self._uri}: what is read is not what was written; nothing may stand in between.")
        self._is_read = True
        return "it was read as it was written"

    def _refuse(self) -> str:
        if not self._takes_turns:
            raise NotAskedForError("--no-turns")
        self._need("written", self._is_written)
        self._need("read", self._is_read)
        with storage_errors(LakeError, self._lake, action="s3:PutObject"):
            refuse_twice(self._spark, self._uri)
        return "a second writer is refused (If-None-Match, If-Match), so that runs can take turns"

    def _delete(self) -> str:
        self._need("written", self._is_written)
        self._need(f"read, which S3A does before it deletes; {self._uri} stays", self._is_read)
        with storage_errors(LakeError, self._uri, action="s3:DeleteObject"):
            delete(self._spark, self._uri)
        return "it was deleted"

    def _write_plainly(self) -> str:
        with storage_errors(LakeError, self._lake):
            write_file(self._spark, self._uri, self._text)
        return f"{self._uri} was written"

    def _delete_plainly(self) -> str:
        with storage_errors(LakeError, self._uri):
            delete(self._spark, self._uri)
        return "it was deleted"

    def _need(self, what: str, is_done: bool) -> None:
        if not is_done:
            raise NotReachedError(f"the object could not be {what}")
