"""Raw events as a table: files of comma-separated values, as the sample is that Parse.ly offers.

Each record is handed on as the line of JSON that says the same, so that one parse judges the events of every door.
What is no record of the header is handed on as it stands, and the parse refuses it.

The text is cut here, by RFC 4180, which is what ``samples.py`` of Parse.ly's ``parsely_raw_data`` writes: a cell that
holds a comma, a quote or the end of a line is quoted, its quotes are doubled, and an absent value is nothing. Spark's
own reader guesses at a quote out of place, puts a sign of its own where bytes are not UTF-8, and says neither.
"""

from __future__ import annotations

import csv
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from parsely_spark.errors import BrokenFileError
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.sources.text import LONGEST_LINE_BYTES, read_text
from parsely_spark.transforms.parse import JSON_OPTIONS
from parsely_spark.transforms.tolerant import CORRUPT, is_one_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import Column, SparkSession

    from parsely_spark.sources.s3 import RawFile

    _Header = tuple[str, ...]

MOST_COLUMNS = 1_000  # Parse.ly's sample has 122, and Spark plans each by itself
_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
_WANTED = "wanted is a first line with the fields' names, separated by commas, as Parse.ly's sample has it"


def read_records(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """Read the records of *files*, but for those of more than `LONGEST_LINE_BYTES`.

    Args:
        spark: the session.
        files: of CSV, with a header each.

    Returns:
        ``value`` (string: the record as a JSON object without its empty cells; as it stands where it is no record of
        the header), ``source`` (string, the file) and ``bytes`` (bigint, of the record with its newline).

    Raises:
        BrokenFileError: if a file has no such header, or a quote in it is not closed.
    """
    by_header: dict[_Header, list[RawFile]] = {}
    for file, header in zip(files, _headers(spark, files), strict=True):
        by_header.setdefault(header, []).append(file)
    parts = [_json_lines(_records(spark, some), header) for header, some in by_header.items()]
    return reduce(DataFrame.union, parts)


# --- whether the file is one ------------------------------------------------------------------------------------------


def _headers(spark: SparkSession, files: Sequence[RawFile]) -> list[_Header]:
    first = F.min_by(F.col("value").cast("binary"), F.struct("_block", "_number"))
    looked_at = read_text(spark, files).groupBy("source").agg(first, F.sum(_quotes("value")))
    found = {row[0]: (bytes(row[1]), row[2]) for row in looked_at.collect()}
    headers = []
    for file in files:
        line, quotes = found.get(file.path, (b"", 0))
        try:
            headers.append(_header(line, quotes))
        except ValueError as wrong:
            error = BrokenFileError(f"{file.path}: {wrong}.")
            error.path = file.path
            raise error from None
    return headers


def _header(line: bytes, quotes: int) -> _Header:
    """The names of the columns in the first *line* of a file that has so many *quotes*."""
    names = _names(line)
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"its header has {len(names):,} columns, at most {MOST_COLUMNS:,} are read; leave some out")
    if missing := [field.name for field in EVENT_FIELDS if field.required and field.name not in names]:
        raise ValueError(f"its header has no column {', '.join(missing)}; {_WANTED}")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} of its header has no name; name it or leave it out")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"its header has the column {twice[0][:80]!r} more than once; leave one of them")
    if quotes % 2:
        raise ValueError(
            "a quote in it is not closed, as where a file was cut off or a quote inside a text is not doubled; put a "
            "whole copy in its place or take it away, and run again"
        )
    return tuple(names)


def _names(line: bytes) -> list[str]:
    try:
        text = line.decode().rstrip("\r")
    except UnicodeDecodeError:
        raise ValueError(
            "its first line is not UTF-8, like that of a compressed file or a workbook; save it as CSV in UTF-8"
        ) from None
    if "\r" in text:
        raise ValueError("its lines end with carriage returns alone; save it with newlines")
    try:
        return [name.strip() for name in next(csv.reader([text], strict=True), [])]
    except csv.Error:
        raise ValueError(f"a quote in its header is out of place; {_WANTED}") from None


# --- from lines to records ----------------------------------------------------------------------------------------


