"""Whether Spark, Delta and Hadoop are releases that go together."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
from pyspark.find_spark_home import _find_spark_home

from parsely_spark.doctor.finding import NotReachedError
from parsely_spark.errors import ParselySparkError
from parsely_spark.jvm import hadoop_version, is_driver, jar_of
from parsely_spark.packages import version_of
from parsely_spark.versions import Versions, minor_of, release_of, tested_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

_DELTA_JAR = re.compile(r"delta-spark(?:_(\d+\.\d+))?_\d+\.\d+-(.+)\.jar")


@dataclass(frozen=True, kw_only=True)
class Releases:
    """What there is of each; None where there is none, or where it does not tell.

    Attributes:
        spark: the version of Spark.
        pyspark: of the package of Python.
        delta: of Delta's jar.
        delta_is_for: the minor release of Spark that Delta's jar was built for.
        delta_python: of the package of Python.
        hadoop: of the Hadoop client in Spark.
        hadoop_aws: of S3A.
    """

    spark: str
    pyspark: str
    delta: str | None
    delta_is_for: str | None
    delta_python: str | None
    hadoop: str | None
    hadoop_aws: str | None

    def __str__(self) -> str:
        return f"Spark {self.spark}, Delta {self.delta or 'unknown'}, Hadoop {self.hadoop or 'unknown'}"


def look_at_pair(spark: SparkSession | None) -> str:
    """Those that run in *spark*, or those that are installed where it did not start."""
    if spark is None:
        return judge(_installed())
    if databricks := os.environ.get("DATABRICKS_RUNTIME_VERSION"):
        return f"Spark {spark.version} of Databricks {databricks}, which has a Delta of its own"
    if not is_driver(spark):
        raise NotReachedError(f"what goes with Spark {spark.version} is not told to a client of Spark Connect")
    return judge(_running(spark))


def judge(found: Releases) -> str:
    """Say how far *found* are releases that were tested together.

    Raises:
        ParselySparkError: if they clash, or are none of these and none that are near.
    """
    tested = tested_versions()
    row = next((row for row in tested if row.minor == minor_of(found.spark)), tested[0])
    for clash in _clashes(found, row):
        raise ParselySparkError(f"{found}: {clash}.")
    ours = (found.spark, found.delta, found.hadoop)
    if ours == (row.spark, row.delta, row.hadoop):
        return f"{found}, which were tested together"
    wanted = f"Spark {row.spark}, Delta {row.delta}, Hadoop {row.hadoop}"
    if [minor_of(one or "") for one in ours] == [row.minor, minor_of(row.delta), minor_of(row.hadoop)]:
        return f"{found}, near {wanted}, which were tested together"
    raise ParselySparkError(f"{found} were not tested together; the nearest that were are {wanted} ({row.delta_jar}).")


def _clashes(found: Releases, row: Versions) -> Iterator[str]:
    """What cannot work, with the way out: a vendor's build of a release goes with the release."""
    if _differ(found.pyspark, found.spark):
        spark = release_of(found.spark)
        yield f"its Python package is {found.pyspark}; `pip install pyspark=={spark}`, or unset SPARK_HOME"
    if found.delta_is_for not in (None, minor_of(found.spark)):
        yield f"this Delta was built for Spark {found.delta_is_for}; take {row.delta_jar}"
    if found.delta and _differ(found.delta_python, found.delta):
        yield f"Delta's Python package is {found.delta_python}; `pip install delta-spark=={release_of(found.delta)}`"
    if found.hadoop and _differ(found.hadoop_aws, found.hadoop):
        yield f"its S3A is {found.hadoop_aws}; take org.apache.hadoop:hadoop-aws:{release_of(found.hadoop)}"


def _differ(one: str | None, other: str) -> bool:
    return one is not None and release_of(one) != release_of(other)


def _running(spark: SparkSession) -> Releases:
    delta = jar_of(spark, "io.delta.tables.DeltaTable")
    if delta is None:
        raise NotReachedError("this Spark has no Delta")
    s3a = jar_of(spark, "org.apache.hadoop.fs.s3a.S3AFileSystem")
    named = _DELTA_JAR.fullmatch(delta.name)
    return Releases(
        spark=spark.version,
        pyspark=pyspark.__version__,
        delta=delta.version,
        delta_is_for=named[1] if named else None,
        delta_python=version_of("delta-spark"),
        hadoop=hadoop_version(spark),
        hadoop_aws=s3a.version if s3a else None,
    )


def _installed() -> Releases:
    """By the names of the jars. Where Delta's is fetched by its coordinates, it is the one of the Python package."""
    names = [jar.name for jar in Path(_find_spark_home(), "jars").glob("*.jar")]
    delta = next(filter(None, map(_DELTA_JAR.fullmatch, names)), None)
    return Releases(
        spark=_version_in(names, "spark-core_2.13") or pyspark.__version__,
        pyspark=pyspark.__version__,
        delta=delta[2] if delta else version_of("delta-spark"),
        delta_is_for=delta[1] if delta else None,
        delta_python=version_of("delta-spark"),
        hadoop=_version_in(names, "hadoop-client-api"),
        hadoop_aws=_version_in(names, "hadoop-aws"),
    )


def _version_in(names: list[str], artifact: str) -> str | None:
    found = (re.fullmatch(rf"{re.escape(artifact)}-(\d.+)\.jar", name) for name in names)
    return next((match[1] for match in found if match), None)
