"""The releases that were tested together, read from the one place that has them.

``data/versions.csv`` is that place, the newest first. The Makefile, `make lock`, the jars and the README take them from
it, and the files under `conf/` are compared with it; a new pair is a new line there, and `make lock`.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, kw_only=True)
class Versions:
    """A Spark and what belongs to it."""

    spark: str
    delta: str
    hadoop: str  # of the client inside Spark, and so of hadoop-aws
    python: str
    java: str

    @property
    def minor(self) -> str:
        """Of Spark, as in 4.2."""
        return minor_of(self.spark)

    @property
    def delta_jar(self) -> str:
        """Delta's coordinate."""
        return delta_jar_of(self.spark, self.delta)


def minor_of(version: str) -> str:
    """The first two numbers of *version*."""
    return ".".join(version.split(".")[:2])


def release_of(version: str) -> str:
    """*version* without what a vendor adds to it, as in 4.1.3-amzn-0 or 4.1.3+amzn.0."""
    found = re.match(r"\d+\.\d+\.\d+", version)
    return found[0] if found else version


def delta_jar_of(spark: str, delta: str) -> str:
    """Coordinate of Delta's jar for a Spark; from 4.1 on, there is one for each minor release of Spark."""
    of_spark = "" if minor_of(delta) == "4.0" else f"_{minor_of(spark)}"
    return f"io.delta:delta-spark{of_spark}_2.13:{delta}"


def tested_versions() -> list[Versions]:
    """Read the table."""
    with resources.files("parsely_spark").joinpath("data/versions.csv").open(encoding="utf-8") as rows:
        return [Versions(**row) for row in csv.DictReader(rows)]
