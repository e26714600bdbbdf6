"""The text of files, line by line and byte by byte as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.places import literally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame, SparkSession

    from parsely_spark.sources.s3 import RawFile

# Kinesis takes no record of more than 10 MiB, and Spark's JSON parser no text of more than 20 million signs.
LONGEST_LINE_BYTES = 16 * 2**20


def read_text(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """Read the lines of *files*, but for those of more than `LONGEST_LINE_BYTES`.

    Returns:
        ``value`` (string, the line's bytes as they are, without the newline), ``source`` (string, the file), ``bytes``
        (int, with the newline), and what orders the lines of a file: ``_block`` (bigint, where the block that Spark
        read it in begins, bytes) and ``_number`` (bigint, grows within a block). Lines end at newlines only.
    """
    text = spark.read.option("lineSep", "\n").option("recursiveFileLookup", "true")
    text = text.option("mapreduce.input.linerecordreader.line.maxlength", LONGEST_LINE_BYTES)
    rows = text.text([literally(file.path) for file in files])
    return rows.select(
        "value",
        _path_read().alias("source"),
        (F.octet_length("value") + 1).alias("bytes"),
        F.col("_metadata.file_block_start").alias("_block"),
        F.monotonically_increasing_id().alias("_number"),
    )


def _path_read() -> Column:
    """The path of the file at hand as the listing shows it; Spark tells it with most signs encoded."""
    return F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
