"""The fold engine: partial rows combine, and a range of events is folded once, whatever happens."""

from __future__ import annotations

import itertools
import os
from datetime import timedelta
from functools import partial
from hashlib import md5
from random import Random
from typing import TYPE_CHECKING, Any

import oracle
import pytest
from chispa.dataframe_comparer import assert_df_equality
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_events import NOON, events
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError, MissingColumnsError
from parsely_spark.reporting import DepthSettings
from parsely_spark.tables import folding, runs
from parsely_spark.tables.catalog import EVENTS, Lake
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.folding import fold_new_events, from_nothing, rebuild_fold, state_of
from parsely_spark.tables.folds import FOLDS, folds_of
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.write import insert_events
from parsely_spark.transforms.fold import combine, finish, summarize
from parsely_spark.transforms.measures import Sketch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

insert = partial(insert_events, are_few=False)  # a merge for new hours and one for those that have events
SOAK = int(os.environ.get("PARSELY_SPARK_SOAK", "1"))


one_event = st.fixed_dictionaries(
    {
        # The silences between neighbours are often exactly the longest that a run may have, or a second more.
        "at": st.builds(lambda slot, more: slot * 1800 + more, st.integers(0, 6), st.integers(0, 1)),
        "session": st.sampled_from([True, False, False]),
        "session_id": st.integers(1, 3),
        "action": st.sampled_from(["pageview", "heartbeat", "videostart", "vheartbeat", "conversion", "vote", None]),
        "engaged_time_inc": st.sampled_from([None, 0, 5, 3600, -1, 10**6]),
        "url_clean": st.sampled_from([None, "", "http://a.example/1", "http://a.example/2"]),
        "sref_domain": st.sampled_from([None, "", "google", "b.example"]),
        "surl_utm_source": st.sampled_from([None, "mail"]),
        "ua_os": st.sampled_from([None, "Linux"]),
        "visitor_site_id": st.sampled_from(["v", "v", "OPTOUT"]),
        "pageview_id": st.sampled_from([None, "", "1", "2"]),
        "videostart_id": st.sampled_from([None, "1"]),
        "metadata_canonical_url": st.sampled_from([None, "", "http://a.example/1", "the post"]),
        "metadata_title": st.sampled_from([None, "", "Title", "Another"]),
        "metadata_authors": st.sampled_from([None, [], ["Ada", None]]),
        "metadata_pub_date_tmsp": st.sampled_from([None, 0, -5, 1_768_392_000, 1_768_392_000_000, 2**63 - 1]),
        "metadata_duration": st.sampled_from([None, 0, -1, 60, 90_000, 2**63 - 1]),
        "extra_data": st.sampled_from([None, "", "no object", '{"_conversion_type": "purchase"}']),
        "is_bot": st.booleans(),
    }
)


@settings(max_examples=2 * SOAK, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.lists(one_event, min_size=10, max_size=40), parts=st.lists(st.integers(0, 2), min_size=40, max_size=40))
@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_the_fold_of_a_union_is_the_combination_of_the_folds(
    spark: SparkSession, fold: Any, given: list[dict[str, Any]], parts: list[int]
) -> None:
    """However the events are split into three parts, combining their folds gives the fold of all of them."""
    everything = events(spark, *given)
    number = F.substring("event_id", 2, 9).cast("int")
    part_of = F.element_at(F.array(*[F.lit(part) for part in parts]), number + 1)
    folded = [summarize(everything.where(part_of == part), fold) for part in range(3)]
    combined = combine(folded[2].unionByName(folded[0]).unionByName(folded[1]), fold)
    expected = finish(combine(summarize(everything, fold), fold), fold)
    comparable = {measure.name: measure.comparable(F.col(measure.name)) for measure in fold.measures}
    actual, expected = (rows.withColumns(comparable) for rows in (finish(combined, fold), expected))
    assert_df_equality(actual, expected, ignore_row_order=True, ignore_nullable=True)


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_a_fold_gives_the_columns_it_declares(spark: SparkSession, fold: Any) -> None:
    """Names, order and types of the computed rows are those that the table is created with."""
    rows = finish(combine(summarize(events(spark, {}), fold), fold), fold)
    assert [(f.name, f.dataType.simpleString()) for f in rows.schema] == [(c.name, c.type) for c in fold.columns]


def test_what_counts_as_read_follows_the_settings(spark: SparkSession) -> None:
    """Below one number it was skimmed, above the other read deeply."""
    beats = events(
        spark, *[{"action": "heartbeat", "pageview_id": str(s), "engaged_time_inc": s} for s in (4, 5, 7, 8)]
    )
    (fold,) = folds_of(["pageviews"], DepthSettings(skim_s=5, deep_read_s=7))
    rows = finish(combine(summarize(beats, fold), fold), fold).orderBy("engaged_s").collect()
    assert [row["read_depth"] for row in rows] == ["skim", "read", "read", "deep"]


