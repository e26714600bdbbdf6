"""This machine: Python with its packages, Java, and the folders that are here. Nothing of it needs Spark."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path

from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.java import find_java, version_of, why_unfit
from parsely_spark.packages import KINESIS, SPARK, find_kinesis, find_spark
from parsely_spark.packages import version_of as version_of_package
from parsely_spark.places import local_path, nearest_there

_LEAST_BYTES = 2**30  # 256 MiB of gzip, a slice by default, are about that much Parquet


def look_at_python() -> str:
    """Python and what it has of Spark."""
    find_spark()
    return f"Python {platform.python_version()}, {_versions(SPARK)}"


def look_at_kinesis_packages() -> str:
    """What it has to read Kinesis with."""
    find_kinesis()
    return _versions(KINESIS)


def look_at_java() -> str:
    """The Java that Spark will start."""
    why = why_unfit()
    if why:
        raise SettingsError(why)
    return f"Java {version_of(find_java())}, {find_java()}"


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version_of_package(name) or '(no version told)'}" for name in packages)


def look_at_local_lake(lake: str) -> str:
    """Whether the folder can be written, and there is room for a slice."""
    return _look_at_folder(lake, _LEAST_BYTES, "less than one slice of raw events may take")


def look_at_local_checkpoint(checkpoint: str) -> str:
    """Whether the folder can be written; what is noted there is small."""
    return _look_at_folder(checkpoint, 1, "too little for a note")


def _look_at_folder(uri: str, least_bytes: int, too_little: str) -> str:
    path = (local_path(uri) or Path(uri)).absolute()
    folder = nearest_there(path)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".parsely-spark-doctor-"):
            free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise LakeError(
            f"{path}: it cannot be written ({error.strerror}); check the permissions of {folder}."
        ) from error
    free = f"{free_bytes / 2**30:,.1f} GiB are free"
    if free_bytes < least_bytes:
        raise LakeError(f"{path}: {free}, {too_little}; make room.")
    return f"{path} can be written, {free}"
