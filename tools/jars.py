"""Put Delta's and S3A's jars beside Spark's own, in the `pyspark/jars` of this virtual environment.

A session then starts without asking any repository, and so does a standalone cluster started from the
environment. Spark's own Ivy does the download: a machine that runs Spark has that and need not have Maven.

    .venv/bin/python tools/jars.py          install what conf/jars.lock lists; a no-op when it is in place
    .venv/bin/python tools/jars.py --lock   resolve the coordinates again and rewrite conf/jars.lock

Which jars those are follows from the environment's Spark, one of parsely_spark/data/versions.csv. The first of them has
conf/jars.lock; an older one conf/jars-spark-X.Y.lock, of Delta alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parsely_spark.versions import Versions

CONF = Path(__file__).resolve().parent.parent / "conf"
LOCK_HEADER = "# The jars that join Spark's own: group:artifact:version  sha256. Written by `make lock`.\n"

# hadoop-aws asks for the whole AWS SDK (`bundle`, over 600 MB); S3A uses these three modules of it, in the version
# that the POM of the newest hadoop-aws in the table names.
AWS_SDK = tuple(f"software.amazon.awssdk:{module}:2.35.4" for module in ("s3", "s3-transfer-manager", "sts"))
EXCLUDES = (
    "software.amazon.awssdk:bundle",  # replaced by the three modules above
    "org.wildfly.openssl:wildfly-openssl",  # S3A takes the JDK's own TLS without it
    "commons-logging:commons-logging",  # Spark has jcl-over-slf4j, the same classes writing to its log
    # Spark's Netty is 4.2, the SDK's 4.1. Every part is left to Spark's, also one that only 4.1 has.
    "io.netty:*",
)


class JarsError(Exception):
    """The jars cannot be put in place; the message is one sentence for the person at the terminal."""


def main() -> None:
    """Install the locked jars, or with `--lock` resolve them again and write the lock."""
    if sys.prefix == sys.base_prefix:
        raise JarsError(f"{sys.executable} is not in a virtual environment; run `make dev`, which makes one.")
    from parsely_spark.versions import tested_versions  # which is there in a virtual environment alone

    pyspark = distribution("pyspark")
    lock, coordinates = _wanted(pyspark.version, tested_versions())
    jars = Path(str(pyspark.locate_file("pyspark/jars")))
    spark_own = {file.name for file in pyspark.files or () if file.parent.name == "jars"}

    if sys.argv[1:] == ["--lock"]:
        with tempfile.TemporaryDirectory() as ivy:
            resolved = _resolve(coordinates, Path(ivy), spark_own)
            hashes = {coordinate: _sha256(jar) for coordinate, jar in resolved.items()}
        lock.write_text(LOCK_HEADER + "".join(f"{c}  {sha256}\n" for c, sha256 in sorted(hashes.items())))
        print(f"conf/{lock.name}: {len(hashes)} jars")

    locked = _read_lock(lock)
    _remove_stale(jars, keep=spark_own | {_jar_name(coordinate) for coordinate in locked})
    if not all((jars / _jar_name(coordinate)).exists() for coordinate in locked):
        print(f"downloading the {len(locked)} jars of conf/{lock.name} ...", flush=True)
        with tempfile.TemporaryDirectory() as ivy:
            _install(_resolve(coordinates, Path(ivy), spark_own), locked, jars, lock.name)


def _wanted(spark: str, tested: list[Versions]) -> tuple[Path, list[str]]:
    """The lock for a Spark, and the coordinates that it is resolved from: Delta, and S3A for the first of *tested*."""
    versions = next((row for row in tested if row.spark == spark), None)
    if versions is None:
        raise JarsError(
            f"Spark {spark} is not in parsely_spark/data/versions.csv, which has "
            f"{', '.join(row.spark for row in tested)}; install one of these, or add it there and run `make lock`."
        )
    if versions != tested[0]:
        return CONF / f"jars-spark-{versions.minor}.lock", [versions.delta_jar]
    return CONF / "jars.lock", [versions.delta_jar, f"org.apache.hadoop:hadoop-aws:{versions.hadoop}", *AWS_SDK]


def _install(resolved: dict[str, Path], locked: dict[str, str], jars: Path, lock: str) -> None:
    """Copy *resolved* into *jars*, all of them or none: every hash is compared before the first copy."""
    if unlike := sorted(resolved.keys() ^ locked.keys()):
        raise JarsError(
            f"conf/{lock} and what the coordinates resolve to differ in {', '.join(unlike)}; "
            "run `make lock` if the coordinates were changed on purpose."
        )
    for coordinate, jar in resolved.items():
        if (found := _sha256(jar)) != locked[coordinate]:
            raise JarsError(
                f"{coordinate} came with sha256 {found}, conf/{lock} wants {locked[coordinate]}; "
                "this is not the jar that was tested, so find out why before running `make lock`."
            )
    for coordinate, jar in resolved.items():
        target = jars / _jar_name(coordinate)
        # A rename is whole or absent, so an interrupted copy cannot pass for an installed jar next time.
        part = target.with_suffix(".part")
        shutil.copyfile(jar, part)
        part.replace(target)


def _resolve(coordinates: list[str], ivy: Path, spark_own: set[str]) -> dict[str, Path]:
    """Download *coordinates* and what they need into *ivy*; return the jars by `group:artifact:version`."""
    # pyspark is imported here since it costs more than the whole check that nothing is to be done.
    from pyspark.conf import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    # No second version of anything that Spark ships: which of the two a class came from would be chance.
    excludes = [*EXCLUDES, *sorted({f"*:{artifact}" for jar in spark_own for artifact in _artifacts(jar)})]
    conf = SparkConf(loadDefaults=False)
    conf.set("spark.jars.ivy", str(ivy))
    conf.set("spark.jars.packages", ",".join(coordinates))
    conf.set("spark.jars.excludes", ",".join(excludes))
    # Another Spark on this machine must not answer in place of the one that gets the jars.
    os.environ.pop("SPARK_HOME", None)
    log = ivy / "log"
    with log.open("w") as output:
        try:
            # Submitting an empty shell is what makes Spark resolve packages; nothing is run in it.
            gateway = launch_gateway(  # type: ignore[no-untyped-call]  # pyspark left this one without types
                conf, {"stdout": output, "stderr": subprocess.STDOUT}
            )
        except PySparkRuntimeError as error:
            raise JarsError(
                f"Spark could not download the jars: {_cause(log.read_text()) or error}; "
                "it needs Java 17 or 21 and a way to Maven Central."
            ) from error
        gateway.shutdown()

    # Ivy keeps a description of every module at cache/<group>/<artifact>/ivy-<version>.xml, and all jars in
    # one folder, where the name alone does not say where the artifact ends and the version begins.
    resolved = {}
    for module in ivy.glob("cache/*/*/ivy-*.xml"):
        group, artifact = module.parts[-3:-1]
        version = module.stem.removeprefix("ivy-")
        jar = ivy / "jars" / f"{group}_{artifact}-{version}.jar"
        if jar.exists():
            resolved[f"{group}:{artifact}:{version}"] = jar
    return resolved


def _cause(log: str) -> str:
    """Find what Ivy, or the Java that did not start, said first of all that went wrong."""
    told = [line for line in log.splitlines() if "Exception" in line or "rror" in line or "not found" in line]
    return told[0].strip() if told else ""


def _artifacts(jar: str) -> Iterator[str]:
    """Yield what may be the artifact in the file name *jar*: all that stands before a hyphen and a digit."""
    for start_of_version in re.finditer(r"-\d", jar):
        yield jar[: start_of_version.start()]


def _jar_name(coordinate: str) -> str:
    """Name the file of a `group:artifact:version` as Spark names its own."""
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _remove_stale(jars: Path, keep: set[str]) -> None:
    """Delete the jars that an older lock brought in: Spark would load both versions."""
    for jar in jars.glob("*.jar"):
        if jar.name not in keep:
            print(f"removing {jar.name}, which neither Spark nor the lock names")
            jar.unlink()


def _read_lock(lock: Path) -> dict[str, str]:
    rows = (line.split() for line in lock.read_text().splitlines() if not line.startswith("#"))
    return dict(rows)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        main()
    except JarsError as error:
        sys.exit(f"jars: {error}")
