"""Put Delta's and S3A's jars beside Spark's own, in the `pyspark/jars` of this virtual environment.

A session then starts without asking any repository, and so does a standalone cluster started from the
environment. Spark's own Ivy does the download: a machine that runs Spark has that and need not have Maven.

    .venv/bin/python tools/jars.py          install what conf/jars.lock lists; a no-op when it is in place
    .venv/bin/python tools/jars.py --lock   resolve COORDINATES again and rewrite conf/jars.lock
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

LOCK = Path(__file__).resolve().parent.parent / "conf" / "jars.lock"
LOCK_HEADER = "# The jars that join Spark's own: group:artifact:version  sha256. Written by `make lock`.\n"

# Delta for exactly this Spark, and the hadoop-aws of exactly the Hadoop inside it. hadoop-aws asks for the
# whole AWS SDK (`bundle`, over 600 MB); S3A uses these three modules of it, in the version its own POM names.
COORDINATES = (
    "io.delta:delta-spark_4.2_2.13:4.4.0",
    "org.apache.hadoop:hadoop-aws:3.5.0",
    "software.amazon.awssdk:s3:2.35.4",
    "software.amazon.awssdk:s3-transfer-manager:2.35.4",
    "software.amazon.awssdk:sts:2.35.4",
)
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
    pyspark = distribution("pyspark")
    jars = Path(str(pyspark.locate_file("pyspark/jars")))
    spark_own = {file.name for file in pyspark.files or () if file.parent.name == "jars"}

    if sys.argv[1:] == ["--lock"]:
        with tempfile.TemporaryDirectory() as ivy:
            hashes = {coordinate: _sha256(jar) for coordinate, jar in _resolve(Path(ivy), spark_own).items()}
        LOCK.write_text(LOCK_HEADER + "".join(f"{c}  {sha256}\n" for c, sha256 in sorted(hashes.items())))
        print(f"conf/jars.lock: {len(hashes)} jars")

    locked = _read_lock()
    _remove_stale(jars, keep=spark_own | {_jar_name(coordinate) for coordinate in locked})
    if not all((jars / _jar_name(coordinate)).exists() for coordinate in locked):
        print(f"downloading {len(locked)} jars for Delta and S3A ...", flush=True)
        with tempfile.TemporaryDirectory() as ivy:
            _install(_resolve(Path(ivy), spark_own), locked, jars)


def _install(resolved: dict[str, Path], locked: dict[str, str], jars: Path) -> None:
    """Copy *resolved* into *jars*, all of them or none: every hash is compared before the first copy."""
    if unlike := sorted(resolved.keys() ^ locked.keys()):
        raise JarsError(
            f"conf/jars.lock and what the coordinates resolve to differ in {', '.join(unlike)}; "
            "run `make lock` if the coordinates were changed on purpose."
        )
    for coordinate, jar in resolved.items():
        if (found := _sha256(jar)) != locked[coordinate]:
            raise JarsError(
                f"{coordinate} came with sha256 {found}, conf/jars.lock wants {locked[coordinate]}; "
                "this is not the jar that was tested, so find out why before running `make lock`."
            )
    for coordinate, jar in resolved.items():
        target = jars / _jar_name(coordinate)
        # A rename is whole or absent, so an interrupted copy cannot pass for an installed jar next time.
        part = target.with_suffix(".part")
        shutil.copyfile(jar, part)
        part.replace(target)


def _resolve(ivy: Path, spark_own: set[str]) -> dict[str, Path]:
    """Download COORDINATES and what they need into *ivy*; return the jars by `group:artifact:version`."""
    # pyspark is imported here since it costs more than the whole check that nothing is to be done.
    from pyspark.conf import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    # No second version of anything that Spark ships: which of the two a class came from would be chance.
    excludes = [*EXCLUDES, *sorted({f"*:{artifact}" for jar in spark_own for artifact in _artifacts(jar)})]
    conf = SparkConf(loadDefaults=False)
    conf.set("spark.jars.ivy", str(ivy))
    conf.set("spark.jars.packages", ",".join(COORDINATES))
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
            print(f"removing {jar.name}, which neither Spark nor conf/jars.lock names")
            jar.unlink()


def _read_lock() -> dict[str, str]:
    rows = (line.split() for line in LOCK.read_text().splitlines() if not line.startswith("#"))
    return dict(rows)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        main()
    except JarsError as error:
        sys.exit(f"jars: {error}")