def _records(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """``value`` (the text of a record, as it is), ``source`` and ``bytes``; without the header.

    A line begins a record where the quotes before it are closed, that is, where they are even.
    """
    in_order = Window.partitionBy("source").orderBy("_block", "_number")
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    until_here = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    lines = read_text(spark, files).select("*", _quotes("value").alias("_quotes"))
    for name, of in (("_quotes_before", "_quotes"), ("_offset", "bytes")):
        lines = lines.withColumn(name, F.coalesce(F.sum(of).over(before), F.lit(0)))
    begins_at = F.when(F.col("_quotes_before") % 2 == 0, F.col("_offset"))
    lines = lines.withColumn("_begin", F.last(begins_at, ignorenulls=True).over(until_here))
    end = F.col("_offset") + F.col("bytes") - F.col("_begin")
    # What is too long is left out before it is put together: nobody can hold it.
    part = F.when(end <= LONGEST_LINE_BYTES, F.struct("_offset", "value"))
    records = lines.groupBy("source", "_begin").agg(
        F.sum("bytes").alias("bytes"), F.max(end).alias("_size"), F.collect_list(part).alias("_parts")
    )
    ordered = F.transform(F.sort_array("_parts"), lambda part: part["value"])
    is_kept = (F.col("_begin") > 0) & (F.col("_size") <= LONGEST_LINE_BYTES)
    return records.where(is_kept).select(F.array_join(ordered, "\n").alias("value"), "source", "bytes")


def _quotes(text: str) -> Column:
    return F.octet_length(text) - F.octet_length(F.replace(F.col(text), F.lit('"'), F.lit("")))


# --- from records to lines of JSON --------------------------------------------------------------------------------


def _json_lines(records: DataFrame, header: _Header) -> DataFrame:
    """The *records* under *header*, each as JSON, or as it is where it is none of them."""
    # Step by step: an expression that names another twice would compute it twice.
    cut = records.select("*", F.split(F.rtrim(F.col("value"), F.lit("\r")), '"', -1).alias("_parts"))
    cut = cut.select("*", F.transform("_parts", _token).alias("_tokens"))
    cut = cut.select("*", F.transform(F.split(F.array_join("_tokens", ""), '"', -1), _unescaped).alias("_cells"))
    is_record = (
        F.is_valid_utf8("value")
        & (F.size("_parts") % 2 == 1)
        & ~F.exists("_tokens", lambda token: token.isNull())
        & (F.size("_cells") == len(header))
    )
    cells = cut.select("value", "source", "bytes", F.when(is_record, F.col("_cells")).alias("_cells"))
    value = F.when(F.col("_cells").isNotNull(), F.col("_json")).otherwise(F.col("value"))
    return _with_json(cells, header).select(value.alias("value"), "source", "bytes")


def _token(part: Column, number: Column) -> Column:
    r"""What stands between two quotes, so that all tokens in a row are the cells with a quote between two of them.

    The parts of odd numbers stand in quotes. Of the others, one of no letters, unless it begins or ends the record, is
    the middle of a doubled quote; any other is commas and unquoted cells, with a comma towards each quoted one. A quote
    that belongs to a cell is \q meanwhile, and a backslash \b.

    Returns:
        The token; null where a quote is out of place.
    """
    last = F.size("_parts") - 1
    is_first, is_last = number == 0, number == last
    escaped = F.replace(part, F.lit("\\"), F.lit("\\b"))
    stands_apart = (is_first | F.startswith(part, F.lit(","))) & (is_last | F.endswith(part, F.lit(",")))
    return (
        F.when(number % 2 == 1, escaped)
        .when((part == "") & ~is_first & ~is_last, F.lit("\\q"))
        .when((part == "") | stands_apart, F.replace(escaped, F.lit(","), F.lit('"')))
    )


def _unescaped(cell: Column) -> Column:
    text = F.replace(F.replace(cell, F.lit("\\q"), F.lit('"')), F.lit("\\b"), F.lit("\\"))
    return F.when(cell != "", text)


def _with_json(cells: DataFrame, header: _Header) -> DataFrame:
    """*cells* with ``_json``: their names and values in an order that does not depend on that of the *header*.

    A record without an ``event_id`` is known by this text.
    """
    cell = {name: F.get("_cells", F.lit(number)) for number, name in enumerate(header)}
    typed = [field for field in EVENT_FIELDS if field.name in cell and field.type in _AS_JSON]
    values = cells.select("*", F.struct(*[_AS_JSON[f.type](cell[f.name]).alias(f.name) for f in typed]).alias("_typed"))
    left = cell | {f.name: F.when(F.col(f"_typed.{f.name}").isNull(), cell[f.name]) for f in typed}
    texts = F.to_json(F.struct(*[left[name].alias(name) for name in sorted(left)]), {"ignoreNullFields": "true"})
    members = [F.concat(F.lit(f'"{field.name}":'), F.col(f"_typed.{field.name}")) for field in typed]
    both = values.select("*", texts.alias("_texts"), F.concat_ws(",", *members).alias("_members"))
    comma = F.when((F.col("_texts") != "{}") & (F.col("_members") != ""), F.lit(",")).otherwise(F.lit(""))
    before_brace = F.left("_texts", F.char_length("_texts") - 1)
    return both.select("*", F.concat(before_brace, comma, F.col("_members"), F.lit("}")).alias("_json"))


def _whole(cell: Column) -> Column:
    return F.when(cell.rlike(_WHOLE), cell)


def _number(cell: Column) -> Column:
    return F.when(cell.rlike(_NUMBER), cell)


def _flag(cell: Column) -> Column:
    said = F.lower(cell)  # Python, which writes the sample, says True
    return F.when(said.isin("true", "false"), said)


def _list(cell: Column) -> Column:
    return F.when(F.startswith(cell, F.lit("[")) & _is_json(cell), cell)


def _object(cell: Column) -> Column:
    return F.when(F.startswith(cell, F.lit("{")) & _is_json(cell), cell)


def _is_json(cell: Column) -> Column:
    """Whether the parse reads the cell as one value where it stands bare, which it does not in Python's quotes."""
    inside = F.concat(F.lit('{"value":'), cell, F.lit("}"))
    read = F.from_json(inside, f"value string, {CORRUPT} string", JSON_OPTIONS)
    return is_one_value(cell) & read[CORRUPT].isNull()


# What a cell says without doubt; all else goes on as a text, of which the parse takes what it can.
_AS_JSON: dict[str, Callable[[Column], Column]] = {
    "long": _whole,
    "double": _number,
    "boolean": _flag,
    "array<string>": _list,
    "json": _object,
}
