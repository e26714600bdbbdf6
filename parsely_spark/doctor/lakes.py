"""Whether the tables can be written where they shall lie, and only by one at a time; and so can a checkpoint."""

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
    yield from _look_at(_Trial(spark, lake, takes_turns=takes_turns))


def look_at_checkpoint(spark: SparkSession, checkpoint: str) -> Iterator[Finding]:
    """Likewise to the folder *checkpoint*, to which one run alone writes, without turns."""
    yield from _look_at(_Trial(spark, checkpoint, takes_turns=None, name="checkpoint"))


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


def _look_at(trial: _Trial) -> Iterator[Finding]:
    with_s3a = look(f"{trial.name} list", lambda: str(trial.reaches_by_s3a()), FAILURES)
    if with_s3a.state != OK:
        yield with_s3a
    elif with_s3a.said == str(True):
        yield from look_in_turn(trial.on_s3(), FAILURES)
    else:
        yield from look_in_turn(trial.elsewhere(), FAILURES)


class _Trial:
    """One object of our own in a folder; those by which writers of a lake take turns, beside it, nobody deletes."""

    def __init__(self, spark: SparkSession, folder: str, *, takes_turns: bool | None, name: str = "lake") -> None:
        """Nothing is done yet; *takes_turns* is None of a folder that never has more than one writer."""
        self._spark = spark
        self._folder = folder
        self._takes_turns = takes_turns
        self.name = name
        self._text = uuid.uuid4().hex
        self._uri = f"{folder.rstrip('/')}/_doctor/{uuid.uuid4().hex}.json"
        self._is_written = False
        self._is_read = False

    def reaches_by_s3a(self) -> bool:
        """Whether it is Hadoop's S3A that serves the folder."""
        if not is_driver(self._spark):
            raise NotReachedError(f"{self._folder}: a client of Spark Connect cannot try it")
        with storage_errors(LakeError, self._folder):
            return is_s3a(self._spark, self._folder)

    def on_s3(self) -> tuple[Step, ...]:
        """Each right that the folder needs, by itself."""
        condition = Step(f"{self.name} condition", self._refuse, is_alone=True)
        return (
            Step(f"{self.name} list", self._list, "s3:ListBucket"),
            Step(f"{self.name} write", self._write, "s3:PutObject"),
            Step(f"{self.name} read", self._read, "s3:GetObject"),
            *([] if self._takes_turns is None else [condition]),
            Step(f"{self.name} delete", self._delete, "s3:DeleteObject"),
        )

    def elsewhere(self) -> tuple[Step, ...]:
        """On a file system that keeps two writers apart itself."""
        return Step(f"{self.name} write", self._write_plainly), Step(f"{self.name} delete", self._delete_plainly)

    def _list(self) -> str:
        with storage_errors(LakeError, self._folder, action="s3:ListBucket"):
            look_at(self._spark, self._folder)
        return f"{self._folder} can be listed"

    def _write(self) -> str:
        with storage_errors(LakeError, self._folder, action="s3:PutObject"):
            if self._takes_turns:
                self._is_written = write_object(self._spark, self._uri, self._text, instead_of=None)
            else:  # as a run does then, also by an S3A that knows no conditions
                write_file(self._spark, self._uri, self._text)
                self._is_written = True
        if not self._is_written:
            raise LakeError(f"{self._uri}: it is refused as if it were there already; run again, by another name.")
        return f"{self._uri} was written"

    def _read(self) -> str:
        self._need("written", self._is_written)
        with storage_errors(LakeError, self._folder, action="s3:GetObject"):
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
        with storage_errors(LakeError, self._folder, action="s3:PutObject"):
            refuse_twice(self._spark, self._uri)
        return "a second writer is refused (If-None-Match, If-Match), so that runs can take turns"

    def _delete(self) -> str:
        self._need("written", self._is_written)
        self._need(f"read, which S3A does before it deletes; {self._uri} stays", self._is_read)
        with storage_errors(LakeError, self._uri, action="s3:DeleteObject"):
            delete(self._spark, self._uri)
        return "it was deleted"

    def _write_plainly(self) -> str:
        with storage_errors(LakeError, self._folder):
            write_file(self._spark, self._uri, self._text)
        return f"{self._uri} was written"

    def _delete_plainly(self) -> str:
        with storage_errors(LakeError, self._uri):
            delete(self._spark, self._uri)
        return "it was deleted"

    def _need(self, what: str, is_done: bool) -> None:
        if not is_done:
            raise NotReachedError(f"the object could not be {what}")
