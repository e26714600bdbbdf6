"""Columns that several declarations have."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.transforms.fold import Attribute, Cell, Derived
from parsely_spark.transforms.measures import Any, First, Sum
from parsely_spark.transforms.sessionize import RUN_START

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

    from parsely_spark.transforms.fold import Row

CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
OF_VISITOR = ("apikey", "visitor_site_id")

is_pageview = partial(columns.is_action, "pageview")
is_videostart = partial(columns.is_action, "videostart")
is_conversion = partial(columns.is_action, "conversion")


def event_field(name: str) -> Callable[[], Column]:
    """The field *name* of the event."""
    return partial(F.col, name)


def text_field(name: str) -> Callable[[], Column]:
    """The text field *name* of the event; null where it is empty, which Parse.ly sends for what is absent, too."""
    return lambda: F.nullif(F.col(name), F.lit(""))


def no_event() -> Column:
    """Of what adds up in a table, the events that make no row of it: none."""
    return F.lit(False)


def nobodys() -> Column:
    """Of what adds up in a table of visitors, the events that make no row of it: those of nobody."""
    return ~columns.is_somebody()


def list_field(name: str) -> Callable[[], Column]:
    """The list field *name* of the event; null where it is empty, as an event without metadata may send it."""
    return lambda: F.when(F.size(name) > 0, F.col(name))


APIKEY = Attribute("apikey", "string", "Parse.ly's id of the site", event_field("apikey"))
VISITOR = Attribute("visitor_site_id", "string", "Visitor of the site", text_field("visitor_site_id"))

PAGEVIEWS = Sum("pageviews", "Pageview events", is_pageview)
ENGAGED_S = Sum(
    "engaged_s",
    "Seconds of engagement with pages (heartbeats); the time videos played is part of it",
    partial(columns.seconds_of, "heartbeat"),
)
VIDEOSTARTS = Sum("videostarts", "Videos started", is_videostart)
WATCHED_S = Sum(
    "watched_s",
    "Seconds of video watched (vheartbeats); never add it to engaged_s, which contains it",
    partial(columns.seconds_of, "vheartbeat"),
)
CONVERSIONS = Sum("conversions", "Conversion events", is_conversion)
IS_BOT = Any("is_bot", "Whether the user agent of any event is a bot's", event_field("is_bot"))

REFERRER = {
    "referrer": text_field("referrer"),
    "referrer_category": text_field("ref_category"),
    "referrer_domain": text_field("ref_domain"),
}
# The metadata of a page or a video, by the names that the tables have for them.
ABOUT = {
    "title": "metadata_title",
    "section": "metadata_section",
    "page_type": "metadata_page_type",
}
LISTS = {"authors": "metadata_authors", "tags": "metadata_tags"}
MEANING = {
    "title": "Title",
    "section": "Section, a single name",
    "page_type": "post, index, video and others",
    "authors": "Names of the authors",
    "tags": "Tags",
}


def first_known(name: str, meaning: str, **fields: str) -> First:
    """The *fields* (own name = event's name) of the first event that knows any of them, by more than an empty text."""
    known = partial(columns.knows_any, *fields.values())
    return First(name, meaning, known, {own: text_field(given) for own, given in fields.items()})


def part(measure: str, field: str, meaning: str, type_: str = "string", name: str = "") -> Derived:
    """One value of a struct measure as a column of its own, of that or another *name*."""
    return Derived(name or field, type_, meaning, lambda row: row(measure)[field])


def content(prefers: Callable[[], Column] | None = None) -> First:
    """The metadata of the first event that knows any of them."""
    lists = {name: list_field(given) for name, given in LISTS.items()}
    return First(
        "_content",
        "State: the metadata, from the first event that has any",
        partial(columns.knows_any, *ABOUT.values()),
        {
            **{name: text_field(given) for name, given in ABOUT.items()},
            **lists,
            "published_at": partial(columns.sent_time, "metadata_pub_date_tmsp"),
        },
        types={**dict.fromkeys(lists, "array<string>"), "published_at": "timestamp"},
        prefers=prefers,
    )


CONTENT_PARTS = (
    *(part("_content", name, MEANING[name]) for name in ABOUT),
    *(part("_content", name, MEANING[name], "array<string>") for name in LISTS),
    part("_content", "published_at", "When it was published, UTC", "timestamp"),
)

CHANNEL_PART = part("_channel", "channel", "Delivery channel: website, amp, apln-rta and others")
DEVICE_PARTS = (
    part("_device", "device_type", "desktop, mobile, tablet and others"),
    part("_device", "browser", "Browser family"),
    part("_device", "os", "Operating system family"),
)
COUNTRY_PART = part("_place", "country", "ISO country code, by the address")
CHANNEL = first_known("_channel", "State: from the first event that knows it", channel="channel")
DEVICE = first_known(
    "_device",
    "State: from the first event that knows any of it",
    device_type="ua_devicetype",
    browser="ua_browser",
    os="ua_os",
)
PLACE = first_known(
    "_place",
    "State: from the first event that knows any of it",
    country="ip_country",
    subdivision="ip_subdivision",
    city="ip_city",
)


# --- where a row of a session lies --------------------------------------------------------------------------------


def idle_session_key(row: Row) -> Column:
    """The key of a session that closeness in time makes."""
    start_ms = F.unix_millis(row(RUN_START)).cast("string")
    return F.md5(F.concat_ws("_", row("apikey"), F.lit("idle"), row("visitor_site_id"), start_ms))


def run_date(row: Row) -> Column:
    """UTC date of the start of a session that closeness in time makes."""
    return columns.utc_date(F.unix_millis(row(RUN_START)))


def run_hour(row: Row) -> Column:
    """UTC hour of the start of a session that closeness in time makes."""
    return columns.utc_hour(F.unix_millis(row(RUN_START)))


def _of_session_else_of_event(of_session: Callable[[], Column], name: str) -> Callable[[], Column]:
    return lambda: F.when(columns.has_tracker_session(), of_session()).otherwise(F.col(name))


SESSION_CELLS = (
    Cell(
        "date",
        "date",
        "UTC date of the session's row; without a session, of the event",
        _of_session_else_of_event(columns.tracker_session_date, "date"),
        run_date,
    ),
    Cell(
        "hour",
        "int",
        "UTC hour of the session's row; without a session, of the event",
        _of_session_else_of_event(columns.tracker_session_hour, "hour"),
        run_hour,
    ),
)
EVENT_CELLS = (
    Cell("date", "date", "UTC date of the event", event_field("date")),
    Cell("hour", "int", "UTC hour of the event, 0-23", event_field("hour")),
)
