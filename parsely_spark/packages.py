"""The packages of Python that this one is used with, but does not bring, because clusters have their own."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from parsely_spark.errors import SettingsError

# What is imported, by the name under which it is installed.
SPARK = {"pyspark": "pyspark", "delta-spark": "delta"}
KINESIS = {"boto3": "boto3", "pyarrow": "pyarrow"}


def find_spark() -> None:
    """Be sure that Spark's and Delta's packages are there.

    Raises:
        SettingsError: if one is not.
    """
    way_out = (
        "on a machine of your own `pip install 'parsely-spark[local]'`, on a cluster submit with Delta's `--packages`, "
        "which bring both of its halves."
    )
    _find(SPARK, way_out)


def find_kinesis() -> None:
    """Likewise those that read Kinesis."""
    _find(KINESIS, "`pip install 'parsely-spark[kinesis]'` brings what reads Kinesis.")


def version_of(package: str) -> str | None:
    """The version of a *package*; None where it was not installed but put on the path, as clusters may do."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _find(packages: dict[str, str], way_out: str) -> None:
    for module in packages.values():
        if find_spec(module) is None:
            raise SettingsError(f"Python has no package {module}; {way_out}")
