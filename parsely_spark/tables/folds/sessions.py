"""The table ``sessions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.parts import (
    APIKEY,
    CAMPAIGN,
    CHANNEL,
    CHANNEL_PART,
    CONVERSIONS,
    COUNTRY_PART,
    DEVICE,
    DEVICE_PARTS,
    ENGAGED_S,
    IS_BOT,
    OF_VISITOR,
    PAGEVIEWS,
    PLACE,
    REFERRER,
    VIDEOSTARTS,
    VISITOR,
    WATCHED_S,
    event_field,
    first_known,
    idle_session_key,
    is_pageview,
    nobodys,
    part,
    run_date,
    run_hour,
    text_field,
)
from parsely_spark.transforms.fold import Attribute, Cell, Derived, Fold, Key
from parsely_spark.transforms.measures import Distinct, First, Last, Max, Min, Sum
from parsely_spark.transforms.sessionize import Runs

if TYPE_CHECKING:
    from pyspark.sql import Column

    from parsely_spark.transforms.fold import Row

MOST_POSTS = 1000  # of one session; more is a bot, and its row must stay small


def part_else_of_entry(measure: str, field: str, meaning: str) -> Derived:
    """A text of *measure*, or of the entry pageview where no event of the session has the measure."""

    def value(row: Row) -> Column:
        return F.when(row(measure).isNotNull(), row(measure)[field]).otherwise(row("_entry")[field])

    return Derived(field, "string", meaning, value)


def is_bounce(row: Row) -> Column:
    """One pageview and nothing but its heartbeats."""
    nothing_else = (row("videostarts") == 0) & (row("conversions") == 0) & (row("custom_events") == 0)
    return (row("pageviews") == 1) & nothing_else


def duration_s(row: Row) -> Column:
    """Whole seconds between the first and the last event."""
    return F.floor((F.unix_millis(row("ended_at")) - F.unix_millis(row("started_at"))) / 1000)


PAGE = {"url": text_field("url_clean"), "post_id": columns.post_id}
ENTRY = {**PAGE, **REFERRER, **{name: text_field(name) for name in CAMPAIGN}}

SESSIONS = Fold(
    name="sessions",
    grain="one row per session of a visitor on a site",
    of=columns.has_tracker_session,
    runs=Runs(
        of=columns.is_somebody,
        by=OF_VISITOR,
        longest_silence=columns.LONGEST_SILENCE,
        start="started_at",
        end="ended_at",
        is_run=lambda: F.col("session_source") == "idle",
    ),
    prune_by=("started_at", "ended_at"),
    leaves_out=nobodys,
    columns=(
        Key(
            "session_key",
            "string",
            "md5 hex of apikey_session_id_visitor_site_id_session_timestamp: parsely_session_id of Parse.ly's dbt "
            "models; _<server date> is appended where the visitor's clock is off. For an idle session, of "
            "apikey_idle_visitor_site_id_<ms of the first event>",
            event_field("session_key"),
            idle_session_key,
        ),
        APIKEY,
        VISITOR,
        Attribute(
            "session_id",
            "bigint",
            "The tracker's count of the visitor's sessions; null for an idle one",
            event_field("session_id"),
            lambda row: F.lit(None),
        ),
        Attribute(
            "session_timestamp",
            "bigint",
            "Start of the session by the visitor's clock, ms since the epoch; null for an idle one",
            event_field("session_timestamp"),
            lambda row: F.lit(None),
        ),
        Attribute(
            "session_source",
            "string",
            "tracker: made by the tracker in the page; idle: events without session fields, within "
            "30 min of each other",
            lambda: F.lit("tracker"),
            lambda row: F.lit("idle"),
        ),
        Min("started_at", "Time of the first event, UTC", event_field("event_at"), "timestamp"),
        Max("ended_at", "Time of the last event, UTC", event_field("event_at"), "timestamp"),
        Derived("duration_s", "bigint", "Whole seconds from the first to the last event", duration_s),
        Sum("events", "Events of every kind", lambda: F.lit(1)),
        PAGEVIEWS,
        ENGAGED_S,
        VIDEOSTARTS,
        WATCHED_S,
        CONVERSIONS,
        Sum("custom_events", "Events of the publisher's own naming", columns.is_custom_event),
        Derived(
            "posts",
            "int",
            f"Distinct posts among the pageviews, counted up to {MOST_POSTS:,}",
            lambda row: F.size(row("_posts")),
        ),
        Derived("entry_url", "string", "url_clean of the first pageview", lambda row: row("_entry")["url"]),
        Derived("entry_post_id", "string", "Post of the first pageview", lambda row: row("_entry")["post_id"]),
        Derived("exit_url", "string", "url_clean of the last pageview", lambda row: row("_exit")["url"]),
        Derived("exit_post_id", "string", "Post of the last pageview", lambda row: row("_exit")["post_id"]),
        part_else_of_entry("_referrer", "referrer", "URL that led to the session, else to the entry pageview"),
        part_else_of_entry("_referrer", "referrer_category", "Its class: internal, direct, social, search, …"),
        part_else_of_entry("_referrer", "referrer_domain", "Its registered domain; a search engine's name"),
        *(
            part_else_of_entry("_campaign", name, f"{name} of the session's first URL, else of the entry pageview")
            for name in CAMPAIGN
        ),
        CHANNEL_PART,
        *DEVICE_PARTS,
        COUNTRY_PART,
        part("_place", "subdivision", "State or province code, by the address"),
        part("_place", "city", "City, by the address: of low accuracy"),
        Derived("is_bounce", "boolean", "One pageview and no videostart, conversion or custom event", is_bounce),
        IS_BOT,
        Cell(
            "date",
            "date",
            "UTC date of session_timestamp; of the server where the visitor's clock is off; of an idle one's start",
            columns.tracker_session_date,
            run_date,
        ),
        Cell(
            "hour",
            "int",
            "UTC hour of session_timestamp; 0 where the visitor's clock is off; of an idle one's start",
            columns.tracker_session_hour,
            run_hour,
        ),
        First("_entry", "State: the first pageview", is_pageview, ENTRY),
        Last("_exit", "State: the last pageview", is_pageview, PAGE),
        first_known(
            "_referrer",
            "State: the session's referrer, from the first event that knows it",
            referrer="session_initial_referrer",
            referrer_category="sref_category",
            referrer_domain="sref_domain",
        ),
        first_known(
            "_campaign",
            "State: the campaign of the session's first URL, from the first event that knows it",
            **{name: f"surl_{name}" for name in CAMPAIGN},
        ),
        CHANNEL,
        DEVICE,
        PLACE,
        Distinct(
            "_posts",
            f"State: hashes of the posts seen, the least {MOST_POSTS:,}",
            lambda: F.when(is_pageview(), columns.post_id()),
            MOST_POSTS,
        ),
    ),
)
