"""Each line becomes an event or a reason, as the oracle says it should."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from oracle import NUMBERS, TEXTS, Blank, Event, Rejected, classify
from pyspark.sql import functions as F

from parsely_spark.checks import MissingColumnsError
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.transforms.dedupe import number_copies
from parsely_spark.transforms.parse import REASONS, parse, parse_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

JUDGED_BY_THE_ORACLE = (*NUMBERS, *TEXTS, "session")
INGESTED_AT = datetime(2026, 1, 20, tzinfo=UTC)
SERVER = datetime(2026, 1, 14, 23, 59, 59, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


def ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


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
        "ts_action": text(SERVER),
    }
    return json.dumps(usual | fields).encode()


LINES = {
    "plain": line(),
    "no event id": line(event_id=None),
    "empty event id": line(event_id=""),
    "no event id, carriage return": line(event_id=None) + b"\r",
    "byte order mark": b"\xef\xbb\xbf" + line(),
    "spaces around": b"  " + line() + b" \t",
    "braces in a text": line(metadata_custom_metadata='{"a": {"b": 1}} {', metadata_title="}{ } x"),
    "nested extra data": line(extra_data={"a": {"b": [1, {"c": "}"}]}, "d": None}),
    "unknown field": line(brand_new="x"),
    "unicode": line(metadata_title="Größe, 新聞 🦉"),
    # time
    "action 7 days before": line(ts_action=text(SERVER - 7 * DAY)),
    "action 7 days and 1 s before": line(ts_action=text(SERVER - 7 * DAY - SECOND)),
    "action 1 hour after": line(ts_action=text(SERVER + HOUR)),
    "action 1 hour and 1 s after": line(ts_action=text(SERVER + HOUR + SECOND)),
    "action of the year 9999": line(ts_action="9999-12-31 23:59:59"),
    "action that is no time": line(ts_action="yesterday"),
    "action on no day": line(ts_action="2026-02-30 00:00:00"),
    "action missing": line(ts_action=None),
    "server missing": line(timestamp_info_nginx_ms=None),
    "both missing": line(timestamp_info_nginx_ms=None, ts_action=None),
    "server missing, action no time": line(timestamp_info_nginx_ms=None, ts_action="now"),
    "server in 2010": line(timestamp_info_nginx_ms=ms(datetime(2010, 1, 1, tzinfo=UTC))),
    "server before 2010": line(timestamp_info_nginx_ms=ms(datetime(2010, 1, 1, tzinfo=UTC)) - 1),
    "server a day ahead": line(timestamp_info_nginx_ms=ms(INGESTED_AT + DAY)),
    "server more than a day ahead": line(timestamp_info_nginx_ms=ms(INGESTED_AT + DAY) + 1),
    "server at the least number": line(timestamp_info_nginx_ms=-(2**63)),
    "server at the greatest number": line(timestamp_info_nginx_ms=2**63 - 1),
    # sessions
    "session 48 hours before": line(session_timestamp=ms(SERVER) - 48 * 3_600_000),
    "session 48 hours and 1 ms before": line(session_timestamp=ms(SERVER) - 48 * 3_600_000 - 1),
    "session 1 hour after": line(session_timestamp=ms(SERVER) + 3_600_000),
    "session 1 hour and 1 ms after": line(session_timestamp=ms(SERVER) + 3_600_001),
    "session at the greatest number": line(session_timestamp=2**63 - 1),
    "session at 0": line(session_timestamp=0),
    "session before 1970": line(session_timestamp=-1),
    "session false": line(session=False),
    "session unsaid": line(session=None),
    "no session id": line(session_id=None),
    "opted out": line(visitor_site_id="OPTOUT"),
    "all zero": line(visitor_site_id="00000000-0000-0000-0000-000000000000"),
    "empty visitor": line(visitor_site_id=""),
    "no visitor": line(visitor_site_id=None),
    # values of another type
    **{
        f"{name} of {given!r}": line(**{name: given})
        for name in ("timestamp_info_nginx_ms", "session_id", "session_timestamp", "engaged_time_inc")
        for given in ("5", " 7 ", 5.0, 5.5, "5.5", 1e3, 10**20, "x", "", True, [5], {"a": 5}, "1_768_434_000_000", "-3")
    },
    "session as a text": line(session="true"),
    "apikey is a number": line(apikey=5),
    "apikey is an object, engaged time a text": line(apikey={"a": 1}, engaged_time_inc="5"),
    "wrong type and text behind": line(session_id="3") + b" x",
    "wrong type and an object behind": line(session_id="3") + line(),
    "wrong type and no id": line(session_id="3", event_id=None),
    "wrong type and no site": line(session_id="3", apikey=None),
    # no events
    "empty": b"",
    "white space": b" \t\r\x0b\x0c",
    "text": b"hello",
    "half an object": line()[:-9],
    "array": b"[" + line() + b"]",
    "number": b"42",
    "null": b"null",
    "quoted": b'"x"',
    "empty object": b"{}",
    "two objects": line() + line(event_id="0x2"),
    "two objects with a space": line() + b" " + line(event_id="0x2"),
    "two objects with a comma": line() + b"," + line(event_id="0x2"),
    "object and text": line() + b" x",
    "object and brace": line() + b"}",
    "object, element and the end of an array": line() + b",1] and what not}",
    "object, element, end and object": line() + b",0] {}",
    "object and end of an array": line() + b"] and what not}",
    "two objects and the ends of two arrays": line() + b",{}]]",
    "single quotes": b"{'apikey': 'a.example', 'timestamp_info_nginx_ms': 1768435199000}",
    "no number": line(ip_lat=0).replace(b'"ip_lat": 0', b'"ip_lat": NaN'),
    "tab in a text": line(url="a").replace(b'"url": "a"', b'"url": "a\tb"'),
    "not utf-8": line(url="a").replace(b'"url": "a"', b'"url": "\xff"'),
    "not utf-8 in an unknown field": line(zzz="a").replace(b'"zzz": "a"', b'"zzz": "\xc3"'),
    "no site": line(apikey=None),
    "empty site": line(apikey=""),
}


@pytest.fixture(scope="module")
def parsed(spark: SparkSession) -> dict[str, dict[str, Any]]:
    """Every line of the corpus, parsed."""
    rows = spark.createDataFrame(
        [(name, bytearray(content)) for name, content in LINES.items()], "name string, bytes binary"
    )
    # A cast keeps the bytes as they are, like the reader of text files.
    lines = rows.select("name", F.col("bytes").cast("string").alias("value"))
    looked_at = parse(lines, ingested_at=INGESTED_AT)
    refused = looked_at.where("_reason = 'not_an_object'").select("name", F.col("_line").alias("value"))
    both = looked_at.where("_reason is distinct from 'not_an_object'").union(
        parse_again(refused, ingested_at=INGESTED_AT)
    )
    plain = both.drop("_line").withColumn("event_at", F.unix_millis("event_at"))
    return {row["name"]: row.asDict() for row in plain.collect()}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_judged_as_the_oracle_judges_it(parsed: dict[str, dict[str, Any]], name: str) -> None:
    """Blank, rejected with one of the reasons, or an event with the same time, cell, key and fields."""
    actual = parsed[name]
    match classify(LINES[name], INGESTED_AT):
        case Blank():
            assert (actual["_is_blank"], actual["_reason"]) == (True, None)
        case Rejected():
            assert actual["_reason"] in REASONS
            assert not actual["_is_blank"]
        case Event(wanted):
            assert (actual["_is_blank"], actual["_reason"]) == (False, None)
            wanted = wanted | {"event_at": ms(wanted["event_at"])}
            compared = [field.name for field in EVENT_FIELDS if field.type != "json"]
            compared += ["event_at", "date", "hour", "session_key"]
            if actual["_rescued"]:  # the oracle brings those fields to their types that its own rules read
                compared = [*JUDGED_BY_THE_ORACLE, "event_at", "date", "hour", "session_key"]
            assert {n: actual[n] for n in compared} == {n: wanted.get(n) for n in compared}


COERCED = {
    ("metadata_tags", '"one"'): (["one"], None),
    ("metadata_tags", "5"): (["5"], None),
    ("metadata_tags", '["a", 5, null]'): (["a", "5", None], None),
    ("metadata_tags", '{"a": 1}'): (None, '{"a":1}'),
    ("ip_lat", '"1.5"'): (1.5, None),
    ("ip_lat", '"NaN"'): (None, "NaN"),
    ("ip_lat", '"north"'): (None, "north"),
    ("ip_lat", "[1]"): (None, "[1]"),
    ("session", '"False"'): (False, None),
    ("session", "1"): (True, None),
    ("session", '"maybe"'): (None, "maybe"),
    ("engaged_time_inc", '"15"'): (15, None),
    ("engaged_time_inc", "15.0"): (15, None),
    ("engaged_time_inc", "15.5"): (None, "15.5"),
    ("engaged_time_inc", "9223372036854775808"): (None, "9223372036854775808"),
    ("engaged_time_inc", '"9223372036854775807"'): (9223372036854775807, None),
    ("engaged_time_inc", "true"): (None, "true"),
    ("metadata_title", '["a", {"b": 1}]'): ('["a",{"b":1}]', None),
}


def test_what_a_value_of_another_type_says_without_doubt_is_taken_and_the_rest_is_rescued(spark: SparkSession) -> None:
    """Each field alone, and whatever it is, the event is there once."""
    lines = [(str(key), line().decode()[:-1] + f', "{key[0]}": {key[1]}}}') for key in COERCED]
    rows = parse_again(spark.createDataFrame(lines, "name string, value string"), ingested_at=INGESTED_AT).collect()
    assert {row["_reason"] for row in rows} == {None}
    actual = {row["name"]: row for row in rows}
    for key, (value, rescued) in COERCED.items():
        row = actual[str(key)]
        assert row[key[0]] == value, key
        assert (row["_rescued"] and json.loads(row["_rescued"])) == (rescued and {key[0]: rescued}), key


@pytest.mark.parametrize(
    "unknown", [["new", "newer"], ["new", "newer", "Action"], ["new", "newer", *map(str, range(200))]]
)
def test_fields_that_the_schema_does_not_know_are_rescued(spark: SparkSession, unknown: list[str]) -> None:
    """Few, many, or of names that differ from known ones by case alone; nulls are nothing."""
    sent = {name: {"deep": [1]} for name in unknown if name not in ("new", "newer")} | {"new": 5}
    lines = [(line(**sent, newer=None).decode(),), (line().decode(),)]
    looked_at = parse(spark.createDataFrame(lines, "value string"), ingested_at=INGESTED_AT, unknown=unknown)
    rows = {row["_rescued"] for row in looked_at.collect()}
    assert None in rows
    (rescued,) = (json.loads(text) for text in rows if text)
    assert rescued == {name: '{"deep":[1]}' for name in sent if name != "new"} | {"new": "5"}


def test_names_that_the_schema_does_not_know_are_found(spark: SparkSession) -> None:
    """In every line that is looked at; the known ones are not told."""
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
