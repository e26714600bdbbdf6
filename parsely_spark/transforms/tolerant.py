"""The second look at a line whose values are not of the types that the schema has for them.

Everything is read as text first. What the text says without doubt is taken: a number in quotes, a whole number with a
point, a flag of 0 or 1, one text where a list is wanted. Anything else is kept as it was sent, beside the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

from parsely_spark.schema import EVENT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column

CORRUPT = "_corrupt"  # the column in which from_json puts a line that it cannot read


def texts(json_text: Column, options: Mapping[str, str]) -> Column:
    """Every field of the line as text (a struct, with `CORRUPT`); objects, lists and numbers as their JSON."""
    fields = [T.StructField(field.name, T.StringType()) for field in EVENT_FIELDS]
    return F.from_json(json_text, T.StructType([*fields, T.StructField(CORRUPT, T.StringType())]), dict(options))


def record(texts: Column) -> Column:
    """The 122 fields in their own types (a struct, with `CORRUPT`), null where the text says nothing of the type."""
    fields = [_COERCE[field.type](texts[field.name]).alias(field.name) for field in EVENT_FIELDS]
    return F.struct(*fields, texts[CORRUPT].alias(CORRUPT))


def rescued(json_text: Column, texts: Column, record: Column) -> Column:
    """JSON of what *record* does not hold: unknown fields, and values of which it made nothing; null where nothing is.

    Values are texts: those of strings themselves, of all else their JSON.
    """
    lost = [
        F.when(texts[field.name].isNotNull() & record[field.name].isNull(), F.lit(field.name))
        for field in EVENT_FIELDS
        if field.type not in ("string", "json")
    ]
    return _kept(json_text, also=F.array_compact(F.array(*lost)))


def rescued_unknown(json_text: Column) -> Column:
    """JSON of the fields that the schema does not know, as `rescued` has them."""
    return _kept(json_text, also=F.array().cast("array<string>"))


def _kept(json_text: Column, *, also: Column) -> Column:
    known = F.array(*[F.lit(field.name) for field in EVENT_FIELDS])
    kept = F.map_filter(
        F.from_json(json_text, "map<string,string>"),
        lambda name, value: value.isNotNull() & (~F.array_contains(known, name) | F.array_contains(also, name)),
    )
    return F.when(F.size(kept) > 0, F.to_json(kept))


def _whole(text: Column) -> Column:
    """5, "5", 5.0 and "1_470_045_600_000", which a fixture of Parse.ly's has, but not 5.5."""
    number = F.replace(F.trim(text), F.lit("_"), F.lit("")).try_cast("decimal(38,9)")
    return F.when(number == F.floor(number), F.floor(number).cast("string").try_cast("bigint"))


def _fraction(text: Column) -> Column:
    number = F.trim(text).try_cast("double")
    return F.when(F.abs(number) < float("inf"), number)  # which NaN is not, either


def _flag(text: Column) -> Column:
    said = F.lower(F.trim(text))
    return F.when(said.isin("true", "1"), True).when(said.isin("false", "0"), False)


def _list(text: Column) -> Column:
    start = F.substring(F.trim(text), 1, 1)
    several = F.from_json(text, T.ArrayType(T.StringType()))
    return F.when(start == "[", several).when((start != "{") & (start != ""), F.array(text))


def _as_it_is(text: Column) -> Column:
    return text


_COERCE = {
    "string": _as_it_is,
    "json": _as_it_is,
    "long": _whole,
    "double": _fraction,
    "boolean": _flag,
    "array<string>": _list,
}
