"""Whether Spark starts, and Delta works in it."""

from __future__ import annotations

import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from parsely_spark.doctor.finding import NotReachedError, look
from parsely_spark.errors import LakeError
from parsely_spark.jvm import FAILURES, delete, is_driver, java_version, local_cores
from parsely_spark.storage_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parsely_spark.doctor.finding import Finding

_ROWS = 3


def start_spark(start: Callable[[], SparkSession]) -> tuple[Finding, SparkSession | None]:
    """What comes of *start*, and the session; also one without Delta, of which the rest can be looked at."""
    begun: list[SparkSession] = []

    def begin() -> str:
        begin_s = time.monotonic()
        spark = start()
        begun.append(spark)
        where = spark.sparkContext.master if is_driver(spark) else "Spark Connect"
        return f"Spark {spark.version} on {where}, there in {time.monotonic() - begin_s:.1f} s"

    finding = look("spark", begin, FAILURES)
    return finding, begun[0] if begun else SparkSession.getActiveSession()


def look_at_running_java(spark: SparkSession) -> str:
    """The Java that the driver runs on, where it was started by others."""
    version = java_version(spark)
    if version is None:
        raise NotReachedError("a client of Spark Connect has none")
    return f"Java {version}, which runs"


def try_delta(spark: SparkSession, folder: str | None) -> str:
    """Write and read a table: on this machine, or where Spark has others in *folder*, which they all reach."""
    with _new_folder(spark, folder) as place, storage_errors(LakeError, place):
        spark.range(0, _ROWS, 1, 1).write.format("delta").save(place)
        rows = spark.read.format("delta").load(place).count()
    if rows != _ROWS:
        raise LakeError(f"{place}: {_ROWS} rows were written to a table there and {rows} read; give another --lake.")
    return f"a table was written and read in {place.rpartition('/')[0]}"


@contextmanager
def _new_folder(spark: SparkSession, folder: str | None) -> Iterator[str]:
    if local_cores(spark) is not None:
        with tempfile.TemporaryDirectory(prefix="parsely-spark-") as here:
            yield f"file:{here}/table"
        return
    if folder is None or not is_driver(spark):
        raise NotReachedError("where Spark has several machines, a --lake is needed to try a table in")
    place = f"{folder.rstrip('/')}/_doctor/{uuid.uuid4().hex}"
    try:
        yield place
    except BaseException:
        with suppress(*FAILURES):  # what went wrong first is told
            delete(spark, place)
        raise
    with storage_errors(LakeError, place, action="s3:DeleteObject"):
        delete(spark, place)
