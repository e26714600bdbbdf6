"""What of parsed lines is not stored: cut after all that is computed from it, and before anything is written."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.checks import require_columns
from parsely_spark.privacy_settings import KEEP, TRUNCATE
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.transforms.tolerant import is_one_value
from parsely_spark.transforms.truncation import major_version, truncated_address, truncated_user_agent
from parsely_spark.transforms.url_parameters import (
    may_hold_parameters,
    without_parameters,
    without_parameters_of_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame

    from parsely_spark.privacy_settings import PrivacySettings
    from parsely_spark.schema import Field

# By these an event or a visitor is known; what they are must not depend on settings.
_KEYS = ("apikey", "event_id", "visitor_site_id")
_TEXTS = tuple(f.name for f in EVENT_FIELDS if f.type in ("string", "json") and f.name not in _KEYS)
_LISTS = tuple(f.name for f in EVENT_FIELDS if f.type == "array<string>")
_FREE_TEXTS = ("extra_data", "metadata_custom_metadata")  # JSON of the site's own making

# The two fields by names that others may write them by, and what their values look like under any name.
_OTHER_NAMES = {"visitor_ip": "visitor.?ip", "user_agent": "user.?agent"}
_LOOKS = {
    "visitor_ip": r"(?<!\d)\d{1,3}(\.\d{1,3}){3}(?!\d)|([0-9a-f]{0,4}:){3}|::",
    "user_agent": r"Mozilla/\d",
}
_JSON_TEXT = r'"(?:[^"\\]++|\\.)*+"'

# What a rejected line is judged by. Its hash beside all the rest of it would tell what was cut, to who tries.
_JUDGED_BY = ("apikey", "event_id", "timestamp_info_nginx_ms", "ts_action", "visitor_site_id")
_REASONS_OF_OBJECTS = ("no_apikey", "no_time", "time_out_of_range")


def without_private(lines: DataFrame, privacy: PrivacySettings, extra: Sequence[Field] = ()) -> DataFrame:
    """Cut out of the events what *privacy* does not keep; ``_line``, which is read again, stays as it is.

    Args:
        lines: what `parse` returns.
        privacy: what is kept. Where it keeps all, nothing is done.
        extra: fields that the lines have beside those of the schema; of these, what may be private goes as a whole.

    Returns:
        The same columns. Keys of events, sessions and visitors, ``is_bot`` and the partition do not change.

    Raises:
        MissingColumnsError: if a column is absent.
    """
    if privacy.keeps_all:
        return lines
    require_columns(lines, (*_KEYS, *_TEXTS, *_LISTS, "_rescued", "_unknown"), step="without_private")
    rest = _certain_members(F.col("_rescued"), privacy)
    unknown = _certain_names(F.col("_unknown"), privacy)
    texts = tuple(field.name for field in extra if field.type == "string")
    lists = tuple(field.name for field in extra if field.type == "array<string>")
    of_visitor = _visitor_fields(privacy) | _certain_fields(tuple(field.name for field in extra), privacy)
    cut = lines.withColumns({"_rescued": rest, "_unknown": unknown, **of_visitor})
    if privacy.strip_query:
        cut = _without_parameters(cut, privacy.strip_query, (*_TEXTS, *texts), (*_LISTS, *lists))
    return cut.select(*lines.columns)


def kept_of_line(privacy: PrivacySettings) -> Column:
    """What of the rejected ``_line`` is stored: all of it, or of a JSON object what it was judged by, or null.

    Where a line breaks off or is of another form, nothing tells for sure what is an address in it, or a User-Agent.
    """
    line = F.col("_line")
    if privacy.keeps_all:
        return line
    members = F.map_filter(F.from_json(F.ltrim(line, F.lit("\ufeff")), "map<string,string>"), _is_of_judgement)
    is_object = F.col("_reason").isin(*_REASONS_OF_OBJECTS)
    return F.when(is_object, _certain_members(F.to_json(members), privacy))


def _is_of_judgement(name: Column, value: Column) -> Column:
    return name.isin(*_JUDGED_BY) & ~F.coalesce(value.rlike(r"^\s*[{\[]"), F.lit(False))


# --- addresses and user agents ------------------------------------------------------------------------------------


def _visitor_fields(privacy: PrivacySettings) -> dict[str, Column]:
    cut: dict[str, Column] = {}
    none = F.lit(None).cast("string")
    if privacy.visitor_ip != KEEP:
        cut["visitor_ip"] = truncated_address(F.col("visitor_ip")) if privacy.visitor_ip == TRUNCATE else none
    if privacy.user_agent != KEEP:
        cut["user_agent"] = truncated_user_agent(F.col("user_agent")) if privacy.user_agent == TRUNCATE else none
        cut |= {name: major_version(F.col(name)) for name in ("ua_browserversion", "ua_osversion")}
        cut |= dict.fromkeys(("ua_device", "ua_devicebrand", "ua_devicemodel"), none)
    named = [_OTHER_NAMES[field] for field in _cut_fields(privacy)]
    return cut | ({name: _without_members(F.col(name), "|".join(named)) for name in _FREE_TEXTS} if named else {})


def _certain_fields(names: Sequence[str], privacy: PrivacySettings) -> dict[str, Column]:
    """The fields *names*, null where they are or may be private."""

    def certain(name: str) -> Column:
        as_text = F.to_json(F.struct(F.lit(name).alias("name"), F.col(name).alias("value")))
        return F.when(~_looks_private(as_text, privacy), F.col(name))

    return {name: certain(name) for name in names} if _cut_fields(privacy) else {}


def _cut_fields(privacy: PrivacySettings) -> list[str]:
    return [name for name in _OTHER_NAMES if getattr(privacy, name) != KEEP]


def _without_members(json_text: Column, named: str) -> Column:
    """*json_text* with null for its members whose names are like *named*; null where one of them is no single value."""
    member = rf'(?is)("[^"\\]*(?:{named})[^"\\]*"\s*:\s*)(?:{_JSON_TEXT}|[^\s,{{}}\[\]"]++)'
    emptied = F.regexp_replace(json_text, member, "$1null")
    is_left = emptied.rlike(rf'(?is)(?:{named})[^"]*"\s*:(?!\s*null)')
    return F.when(~json_text.rlike(f"(?i){named}"), json_text).when(~is_left, emptied)


def _looks_private(text: Column, privacy: PrivacySettings) -> Column:
    """Whether *text* names or looks like what is cut."""
    looks = [text.rlike(f"(?i){_OTHER_NAMES[field]}|{_LOOKS[field]}") for field in _cut_fields(privacy)]
    return F.coalesce(reduce(or_, looks, F.lit(False)), F.lit(False))


def _certain_members(json_text: Column, privacy: PrivacySettings) -> Column:
    """*json_text*, an object of texts, without the members that are or may be private."""
    members = F.from_json(json_text, "map<string,string>")
    certain = F.map_filter(members, lambda name, value: ~_looks_private(F.concat_ws(" ", name, value), privacy))
    left = F.when(F.size(certain) > 0, F.to_json(certain))
    return without_parameters_of_json(left, privacy.strip_query) if privacy.strip_query else left


def _certain_names(names: Column, privacy: PrivacySettings) -> Column:
    """Of the *names* of fields that the schema does not know those that can be told to whoever sees a run."""

    def is_certain(name: Column) -> Column:
        private = _looks_private(name, privacy)
        return ~(private | may_hold_parameters(name, privacy.strip_query) if privacy.strip_query else private)

    return F.filter(names, is_certain)


# --- parameters of URLs -------------------------------------------------------------------------------------------


def _copies(names: tuple[str, ...]) -> list[str]:
    """The fields in which Parse.ly repeats the values of the parameters *names*."""
    campaign = [name.lower() for name in names if f"surl_{name.lower()}" in _TEXTS]
    # What it takes campaign_id from, it does not say; mostly that is one of these.
    return [*campaign, *(f"surl_{name}" for name in campaign), *(["campaign_id"] if campaign else [])]


def _without_parameters(
    lines: DataFrame, names: tuple[str, ...], text_fields: Sequence[str], list_fields: Sequence[str]
) -> DataFrame:
    """*lines* without the parameters *names* in any text: what holds a URL is not for a schema to say."""
    texts = F.concat_ws("\n", *text_fields, *list_fields)
    asked = lines.withColumn("_may_hold", may_hold_parameters(texts, names))
    # One expression for all texts: a plan with a hundred of them takes longer to make than to run.
    all_texts = F.transform(F.array(*text_fields), lambda text: _cut(text, names))
    cut = asked.withColumn("_cut", F.when(F.col("_may_hold"), all_texts))

    def chosen(name: str, instead: Column) -> Column:
        return F.when(F.col("_may_hold"), instead).otherwise(F.col(name))

    whole = {name: chosen(name, F.get("_cut", F.lit(number))) for number, name in enumerate(text_fields)}
    lists = {name: chosen(name, F.transform(name, lambda text: _cut(text, names))) for name in list_fields}
    emptied = dict.fromkeys(_copies(names), F.lit(None).cast("string"))
    return cut.withColumns(whole | lists | emptied)


def _cut(text: Column, names: tuple[str, ...]) -> Column:
    is_json = text.rlike(r"^\s*[{\[]") & is_one_value(text)
    return F.when(is_json, without_parameters_of_json(text, names)).otherwise(without_parameters(text, names))
