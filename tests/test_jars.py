from __future__ import annotations

import hashlib
from importlib.metadata import distribution
from pathlib import Path

import pytest

from parsely_spark.versions import tested_versions
from tools import jars

TESTED = tested_versions()


@pytest.fixture
def resolved(tmp_path: Path) -> dict[str, Path]:
    """Two jars as a download leaves them."""
    found = {}
    for coordinate in ("g:one:1.0", "g:two:2.0"):
        found[coordinate] = tmp_path / f"{coordinate.replace(':', '_')}.jar"
        found[coordinate].write_text(coordinate)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jars").mkdir()
    return tmp_path / "jars"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_jars_whose_hashes_agree_are_installed_under_sparks_kind_of_name(resolved, folder):
    jars._install(resolved, {coordinate: sha256(coordinate) for coordinate in resolved}, folder, "jars.lock")

    assert sorted(jar.name for jar in folder.iterdir()) == ["one-1.0.jar", "two-2.0.jar"]


def test_one_wrong_hash_keeps_every_jar_out_and_is_named(resolved, folder):
    locked = {"g:one:1.0": sha256("g:one:1.0"), "g:two:2.0": sha256("something else")}

    with pytest.raises(jars.JarsError, match=r"g:two:2\.0 came with sha256 .*, conf/jars\.lock wants "):
        jars._install(resolved, locked, folder, "jars.lock")

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("locked", [["g:one:1.0"], ["g:one:1.0", "g:two:2.0", "g:three:3.0"]])
def test_a_jar_more_or_less_than_the_lock_has_is_named(resolved, folder, locked):
    with pytest.raises(jars.JarsError, match=r"differ in g:(two:2|three:3)\.0; run `make lock`"):
        jars._install(resolved, dict.fromkeys(locked, ""), folder, "jars.lock")


def test_a_jar_of_an_older_lock_is_removed(folder):
    for name in ("one-1.0.jar", "one-0.9.jar"):
        (folder / name).touch()

    jars._remove_stale(folder, keep={"one-1.0.jar"})

    assert [jar.name for jar in folder.iterdir()] == ["one-1.0.jar"]


@pytest.mark.parametrize(
    ("jar", "artifact"),
    [
        ("zstd-jni-1.5.7-3.jar", "zstd-jni"),
        ("log4j-1.2-api-2.25.4.jar", "log4j-1.2-api"),
        ("spark-core_2.13-4.2.0.jar", "spark-core_2.13"),
        ("netty-transport-native-epoll-4.2.13.Final-linux-x86_64.jar", "netty-transport-native-epoll"),
    ],
)
def test_the_artifact_is_found_in_a_jars_name(jar, artifact):
    assert artifact in set(jars._artifacts(jar))


def test_the_lock_has_no_second_version_of_what_spark_ships():
    pyspark = distribution("pyspark")
    spark_own = {file.name for file in pyspark.files or () if file.parent.name == "jars"}
    artifacts = {artifact for jar in spark_own for artifact in jars._artifacts(jar)}
    lock, _ = jars._wanted(pyspark.version, TESTED)

    assert [c for c in jars._read_lock(lock) if c.split(":")[1] in artifacts] == []


@pytest.mark.parametrize("spark", [row.spark for row in TESTED])
def test_the_lock_has_each_artifact_once_and_every_coordinate_asked_for(spark):
    lock, coordinates = jars._wanted(spark, TESTED)
    locked = list(jars._read_lock(lock))

    assert len({coordinate.rsplit(":", 1)[0] for coordinate in locked}) == len(locked)
    assert set(coordinates) <= set(locked)


def test_a_spark_that_is_not_in_the_table_is_named():
    with pytest.raises(jars.JarsError, match=r"Spark 3\.5\.9 is not in .*, which has 4\.2\.0, 4\..*; install one of"):
        jars._wanted("3.5.9", TESTED)
