"""Rows of ``rejected_lines``."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.tables.catalog import REJECTED_LINES
from parsely_spark.transforms.forgetting import FORGOTTEN
from parsely_spark.transforms.privacy import kept_of_line
from parsely_spark.transforms.retention import NO_LONGER_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from parsely_spark.privacy_settings import PrivacySettings
    from parsely_spark.sources.s3 import RawFile
    from parsely_spark.tables.catalog import Lake


_ONLY_COUNTED = (FORGOTTEN, NO_LONGER_KEPT)


def rejected_rows(lines: DataFrame, ingested_at: datetime, privacy: PrivacySettings) -> DataFrame:
    """Those of parsed *lines* that are no events, but for those that are not to be kept.

    Whatever *privacy* keeps of a line, it is known by the hash of all of it, so that it is found again.
    """
    line = kept_of_line(privacy)
    return lines.where(~F.col("_reason").isin(*_ONLY_COUNTED)).select(
        F.when(F.is_valid_utf8(line), line).otherwise(F.base64(line.cast("binary"))).alias("line"),
        F.sha2(F.col("_line").cast("binary"), 256).alias("line_sha256"),
        F.col("_reason").alias("reason"),
        "source",
        F.lit(ingested_at).alias("first_seen_at"),
        F.lit(ingested_at.date()).alias("date"),
    )


def too_long_rows(lake: Lake, files: Sequence[RawFile], ingested_at: datetime) -> DataFrame:
    """A row for each file with lines that are too long to be read; how many those are, nobody knows."""
    rows = []
    for file in files:
        version = sha256("\n".join(map(str, file.version)).encode()).hexdigest()
        rows.append((None, version, "too_long", file.path, ingested_at, ingested_at.date()))
    return lake.spark.createDataFrame(rows, REJECTED_LINES.ddl)
