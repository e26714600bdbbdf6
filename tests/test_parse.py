"""Each line becomes the event or the reason that is written down for it, and that the oracle computes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hostile_lines import (
    EVENTS,
    HOSTILE_LINES,
    INGESTED_AT,
    NOT_FOR_THE_ORACLE,
    THE_ORACLE_DIFFERS,
)
from oracle import EPOCH, NUMBERS, TEXTS, Event, Rejected, classify
from pyspark.sql import functions as F

from parsely_spark.checks import MissingColumnsError
from parsely_spark.schema import EVENT_FIELDS, event_struct
from parsely_spark.transforms.dedupe import number_copies
from parsely_spark.transforms.parse import REASONS, parse, parse_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

SERVER = datetime(2026, 1, 14, 23, 59, 59, tzinfo=UTC)


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def line(**fields: Any) -> bytes:
    """A line with a site, an id, a server time and a session of this minute, unless *fields* say otherwise."""
    usual = {
        "apikey": "a.example",
        "event_id": "0x1",
        "visitor_site_id": "v",
        "session": True,
        "session_id": 3,
        "session_timestamp": ms(SERVER) - 1000,
        "timestamp_info_nginx_ms": ms(SERVER),
        "ts_action": "2026-01-14 23:59:59",
    }
    return json.dumps(usual | fields).encode()


LINES = {
    "plain": line(),
    "unicode": line(metadata_title="Größe, 新聞 🦉"),
    "braces in texts": line(metadata_custom_metadata='{"a": {"b": 1}} {', metadata_title="}{ } x"),
    "nested extra data": line(extra_data={"a": {"b": [1, {"c": "}"}]}, "d": None}),
    # whether the object is all of the line
    "whole: CRLF": line() + b"\r",
    "whole: two objects": line() + line(),
    "whole: two objects and a comma": line() + b"," + line(),
    "whole: an object, and the end of an array": line() + b"],[" + line(),
    "whole: the rest of an object": line() + b',"url":"x"}',
    "whole: an end of its own": line(parsely_spark_end=5),
    "whole: an end of its own, then another object": line(parsely_spark_end=5) + b'{"a":1}',
    "whole: a field without a value": line()[:-1] + b',"a":}',
    "whole: a text without an end": line()[:-1] + b',"a":"b}',
    "whole: no fields": b"{}",
    "apikey is an object, engaged time a text": line(apikey={"a": 1}, engaged_time_inc="5"),
    # values of another type
    **{
        f"{name} of {given!r}": line(**{name: given})
        for name in ("timestamp_info_nginx_ms", "session_id", "session_timestamp", "engaged_time_inc")
        for given in ("5", " 7 ", 5.0, 5.5, "5.5", 1e3, 10**20, "x", "", True, [5], {"a": 5}, "1_768_434_000_000", "-3")
    },
}
COMPUTED = ("event_at", "date", "hour", "session_key")
JUDGED_BY_THE_ORACLE = (*NUMBERS, *TEXTS, "session", *COMPUTED)
REASONS_OF_THE_ORACLE = {
    "not UTF-8": "not_utf8",
    "not one JSON value": "not_an_object",
    "not a JSON object": "not_an_object",
    "no site": "no_apikey",
    "no usable time": "no_time",  # or out of range: the oracle does not tell them apart
}


def lines_of(spark: SparkSession, contents: dict[str, bytes]) -> DataFrame:
    """Lines as the reader of text files has them: a cast keeps the bytes as they are."""
    rows = [(name, bytearray(content)) for name, content in contents.items()]
    named = spark.createDataFrame(rows, "name string, bytes binary")
    return named.select("name", F.col("bytes").cast("string").alias("value"))


def rows_of(parsed: DataFrame) -> dict[str, dict[str, Any]]:
    """Collect by name; a driver in another time zone would see other times."""
    plain = parsed.withColumns({"event_at": F.unix_millis("event_at"), "_line": F.col("_line").cast("binary")})
    return {row["name"]: row.asDict() for row in plain.collect()}


@pytest.fixture(scope="module")
def parsed(spark: SparkSession) -> dict[str, dict[str, Any]]:
    """Every line of both corpora, parsed."""
    assert not LINES.keys() & HOSTILE_LINES.keys()
    lines = lines_of(spark, LINES | {name: content for name, (content, _) in HOSTILE_LINES.items()})
    looked_at = parse(lines, ingested_at=INGESTED_AT)
    refused = looked_at.where("_reason = 'not_an_object'").select("name", F.col("_line").alias("value"))
    others = looked_at.where("_reason is distinct from 'not_an_object'")
    return rows_of(others.union(parse_again(refused, ingested_at=INGESTED_AT)))


def outcome(row: dict[str, Any]) -> str | dict[str, Any]:
    """What became of a line, as `HOSTILE_LINES` writes it."""
    if row["_is_blank"] or row["_reason"]:
        return " and ".join(["blank"] * row["_is_blank"] + [row["_reason"]] * (row["_reason"] is not None))
    values = {name: row[name] for name in (*event_struct().names, *COMPUTED)}
    values |= {"event_at": EPOCH + timedelta(milliseconds=row["event_at"])}
    values |= {"_rescued": row["_rescued"] and json.loads(row["_rescued"])}
    return written(values)


def written(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not null, times as text."""
    at = values["event_at"].strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    values = values | {"event_at": at, "date": values["date"].isoformat()}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("name", HOSTILE_LINES)
def test_a_hostile_line_becomes_what_is_written(parsed: dict[str, dict[str, Any]], name: str) -> None:
    """Blank, rejected for the reason and kept byte for byte, or an event of these values and no others."""
    content, wanted = HOSTILE_LINES[name]
    row = parsed[name]
    assert outcome(row) == wanted
    assert row["_line"] == (content if row["_reason"] else None)


