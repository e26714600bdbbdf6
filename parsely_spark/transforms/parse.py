"""From a line of text to an event or a reason why it is none: one function for every door.

Spark's own JSON readers disagree with each other on byte order marks, arrays, invalid UTF-8 and trailing text, so
lines are read as text and judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.checks import require_columns
from parsely_spark.schema import event_struct

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

BYTE_ORDER_MARK = "\ufeff"
WHITE_SPACE = " \t\r\n\f\v"

# Why a line is not an event, in the order in which the questions are asked.
REASONS = {
    "not_utf8": "The bytes are not UTF-8.",
    "not_an_object": "The line is not exactly one JSON object that keeps to the field types.",
    "no_apikey": "The event names no site.",
    "no_time": "Neither timestamp_info_nginx_ms nor ts_action holds a time.",
    "time_out_of_range": "The server time lies before 2010 or more than a day after the ingestion.",
}

JSON_OPTIONS = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": "_corrupt",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}


def parse(lines: DataFrame, *, ingested_at: datetime) -> DataFrame:
    """Read each line as an event, or say why it cannot be one.

    Args:
        lines: ``value`` (string, one line without its end); other columns pass through.
        ingested_at: when the run reads, UTC; an event from more than a day later is refused.

    Returns:
        The columns of *lines* without ``value``, and ``_line`` (the line), ``_line_hash`` (bigint), ``_is_blank``,
        ``_reason`` (a key of `REASONS`; null for an event or a blank), the 122 fields, ``event_at``, ``session_key``,
        ``is_bot``, ``_rescued``, ``date`` and ``hour``. Every line gives one row.

    Raises:
        MissingColumnsError: if ``value`` is absent.
    """
    require_columns(lines, ("value",), step="parse")
    kept = [name for name in lines.columns if name != "value"]
    fields = event_struct()
    record = F.from_json(_json_text("value"), fields.add("_corrupt", "string"), JSON_OPTIONS)
    read = lines.select(*kept, F.col("value").alias("_line"), record.alias("_record"))
    flat = read.select(
        *kept,
        "_line",
        _is_blank().alias("_is_blank"),
        *[F.col(f"_record.{name}").alias(name) for name in fields.names if name not in ("_corrupt", "event_id")],
        _event_id().alias("event_id"),
        F.col("_record._corrupt").alias("_corrupt"),
    )
    judged = flat.select("*", columns.server_ms().alias("_server_ms"))
    timed = judged.select(
        "*", _reason(ingested_at).alias("_reason"), columns.event_ms(F.col("_server_ms")).alias("_ms")
    )
    return timed.select(
        *kept,
        "_line",
        F.xxhash64("_line").alias("_line_hash"),
        "_is_blank",
        F.when(~F.col("_is_blank"), F.col("_reason")).alias("_reason"),
        *event_struct().names,
        *_computed_columns(),
    )


def _json_text(line: str) -> Column:
    return F.ltrim(F.col(line), F.lit(BYTE_ORDER_MARK))


def _event_id() -> Column:
    """Archives of before 2018 have no ``event_id``: the line itself is the identity then."""
    given = F.col("_record.event_id")
    of_line = F.concat(F.lit("line:"), F.md5(F.rtrim(F.col("_line"), F.lit("\r"))))
    return F.when(given != "", given).otherwise(of_line)


def _reason(ingested_at: datetime) -> Column:
    server = F.col("_server_ms")
    return (
        F.when(~F.is_valid_utf8("_line"), "not_utf8")
        .when(F.col("_corrupt").isNotNull() | ~_is_one_object(), "not_an_object")
        .when(F.coalesce(F.col("apikey"), F.lit("")) == "", "no_apikey")
        .when(server.isNull(), "no_time")
        .when(~columns.is_usable_server_ms(server, ingested_at=ingested_at), "time_out_of_range")
    )


def _is_one_object() -> Column:
    """Whether nothing follows the object: ``from_json`` reads the first value of a line and forgets the rest.

    Outside a string, what may follow a closing brace is a comma, a bracket, a brace or the end. Only lines in
    which something else does (often a brace inside a string) are worth the exact test.
    """
    line = F.col("_line")
    ends_well = line.endswith("}") | line.endswith("}\r")
    suspicious = line.rlike(r'\}(?:\s*[^\s,\]}"\\]|\s+")')
    exactly_one = F.json_array_length(F.concat(F.lit("["), _json_text("_line"), F.lit("]"))) == 1
    return (ends_well & ~suspicious) | F.coalesce(exactly_one, F.lit(False))


def _is_blank() -> Column:
    """Whether the line is white space; ``from_json`` has no record for such a line, and trimming costs time."""
    return F.col("_record").isNull() & (F.trim(F.col("_line"), F.lit(WHITE_SPACE)) == "")


def _computed_columns() -> list[Column]:
    event_ms = F.col("_ms")
    is_event = F.col("_reason").isNull() & ~F.col("_is_blank")
    computed = {
        "event_at": F.timestamp_millis(event_ms),
        "session_key": columns.tracker_session_key(),
        "is_bot": columns.is_bot(),
        "_rescued": F.lit(None).cast("string"),
        "date": columns.utc_date(event_ms),
        "hour": columns.utc_hour(event_ms),
    }
    return [F.when(is_event, column).alias(name) for name, column in computed.items()]