def test_folding_twice_counts_once(spark: SparkSession, lake: Lake) -> None:
    """A second fold at the same version of events touches nothing."""
    insert(lake, events(spark, {}, {"at": 9}), says={"run_id": "1"})
    assert fold_new_events(lake, SESSIONS, run_id="1") == 1
    version = version_of(lake, "sessions")
    assert fold_new_events(lake, SESSIONS, run_id="2") == 0
    assert version_of(lake, "sessions") == version
    assert [row["pageviews"] for row in lake.read("sessions").collect()] == [2]


@pytest.mark.parametrize("rounds", [1, 2], ids=["first load", "merge"])
def test_a_run_that_believes_nothing_was_folded_cannot_fold_again(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """The commit itself refuses: even a writer that misses the progress of another adds nothing."""
    for number in range(rounds):
        insert(lake, events(spark, {"event_id": f"e{number}", "at": number}), says={"run_id": "1"})
        before = state_of(lake, "sessions")
        fold_new_events(lake, SESSIONS, run_id="1")
    answers = iter([before])  # what it was before the other writer; the truth from then on
    monkeypatch.setattr(folding, "state_of", lambda *of: next(answers, None) or state_of(*of))
    assert fold_new_events(lake, SESSIONS, run_id="2") == 0
    assert list(answers) == []
    assert [row["pageviews"] for row in lake.read("sessions").collect()] == [rounds]


def test_a_table_that_was_made_again_meanwhile_gets_nothing_twice(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold that began before the rebuild is refused, and a rebuild can be repeated."""
    for number in range(2):
        insert(lake, events(spark, {"event_id": f"e{number}", "at": number}), says={"run_id": "1"})
        before = state_of(lake, "sessions") if number else None
        fold_new_events(lake, SESSIONS, run_id="1")
    lake.spark.sql(f"DELETE FROM {lake.name_of('sessions')}")
    assert rebuild_fold(lake, SESSIONS, run_id="2") == 1
    lake.spark.sql(f"DELETE FROM {lake.name_of('sessions')}")
    assert rebuild_fold(lake, SESSIONS, run_id="3") == 1
    answers = iter([before])
    monkeypatch.setattr(folding, "state_of", lambda *of: next(answers, None) or state_of(*of))
    assert fold_new_events(lake, SESSIONS, run_id="4") == 0
    assert [row["pageviews"] for row in lake.read("sessions").collect()] == [2]


def test_upkeep_between_two_that_begin_does_not_let_both_through(
    spark: SparkSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sees the table before, the other after a commit that folds nothing; what both fold is the same."""
    insert(lake, events(spark, {"event_id": "e0"}), says={"run_id": "1"})
    fold_new_events(lake, SESSIONS, run_id="1")
    insert(lake, events(spark, {"event_id": "e1", "at": 1}), says={"run_id": "1"})
    before = state_of(lake, "sessions")
    lake.spark.sql(f"ALTER TABLE {lake.name_of('sessions')} SET TBLPROPERTIES ('upkeep' = 'done')")
    answers = iter([before, state_of(lake, "sessions")])
    monkeypatch.setattr(folding, "state_of", lambda *of: next(answers, None) or state_of(*of))
    assert fold_new_events(lake, SESSIONS, run_id="2") == 1
    assert fold_new_events(lake, SESSIONS, run_id="3") == 0
    assert list(answers) == []
    assert [row["pageviews"] for row in lake.read("sessions").collect()] == [2]


def test_a_table_that_is_made_again_has_no_other_rows_whatever_the_session_overwrites(
    spark: SparkSession, lake: Lake
) -> None:
    """Sessions that overwrite only the partitions that are written keep stale rows in all others."""
    insert(lake, events(spark, {}), says={"run_id": "1"})
    fold_new_events(lake, SESSIONS, run_id="1")
    stale = lake.read("sessions").withColumns({"session_key": F.lit("stale"), "hour": F.lit(3)})
    stale.write.format("delta").mode("append").saveAsTable(lake.name_of("sessions"))
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    try:
        assert rebuild_fold(lake, SESSIONS, run_id="2") == 1
    finally:
        spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    assert [row["hour"] for row in lake.read("sessions").collect()] == [12]


TEXTS = [
    column.name
    for column in EVENTS.columns
    if column.type == "string" and column.name not in ("apikey", "event_id", "action", "session_key", "_rescued")
]


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
@pytest.mark.parametrize("visitor", ["v", None])
def test_an_empty_text_is_none(spark: SparkSession, fold: Any, visitor: str | None) -> None:
    """Parse.ly sends one or the other where there is nothing, and what is absent is one thing to a sum."""
    given = [
        {"action": action, "at": at, "visitor_site_id": visitor, "session": at < 9, "metadata_title": "Title"}
        for at, action in enumerate(("pageview", "heartbeat", "videostart", "vheartbeat", "conversion", "vote") * 2)
    ]
    given = [row | (IDLE if row["at"] >= 9 else {}) for row in given]
    known = {"visitor_site_id", "metadata_title"} if visitor else {"metadata_title"}
    sets = [[row | dict.fromkeys(set(TEXTS) - known, nothing) for row in given] for nothing in (None, "")]
    if visitor is None:
        sets[1] = [row | {"visitor_site_id": ""} for row in sets[1]]
    some, others = (finish(combine(summarize(events(spark, *rows), fold), fold), fold) for rows in sets)
    sketches = [measure.name for measure in fold.measures if isinstance(measure, Sketch)]
    assert_df_equality(some.drop(*sketches), others.drop(*sketches), ignore_row_order=True, ignore_nullable=True)


IDLE = {"session": False, "session_id": None, "session_timestamp": None}


def minutes(lake: Lake) -> list[tuple[int, int, int]]:
    """The idle sessions: first and last minute after noon, events."""
    rows = lake.read("sessions").where("session_source = 'idle'").orderBy("started_at")
    since_noon = [(F.unix_seconds(name) - int(NOON.timestamp())) / 60 for name in ("started_at", "ended_at")]
    return [(int(first), int(last), events) for first, last, events in rows.select(*since_noon, "events").collect()]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 3, 1)], ids=str)
