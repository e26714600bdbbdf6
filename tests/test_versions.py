"""The table of versions: each environment in which these tests pass proves one row of it."""

from __future__ import annotations

import re
from importlib.metadata import requires, version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from pyspark.find_spark_home import _find_spark_home

from parsely_spark import versions
from parsely_spark.versions import delta_jar_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parent.parent


def test_the_releases_that_run_are_those_of_one_row(spark: SparkSession) -> None:
    """By what Spark says, and by the names of its jars."""
    (row,) = [row for row in versions.tested_versions() if row.spark == spark.version]
    jars = {jar.name for jar in Path(_find_spark_home(), "jars").glob("*.jar")}
    _, artifact, delta = row.delta_jar.split(":")
    assert {f"{artifact}-{delta}.jar", f"hadoop-client-api-{row.hadoop}.jar"} <= jars
    assert len([jar for jar in jars if jar.startswith("delta-spark")]) == 1
    assert version("delta-spark") == row.delta


def test_the_extra_for_a_laptop_asks_for_the_first_row() -> None:
    wanted = [Requirement(text) for text in requires("parsely-spark") or []]
    local = {one.name: str(one.specifier) for one in wanted if one.marker and one.marker.evaluate({"extra": "local"})}
    first = versions.tested_versions()[0]
    assert (local["pyspark"], local["delta-spark"]) == (f"=={first.spark}", f"=={first.delta}")


def test_the_pages_name_no_jars_but_those_of_the_table() -> None:
    known = {row.delta_jar for row in versions.tested_versions()}
    known |= {f"org.apache.hadoop:hadoop-aws:{row.hadoop}" for row in versions.tested_versions()}
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    coordinates = r"(?:io\.delta:delta-spark|org\.apache\.hadoop:hadoop-aws)[\w.:]*\d"
    named = {name for page in pages for name in re.findall(coordinates, page.read_text(encoding="utf-8"))}
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("spark", "delta", "jar"),
    [
        ("4.2.0", "4.4.0", "io.delta:delta-spark_4.2_2.13:4.4.0"),
        ("4.0.5", "4.1.0", "io.delta:delta-spark_4.0_2.13:4.1.0"),
        ("4.0.2", "4.0.1", "io.delta:delta-spark_2.13:4.0.1"),
    ],
)
def test_the_jar_of_delta_is_the_one_that_is_published_for_a_spark(spark: str, delta: str, jar: str) -> None:
    assert delta_jar_of(spark, delta) == jar
