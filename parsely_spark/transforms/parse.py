"""From a line of text to an event or a reason why it is none: one function for every door.

Spark's own JSON readers disagree with each other on byte order marks, arrays, invalid UTF-8 and trailing text, so
lines are read as text and judged here.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.checks import require_columns
from parsely_spark.schema import EVENT_FIELDS, event_struct
from parsely_spark.transforms import tolerant
from parsely_spark.transforms.forgetting import FORGOTTEN
from parsely_spark.transforms.retention import NO_LONGER_KEPT
from parsely_spark.transforms.tolerant import CORRUPT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pyspark.sql import Column, DataFrame

    from parsely_spark.schema import Field

BYTE_ORDER_MARK = "\ufeff"
WHITE_SPACE = " \t\r\n\f\v"
_ALL = 2**31 - 1  # letters
_END = "parsely_spark_end"  # a field that `parse` adds to each line, see `_with_end`

# Why a line is not an event, in the order in which the questions are asked.
REASONS = {
    "too_long": "The file holds lines of more than 16 MiB, which were not read.",
    "not_utf8": "The bytes are not UTF-8.",
    "not_an_object": "The line is not exactly one JSON object; or it has more than 1,000 levels, a number of more than "
    "1,000 digits or a name of more than 50,000 letters. Of a CSV file: the record has more or fewer cells than the "
    "header, or a quote out of place.",
    "no_apikey": "The event names no site.",
    "no_time": "Neither timestamp_info_nginx_ms nor ts_action holds a time.",
    "time_out_of_range": "The server time lies before 2010 or more than a day after the ingestion.",
    FORGOTTEN: "It is of a visitor who was forgotten. Such lines are only counted, and none is kept here.",
    NO_LONGER_KEPT: "It is of a day whose events are not kept any more; only counted, likewise.",
}

JSON_OPTIONS = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": CORRUPT,
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}

# The fields that decide whether a line is an event, which, and when.
_JUDGED_BY = (
    *("apikey", "event_id", "timestamp_info_nginx_ms", "ts_action", "user_agent", "ua_browser"),
    *("visitor_site_id", "session", "session_id", "session_timestamp", "_corrupt"),
)


def parse(lines: DataFrame, *, ingested_at: datetime, extra: Sequence[Field] = ()) -> DataFrame:
    """Read each line as an event, or say why it cannot be one.

    A line with a value that is not of its field's type is `not_an_object` here; `parse_again` tells which of those are.

    Args:
        lines: ``value`` (string, one line without its end; a row without one is a blank); other columns pass through.
        ingested_at: when the run reads, UTC; an event from more than a day later is refused.
        extra: fields that events may have beside the 122, and that are read as those are.

    Returns:
        The columns of *lines* without ``value``, and ``_line`` (the line, where it is no event), ``_line_hash``
        (bigint), ``_unknown`` (array<string>, names of its fields that the schema does not know; null where there is
        none), ``_is_blank``, ``_reason`` (a key of `REASONS`; null for an event or a blank), the 122 fields, those of
        *extra*, ``event_at``, ``session_key``, ``is_bot``, ``_rescued``, ``date`` and ``hour``. Every line gives one
        row.

    Raises:
        MissingColumnsError: if ``value`` is absent.
    """
    require_columns(lines, ("value",), step="parse")
    kept = [name for name in lines.columns if name != "value"]
    fields = (*EVENT_FIELDS, *extra)
    struct = event_struct(fields).add(_END, "long").add(CORRUPT, "string")
    read = lines.select(*kept, F.col("value").alias("_line"), F.xxhash64("value").alias("_line_hash"))
    read = read.select("*", F.from_json(_with_end(), struct, JSON_OPTIONS).alias("_record"))
    is_one_object = F.coalesce(F.col(f"_record.{_END}") == F.col("_line_hash"), F.lit(False))
    return _judge(read, kept, fields, F.col("_unknown"), is_one_object, ingested_at)


def parse_again(lines: DataFrame, *, ingested_at: datetime, extra: Sequence[Field] = ()) -> DataFrame:
    """Read value by value the lines that `parse` calls `not_an_object`: those that are one become events.

    Args:
        lines: ``value`` (string); other columns pass through.
        ingested_at: as for `parse`.
        extra: likewise.

    Returns:
        The columns that `parse` returns.

    Raises:
        MissingColumnsError: if ``value`` is absent.
    """
    require_columns(lines, ("value",), step="parse_again")
    kept = [name for name in lines.columns if name != "value"]
    fields = (*EVENT_FIELDS, *extra)
    texts = tolerant.texts(_json_text("value"), JSON_OPTIONS, fields).alias("_texts")
    read = lines.select(*kept, F.col("value").alias("_line"), F.xxhash64("value").alias("_line_hash"), texts)
    read = read.select("*", tolerant.record(F.col("_texts"), fields).alias("_record"))
    lost = tolerant.lost_names(F.col("_texts"), F.col("_record"), fields)
    unheld = F.concat(F.coalesce("_unknown", F.array().cast("array<string>")), lost)
    return _judge(read, kept, fields, unheld, tolerant.is_one_value(_json_text("_line")), ingested_at)


def _unknown_names(fields: Sequence[Field]) -> Column:
    """Of every line, because a field that one line in many has would be found in some slices and not in others."""
    known = [field.name for field in fields]
    names = F.filter(F.json_object_keys(_json_text("_line")), lambda name: ~name.isin(*known))
    return F.when(F.size(names) > 0, names)


def _judge(
    read: DataFrame,
    kept: list[str],
    fields: Sequence[Field],
    unheld: Column,
    is_one_object: Column,
    ingested_at: datetime,
) -> DataFrame:
    # The record stays one column until the end: every step that copies 122 columns costs as much as reading them.
    judged = (
        read.select("*", *[F.col(f"_record.{name}").alias(name) for name in _JUDGED_BY], _is_blank().alias("_is_blank"))
        .withColumn("event_id", _event_id())
        .withColumn("_said_ms", columns.server_ms())
        # Nothing is computed from an unusable time: arithmetic on outside numbers overflows, and that ends a run.
        .withColumn("_server_ms", columns.usable_server_ms(F.col("_said_ms"), ingested_at=ingested_at))
        .select(
            "*",
            _reason(is_one_object, fields).alias("_reason"),
            columns.event_ms(F.col("_server_ms")).alias("_ms"),
            columns.user_agent_text().alias("_agent"),
            _unknown_names(fields).alias("_unknown"),
        )
    )
    is_kept = F.col("_reason").isNotNull()
    return judged.select(
        *kept,
        F.when(is_kept, F.col("_line")).alias("_line"),
        "_line_hash",
        "_unknown",
        "_is_blank",
        "_reason",
        *[F.col("event_id") if f.name == "event_id" else F.col(f"_record.{f.name}") for f in fields],
        *_computed_columns(unheld),
    )


def _json_text(line: str) -> Column:
    text = F.col(line)
    return F.when(F.startswith(text, F.lit(BYTE_ORDER_MARK)), F.substring(text, 2, _ALL)).otherwise(text)


def _event_id() -> Column:
    """Archives of before 2018 have no ``event_id``: the line itself is the identity then."""
    given = F.col("event_id")
    line = F.col("_line")
    without_end = F.when(F.endswith(line, F.lit("\r")), F.left(line, F.char_length(line) - 1)).otherwise(line)
    of_line = F.concat(F.lit("line:"), F.md5(without_end))
    return F.when(given != "", given).otherwise(of_line)


def _reason(is_one_object: Column, fields: Sequence[Field]) -> Column:
    return (
        F.when(F.col("_is_blank"), None)
        .when(~F.is_valid_utf8("_line"), "not_utf8")
        .when(F.col("_corrupt").isNotNull() | _is_of_no_type(fields) | ~is_one_object, "not_an_object")
        .when(F.coalesce(F.col("apikey"), F.lit("")) == "", "no_apikey")
        .when(F.col("_said_ms").isNull(), "no_time")
        .when(F.col("_server_ms").isNull(), "time_out_of_range")
    )


def _is_of_no_type(fields: Sequence[Field]) -> Column:
    """Whether a field holds what Spark passes for its type: a number without end, text where an object is wanted."""
    doubles = [F.abs(F.col(f"_record.{f.name}")) == float("inf") for f in fields if f.type == "double"]
    texts = [~F.startswith(F.col(f"_record.{f.name}"), F.lit("{")) for f in fields if f.type == "json"]
    return reduce(or_, [F.coalesce(wrong, F.lit(False)) for wrong in (*doubles, *texts)])


def _with_end() -> Column:
    """The JSON of a line with one field more at its end, which holds the hash of the line.

    ``from_json`` reads the first value of a line and forgets the rest. Only when that value reaches to the end of the
    line does it hold the field; no line can, because it would have to contain its own hash. A line that does not end
    with a brace is given as it is, and an object without fields breaks: both take the second look.
    """
    text = _json_text("_line")
    data, size = text.cast("binary"), F.octet_length(text)
    end = F.concat(F.lit(f',"{_END}":'), F.col("_line_hash").cast("string"), F.lit("}"))
    return (
        F.when(F.endswith(text, F.lit("}")), F.concat(F.substring(data, F.lit(1), size - 1).cast("string"), end))
        .when(F.endswith(text, F.lit("}\r")), F.concat(F.substring(data, F.lit(1), size - 2).cast("string"), end))
        .otherwise(text)
    )


def _is_blank() -> Column:
    """Whether the line is white space. Only lines without a good record are looked at, because trimming costs time."""
    is_bad = F.col("_record").isNull() | F.col("_record._corrupt").isNotNull()
    return is_bad & F.coalesce(F.trim(F.col("_line"), F.lit(WHITE_SPACE)) == "", F.lit(True))


def is_event() -> Column:
    """Whether a parsed line is an event."""
    return F.col("_reason").isNull() & ~F.col("_is_blank")


def _computed_columns(unheld: Column) -> list[Column]:
    event_ms = F.col("_ms")
    computed = {
        "event_at": F.timestamp_millis(event_ms),
        "session_key": columns.tracker_session_key(F.col("_server_ms")),
        "is_bot": columns.is_bot(F.col("_agent")),
        # Nearly no line has such a field, and only theirs are read again.
        "_rescued": F.when(F.size(unheld) > 0, tolerant.kept(_json_text("_line"), unheld)),
        "date": columns.utc_date(event_ms),
        "hour": columns.utc_hour(event_ms),
    }
    return [F.when(is_event(), column).alias(name) for name, column in computed.items()]
