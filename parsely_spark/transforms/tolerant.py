"""The second look at a line whose values are not of the types that the schema has for them.

Everything is read as text first. What the text says without doubt is taken: a number in quotes, a whole number with a
point, a flag of 0 or 1, one text where a list is wanted. Anything else is kept as it was sent, beside the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql import types as T

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyspark.sql import Column

    from parsely_spark.schema import Field

_WHOLE = r"^[+-]?[0-9](_?[0-9])*(\.0*)?$"
_EXPONENTIAL = r"^[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"

CORRUPT = "_corrupt"  # the column in which from_json puts a line that it cannot read


def texts(json_text: Column, options: Mapping[str, str], fields: Iterable[Field]) -> Column:
    """Each of *fields* of the line as text (a struct, with `CORRUPT`); objects, lists and numbers as their JSON."""
    columns = [T.StructField(field.name, T.StringType()) for field in fields]
    return F.from_json(json_text, T.StructType([*columns, T.StructField(CORRUPT, T.StringType())]), dict(options))


def record(texts: Column, fields: Iterable[Field]) -> Column:
    """*fields* in their own types (a struct, with `CORRUPT`), null where the text says nothing of the type."""
    columns = [_COERCE[field.type](texts[field.name]).alias(field.name) for field in fields]
    return F.struct(*columns, texts[CORRUPT].alias(CORRUPT))


def is_one_value(json_text: Column) -> Column:
    """Whether the text is one JSON value and nothing else; Spark's functions read the first and forget the rest.

    Alone in an array it is one element, and with another behind it two. What follows the value breaks an array,
    changes its length, or ends it too early for the other element.
    """

    def elements(end: str) -> Column:
        return F.coalesce(F.json_array_length(F.concat(F.lit("["), json_text, F.lit(end))), F.lit(0))

    return (elements("]") == 1) & (elements(",0]") == 2)


def lost_names(texts: Column, record: Column, fields: Iterable[Field]) -> Column:
    """The names (array<string>) of those *fields* of whose *texts* the *record* makes nothing."""
    lost = [
        F.when(texts[field.name].isNotNull() & record[field.name].isNull(), F.lit(field.name))
        for field in fields
        if field.type != "string"
    ]
    return F.array_compact(F.array(*lost))


def kept(json_text: Column, names: Column) -> Column:
    """JSON of the fields *names* (array<string>) of the line; null where it has none of them, or null for them.

    Values are texts: those of strings themselves, of all else their JSON, with fractions as a double prints them.
    """
    kept = F.map_filter(
        F.from_json(json_text, "map<string,string>"),
        lambda name, value: value.isNotNull() & F.array_contains(names, name),
    )
    return F.when(F.size(kept) > 0, F.to_json(kept))


def kept_without(rescued: Column, names: Column) -> Column:
    """*rescued*, as `kept` gave it, without the fields *names* (array<string>); null where nothing is left."""
    left = F.map_filter(F.from_json(rescued, "map<string,string>"), lambda name, _: ~F.array_contains(names, name))
    return F.when(F.size(left) > 0, F.to_json(left))


def _whole(text: Column) -> Column:
    """5, "5", 5.0 and "1_470_045_600_000", which a fixture of Parse.ly's has, but not 5.5."""
    said = F.trim(text)
    digits = F.when(said.rlike(_WHOLE), F.regexp_replace(said, r"_|\.0*$", "").try_cast("bigint"))
    # Beyond 2^53 a double is not sure of its last digit.
    number = F.when(said.rlike(_EXPONENTIAL), said.try_cast("double"))
    is_sure = (F.abs(number) < 2**53) & (number == F.floor(number))
    return F.coalesce(digits, F.when(is_sure, number).try_cast("bigint"))


def _fraction(text: Column) -> Column:
    number = F.when(F.trim(text).rlike(_NUMBER), F.trim(text).try_cast("double"))
    return F.when(F.abs(number) < float("inf"), number)


def _flag(text: Column) -> Column:
    said = F.lower(F.trim(text))
    return F.when(said.isin("true", "1"), True).when(said.isin("false", "0"), False)


def _list(text: Column) -> Column:
    start = F.substring(F.trim(text), 1, 1)
    several = F.when(is_one_value(text), F.from_json(text, T.ArrayType(T.StringType())))
    return F.when(start == "[", several).when((start != "{") & (start != ""), F.array(text))


def _object(text: Column) -> Column:
    return F.when(F.startswith(text, F.lit("{")), text)


def _as_it_is(text: Column) -> Column:
    return text


_COERCE = {
    "string": _as_it_is,
    "json": _object,
    "long": _whole,
    "double": _fraction,
    "boolean": _flag,
    "array<string>": _list,
}