def test_a_silence_that_a_late_event_breaks_was_none(spark: SparkSession, lake: Lake, order: tuple[int, ...]) -> None:
    """Whatever comes last, sessions within half an hour of each other become one, under the key of its first event."""
    at = [0, 30, 60, 91]  # minutes; the last is a minute too late
    for number in order:
        one = IDLE | {"event_id": f"e{number}", "at": at[number] * 60}
        insert(lake, events(spark, one), says={"run_id": str(number)})
        fold_new_events(lake, SESSIONS, run_id=str(number))
    assert minutes(lake) == [(0, 60, 3), (91, 91, 1)]
    (first, _) = lake.read("sessions").orderBy("started_at").collect()
    text = f"a.example_idle_v_{int(NOON.timestamp() * 1000)}"
    assert first["session_key"] == md5(text.encode()).hexdigest()
    assert (first["date"], first["hour"], first["session_id"]) == (NOON.date(), 12, None)
    expected = from_nothing(lake, SESSIONS, version=version_of(lake, "events"))
    assert lake.read("sessions").orderBy("started_at").collect() == expected.orderBy("started_at").collect()


def test_idle_sessions_of_others_and_far_away_stay_as_they_are(spark: SparkSession, lake: Lake) -> None:
    """One merge: a long run grows at its end, another visitor's and another day's are not touched."""
    run = [IDLE | {"event_id": f"r{number}", "at": number * 1800} for number in range(100)]
    others = [IDLE | {"event_id": "o", "visitor_site_id": "w"}, IDLE | {"event_id": "d", "at": -86400}]
    insert(lake, events(spark, *run, *others, {"event_id": "tracked"}), says={"run_id": "1"})
    fold_new_events(lake, SESSIONS, run_id="1")
    late = [IDLE | {"event_id": "late", "at": 100 * 1800}, {"event_id": "tracked too"}]
    insert(lake, events(spark, *late), says={"run_id": "2"})
    assert fold_new_events(lake, SESSIONS, run_id="2") == 2
    assert minutes(lake) == [(-1440, -1440, 1), (0, 0, 1), (0, 3000, 101)]


def test_sessions_of_thousands_of_visitors_are_those_of_the_oracle(spark: SparkSession) -> None:
    """Times of every distance around half an hour, folded in three parts and joined."""
    chance = Random(f"visitors {SOAK}")
    given = []
    for visitor in range(4000):
        at = 0
        for _ in range(chance.randint(1, 9)):
            at += chance.choice([0, 1, 60, 1799, 1800, 1801, 3600, 90_000])
            given.append(IDLE | {"event_id": f"e{len(given)}", "visitor_site_id": f"v{visitor}", "at": at})
    chance.shuffle(given)
    parts = [summarize(events(spark, *given[part::3]), SESSIONS) for part in range(3)]
    combined = finish(combine(parts[2].unionByName(parts[0]).unionByName(parts[1]), SESSIONS), SESSIONS)
    seconds = [F.unix_seconds(name).alias(name) for name in ("started_at", "ended_at")]
    actual = [tuple(row) for row in combined.select("session_key", *seconds, "events").collect()]
    plain = [row | {"apikey": "a.example", "event_at": NOON + timedelta(seconds=row["at"])} for row in given]
    wanted = oracle.sessions(plain, lambda user_agent, ua_browser: False).items()
    assert sorted(actual) == sorted(
        (key, int(row["started_at"].timestamp()), int(row["ended_at"].timestamp()), row["events"])
        for key, row in wanted
    )