@pytest.mark.parametrize("name", [name for name in HOSTILE_LINES if name not in NOT_FOR_THE_ORACLE])
def test_the_oracle_judges_a_hostile_line_as_is_written(name: str) -> None:
    """Neither was made from the other. A difference that is said but is none any more shows, too."""
    content, wanted = HOSTILE_LINES[name]
    judged: str | dict[str, Any] = "blank"
    match classify(content, INGESTED_AT):
        case Rejected(reason):
            judged = REASONS_OF_THE_ORACLE[reason]
            wanted = "no_time" if wanted == "time_out_of_range" else wanted
        case Event(fields):
            judged = {n: value for n, value in written(fields).items() if n in JUDGED_BY_THE_ORACLE}
    if isinstance(wanted, dict):
        wanted = {n: value for n, value in wanted.items() if n in JUDGED_BY_THE_ORACLE}
    if name in THE_ORACLE_DIFFERS:
        assert judged != wanted
    else:
        assert judged == wanted


def test_the_second_look_at_an_event_sees_what_the_first_sees(spark: SparkSession) -> None:
    """Every event, whether it needs that look or not."""
    lines = lines_of(spark, {name: content for name, (content, _) in EVENTS.items()})
    actual = {name: outcome(row) for name, row in rows_of(parse_again(lines, ingested_at=INGESTED_AT)).items()}
    assert sorted(name for name in actual if actual[name] != HOSTILE_LINES[name][1]) == []


@pytest.mark.parametrize("name", ["_corrupt", "_CORRUPT", "\u017flot", "act\u0131on", "K", "brand_\u017f"])
def test_no_name_of_a_field_ends_a_run(spark: SparkSession, name: str) -> None:
    """Spark takes each for another column; to compare in lower case, as Python has it, is not enough to see that."""
    others = {"k": "y", "brand_s": "z"}
    lines = spark.createDataFrame([(line(**{name: "x"}, **others).decode(),)], "value string")
    [row] = parse(lines, ingested_at=INGESTED_AT).select("_rescued").collect()
    assert json.loads(row["_rescued"]) == {name: "x"} | others


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_judged_as_the_oracle_judges_it(parsed: dict[str, dict[str, Any]], name: str) -> None:
    """Rejected, or an event with the same time, cell, key and fields."""
    actual = parsed[name]
    match classify(LINES[name], INGESTED_AT):
        case Rejected():
            assert actual["_reason"] in REASONS
        case Event(wanted):
            assert (actual["_is_blank"], actual["_reason"]) == (False, None)
            wanted = wanted | {"event_at": ms(wanted["event_at"])}
            compared = [field.name for field in EVENT_FIELDS if field.type != "json"] + list(COMPUTED)
            if actual["_rescued"]:  # the oracle brings those fields to their types that its own rules read
                compared = list(JUDGED_BY_THE_ORACLE)
            assert {n: actual[n] for n in compared} == {n: wanted.get(n) for n in compared}


def test_names_that_the_schema_does_not_know_are_found(spark: SparkSession) -> None:
    """Of each line; the known ones are not told."""
    lines = [(line(new=1, Action=2).decode(),), (line().decode(),), ("[]",), ("",)]
    rows = parse(spark.createDataFrame(lines, "value string"), ingested_at=INGESTED_AT).collect()
    assert sorted([row["_unknown"] or [] for row in rows]) == [[], [], [], ["new", "Action"]]


def test_extra_data_stays_json_text(parsed: dict[str, dict[str, Any]]) -> None:
    """Nested values survive as they were sent."""
    assert json.loads(parsed["nested extra data"]["extra_data"]) == {"a": {"b": [1, {"c": "}"}]}, "d": None}


def test_parse_names_the_column_it_misses(spark: SparkSession) -> None:
    """The error comes before Spark plans anything."""
    with pytest.raises(MissingColumnsError, match="parse reads value"):
        parse(spark.range(1), ingested_at=INGESTED_AT)


@pytest.fixture
def copies(spark: SparkSession) -> Callable[..., DataFrame]:
    """Parsed events that name only what tells copies apart."""

    def make(*rows: tuple[str, str, int, int]) -> DataFrame:
        named = spark.createDataFrame(rows, "apikey string, event_id string, hour int, _line_hash bigint")
        return named.withColumns(
            {
                "date": F.lit("2026-01-14").cast("date"),
                "visitor_site_id": F.lit("v"),
                "event_at": F.lit(0).cast("timestamp"),
                "url": F.col("_line_hash").cast("string"),
                "source": F.lit("a.gz"),
                "_line": F.lit(None).cast("string"),
            }
        )

    return make


@pytest.mark.parametrize("spread", [1, 3])
def test_of_copies_the_one_with_the_least_hash_stays(copies: Callable[..., DataFrame], spread: int) -> None:
    """One row a site, id and hour, whatever the order and however many tasks share the hour."""
    rows = [("a", "1", 0, 5), ("a", "1", 0, -7), ("a", "1", 0, 9), ("b", "1", 0, 1), ("a", "1", 1, 2), ("a", "2", 0, 3)]
    for order in (rows, rows[::-1]):
        numbered = number_copies(copies(*order), spread=spread)
        kept = numbered.where("_copy = 1").select("apikey", "event_id", "hour", "url").collect()
        assert sorted(map(tuple, kept)) == [
            ("a", "1", 0, "-7"),
            ("a", "1", 1, "2"),
            ("a", "2", 0, "3"),
            ("b", "1", 0, "1"),
        ]
