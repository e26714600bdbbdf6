"""What only the JVM beside this process can tell of a file; a client of Spark Connect has none.

Beside `session.py`, the only module that calls it.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def count_bytes(spark: SparkSession, path: str) -> int | None:
    """How many bytes the compressed file at *path* holds, read to its end; None without a JVM."""
    jvm = getattr(spark, "_jvm", None)
    if jvm is None:
        return None
    conf = spark._jsparkSession.sessionState().newHadoopConf()
    where = jvm.org.apache.hadoop.fs.Path(path)
    codec = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(where)
    with closing(codec.createInputStream(where.getFileSystem(conf).open(where))) as stream:
        nowhere = jvm.org.apache.commons.io.output.NullOutputStream.INSTANCE
        return int(jvm.org.apache.commons.io.IOUtils.copyLarge(stream, nowhere))