@settings(max_examples=2000, deadline=None)
@given(ranges=st.dictionaries(st.integers(-(10**6), 10**6), st.integers(0, 48), max_size=200))
def test_spans_hold_every_hour_and_are_few(ranges: dict[int, int]) -> None:
    spans = runs._spans([(hour, hour + length) for hour, length in ranges.items()])
    covered = [(hour, hour + length) for hour, length in ranges.items()]
    assert all(any(first <= begin and end <= last for first, last in spans) for begin, end in covered)
    assert all(first in ranges and last in {end for _, end in covered} for first, last in spans)
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert len(spans) <= 64


def test_nobody_has_no_session(spark: SparkSession, lake: Lake) -> None:
    """Ids that stand for many people are in events alone, however their sessions are named."""
    nobody = [None, "", "OPTOUT", "00000000-0000-0000-0000-000000000000"]
    rows = [fields | {"visitor_site_id": visitor} for visitor in nobody for fields in ({}, IDLE)]
    insert(lake, events(spark, *rows), says={"run_id": "1"})
    assert fold_new_events(lake, SESSIONS, run_id="1") == 0


def test_a_merge_of_new_events_updates_the_session(spark: SparkSession, lake: Lake) -> None:
    """A late first pageview becomes the entry; sums, ends and derived columns follow."""
    late = {"event_id": "late", "at": -60, "url_clean": "http://a.example/first", "ua_os": "Linux"}
    insert(lake, events(spark, {"at": 10, "url_clean": "http://a.example/second"}), says={"run_id": "1"})
    fold_new_events(lake, SESSIONS, run_id="1")
    insert(lake, events(spark, late), says={"run_id": "2"})
    assert fold_new_events(lake, SESSIONS, run_id="2") == 1
    row = lake.read("sessions").first()
    assert (row["entry_url"], row["exit_url"]) == ("http://a.example/first", "http://a.example/second")
    assert (row["events"], row["duration_s"], row["is_bounce"], row["os"]) == (2, 70, False, "Linux")


def test_upkeep_between_two_folds_changes_nothing(spark: SparkSession, lake: Lake) -> None:
    """OPTIMIZE rewrites files of both tables; it is no new event and hides no progress."""
    for number in range(2):
        insert(lake, events(spark, {"event_id": f"e{number}", "at": number}), says={"run_id": "1"})
        fold_new_events(lake, SESSIONS, run_id="1")
    for table in ("events", "sessions"):
        lake.spark.sql(f"OPTIMIZE {lake.name_of(table)}")
    assert fold_new_events(lake, SESSIONS, run_id="2") == 0
    insert(lake, events(spark, {"event_id": "e2", "at": 2}), says={"run_id": "3"})
    fold_new_events(lake, SESSIONS, run_id="3")
    assert [row["pageviews"] for row in lake.read("sessions").collect()] == [3]


def test_rows_without_a_trace_of_what_they_hold_are_an_error(spark: SparkSession, lake: Lake) -> None:
    """A table that somebody else wrote cannot be continued; the message names the way out."""
    rows = finish(summarize(events(spark, {}), SESSIONS), SESSIONS)
    rows.write.format("delta").mode("append").saveAsTable(lake.name_of("sessions"))
    with pytest.raises(LakeError, match=r"rebuild --tables sessions"):
        fold_new_events(lake, SESSIONS, run_id="1")


def test_an_event_that_is_there_is_not_inserted_again(spark: SparkSession, lake: Lake) -> None:
    """Insert-only merge: the copy that came first stays, and nothing is committed for the second."""
    insert(lake, events(spark, {"url": "first"}), says={"run_id": "1"})
    version = version_of(lake, "events")
    assert insert(lake, events(spark, {"url": "second"}), says={"run_id": "2"}).rows == 0
    assert [row["url"] for row in lake.read("events").collect()] == ["first"]
    assert version_of(lake, "events") == version


def test_a_missing_column_is_named(spark: SparkSession) -> None:
    """The fold says which columns it wants before Spark plans anything."""
    with pytest.raises(MissingColumnsError, match="the fold of sessions reads event_id"):
        summarize(spark.range(1), SESSIONS)
