"""What Java has loaded and checked, kept between local runs: Java calls it application class data sharing.

A fourth of a short run is Java reading and checking some 25,000 classes. https://openjdk.org/jeps/350
"""

from __future__ import annotations

import atexit
import os
import time
import zlib
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired

from pyspark import SparkContext

# Java says on standard output which of the classes it cannot keep, and when it does without the archive.
_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"
_LONGEST_S, _LEFT_S = 120, 3600


def java_options(folder: str, *, java: Path, spark_home: str) -> str:
    """The options of a JVM that starts from the archive in *folder*, or makes it when this process ends.

    An archive serves one Java and one Spark, so its name changes with either.
    """
    if not java.exists():  # which the start of Spark says better
        return ""
    parts = [str(part) for part in (java.resolve(), *sorted(Path(spark_home, "jars").glob("*.jar")))]
    mark = zlib.crc32(repr([(part, os.stat(part).st_mtime_ns) for part in parts]).encode())
    archive = Path(folder).absolute() / f"{mark:08x}.jsa"
    if archive.exists():
        return f'"-XX:SharedArchiveFile={archive}" {_QUIET}'
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f"{mark:08x}.*"):  # by a run that was killed; Java may still write that of another
        if time.time() - left.stat().st_mtime > _LEFT_S:
            left.unlink(missing_ok=True)
    part = archive.with_suffix(f".{os.getpid()}")
    atexit.register(_keep, part, archive)
    return f'"-XX:ArchiveClassesAtExit={part}" {_QUIET}'


def _keep(part: Path, archive: Path) -> None:
    """Wait for the JVM to end: one that starts from an archive which is still being written crashes."""
    process = getattr(SparkContext._gateway, "proc", None)
    if process is None:  # Spark did not start
        return
    if SparkContext._active_spark_context is not None:
        SparkContext._active_spark_context.stop()
    process.stdin.close()  # by which the JVM sees that this process ends
    with suppress(TimeoutExpired, FileNotFoundError):
        if process.wait(_LONGEST_S) == 0:
            part.replace(archive)
