"""Rules about one event, each a function that returns a Column.

Nothing here depends on the session time zone: instants are computed from epoch numbers, and text is read with an
explicit zone. ANSI mode is on in Spark 4, so a cast that outside data can fail is a ``try_`` one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache, reduce
from importlib import resources
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

EARLIEST_SERVER_TIME = datetime(2010, 1, 1, tzinfo=UTC)  # Parse.ly sent no raw events before
LATEST_AHEAD_OF_INGESTION = timedelta(days=1)
ACTION_MAY_TRAIL_SERVER = timedelta(days=7)  # app batches are sent when the phone is online again
ACTION_MAY_LEAD_SERVER = timedelta(hours=1)
SESSION_MAY_TRAIL_SERVER = timedelta(hours=48)
SESSION_MAY_LEAD_SERVER = timedelta(hours=1)
LONGEST_SILENCE = timedelta(minutes=30)  # inside a session of an app that sends no session fields
MAX_ENGAGED_S = 86_400  # trackers send at most 3,600 s at a time; a day is a broken counter

_LEAST_MS = 10**11
_LAST_MS = 253_402_300_799_999  # of the year 9999
_LEAST_VIDEO_MS = 10_000

STANDARD_ACTIONS = ("pageview", "heartbeat", "videostart", "vheartbeat", "conversion")

NOT_A_BOT = "cubot"  # a maker of phones

# Ids that stand for many people: a browser without cookies, an app whose advertising id is withheld.
NOBODY_IDS = ("", "OPTOUT", "00000000-0000-0000-0000-000000000000")


# --- time -------------------------------------------------------------------------------------------------------


def utc_ms(name: str) -> Column:
    """Epoch milliseconds (bigint) of a text column that holds UTC time without a zone; null when it is no time."""
    text = F.col(name)
    has_zone = text.rlike(r"(Z|[+-]\d\d:?\d\d)$")
    is_time = text.rlike(r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$")
    stamp = F.when(has_zone, text).otherwise(F.concat(text, F.lit("Z"))).try_cast("timestamp")
    return F.when(is_time, F.unix_millis(stamp))


def server_ms() -> Column:
    """When the collector received the event, epoch ms (bigint): ``timestamp_info_nginx_ms``, else ``ts_action``."""
    return F.coalesce(F.col("timestamp_info_nginx_ms"), utc_ms("ts_action"))


def usable_server_ms(server: Column, *, ingested_at: datetime) -> Column:
    """*server* (epoch ms) where it lies in [2010-01-01, *ingested_at* + 1 day]; else null."""
    latest = ingested_at + LATEST_AHEAD_OF_INGESTION
    return F.when(server.between(_ms(EARLIEST_SERVER_TIME), _ms(latest)), server)


def event_ms(server: Column) -> Column:
    """Event time, epoch ms: ``ts_action`` where it agrees with the server's clock, else the server's own time.

    Clients lie about time, and a lie must not create partitions; what was sent stays in ``ts_action``.
    """
    action = utc_ms("ts_action")
    agrees = action.between(server - _span_ms(ACTION_MAY_TRAIL_SERVER), server + _span_ms(ACTION_MAY_LEAD_SERVER))
    return F.when(agrees, action).otherwise(server)


def utc_date(epoch_ms: Column) -> Column:
    """UTC date of *epoch_ms*, whatever the session time zone."""
    return F.date_from_unix_date(F.floor(epoch_ms / 86_400_000).cast("int"))


def utc_hour(epoch_ms: Column) -> Column:
    """UTC hour (int, 0-23) of *epoch_ms*, whatever the session time zone."""
    return F.floor(F.pmod(epoch_ms, F.lit(86_400_000)) / 3_600_000).cast("int")


# --- who --------------------------------------------------------------------------------------------------------


def is_somebody() -> Column:
    """Whether ``visitor_site_id`` names one visitor: not null, empty, opted out or an all-zero advertising id."""
    visitor = F.col("visitor_site_id")
    return visitor.isNotNull() & ~visitor.isin(*NOBODY_IDS)


@cache
def bot_words() -> tuple[str, ...]:
    """The words of ``data/bots.txt``, lower case."""
    text = resources.files("parsely_spark").joinpath("data/bots.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def user_agent_text() -> Column:
    """What `is_bot` searches: browser and user agent in lower case; never null."""
    return F.replace(F.lower(F.concat_ws(" ", "ua_browser", "user_agent")), F.lit(NOT_A_BOT), F.lit(""))


def is_bot(user_agent_text: Column) -> Column:
    """Whether *user_agent_text* contains a word of ``data/bots.txt``.

    Plain words, because a search for thirty of them costs a tenth of one regular expression of them. Make the text
    a column first: Spark computes it once for each word otherwise.
    """
    return reduce(or_, (user_agent_text.contains(word) for word in bot_words()))


# --- tracker sessions -------------------------------------------------------------------------------------------


def has_tracker_session() -> Column:
    """Whether the event belongs to a session that the tracker made: a visitor, a session id, a positive start."""
    return (
        is_somebody()
        & F.coalesce(F.col("session"), F.lit(True))
        & F.col("session_id").isNotNull()
        & F.coalesce(F.col("session_timestamp") > 0, F.lit(False))
    )


def is_session_clock_sane(server: Column) -> Column:
    """Whether ``session_timestamp`` lies within [*server* - 48 h, *server* + 1 h], all epoch ms.

    A skewed client clock must not glue days together, so sessions outside live one server day each.
    """
    start = F.col("session_timestamp")
    return start.between(server - _span_ms(SESSION_MAY_TRAIL_SERVER), server + _span_ms(SESSION_MAY_LEAD_SERVER))


def tracker_session_key(server: Column) -> Column:
    """md5 hex of ``apikey_session_id_visitor_site_id_session_timestamp``; null for an event without such a session.

    The key of Parse.ly's own dbt models (``parsely_session_id``), so tables join during a migration. A session
    whose clock is not sane has ``_<server date>`` appended before hashing.
    """
    parts = [F.col(name).cast("string") for name in ("apikey", "session_id", "visitor_site_id", "session_timestamp")]
    joined = F.concat_ws("_", *[F.coalesce(part, F.lit("")) for part in parts])
    server_date = utc_date(server).cast("string")
    text = F.when(is_session_clock_sane(server), joined).otherwise(F.concat_ws("_", joined, server_date))
    return F.when(has_tracker_session(), F.md5(text))


def tracker_session_date() -> Column:
    """UTC date of the session's cell: that of ``session_timestamp``, or the server's when the clock is not sane."""
    server = server_ms()
    return utc_date(F.when(is_session_clock_sane(server), F.col("session_timestamp")).otherwise(server))


def tracker_session_hour() -> Column:
    """UTC hour (int) of the session's cell; 0 for a session that lives one server day."""
    return F.when(is_session_clock_sane(server_ms()), utc_hour(F.col("session_timestamp"))).otherwise(F.lit(0))


# --- what happened ----------------------------------------------------------------------------------------------


def is_action(action: str) -> Column:
    """Whether the event is an *action*; a null action is none."""
    return F.coalesce(F.col("action") == action, F.lit(False))


def is_custom_event() -> Column:
    """Whether the event has an action of the publisher's own naming."""
    return F.coalesce(~F.col("action").isin(*STANDARD_ACTIONS), F.lit(False))


def seconds_of(action: str) -> Column:
    """``engaged_time_inc`` (s, bigint) of an *action*; 0 for other events and for values outside 0-86,400 s."""
    seconds = F.col("engaged_time_inc")
    return F.when(is_action(action) & seconds.between(0, MAX_ENGAGED_S), seconds).otherwise(F.lit(0).cast("bigint"))


# --- content ----------------------------------------------------------------------------------------------------


def is_of_video() -> Column:
    """Whether the event is about a video: its metadata are the video's, its URL is that of the page it plays on."""
    return F.coalesce(F.col("action").isin("videostart", "vheartbeat"), F.lit(False))


def post_id() -> Column:
    """The content of the event's page: ``metadata_canonical_url``, or ``url_clean`` where that is missing."""
    canonical = F.col("metadata_canonical_url")
    return F.when((canonical != "") & ~is_of_video(), canonical).otherwise(F.nullif("url_clean", F.lit("")))


def sent_time(name: str) -> Column:
    """Timestamp of a field that holds ms since the epoch from the web and s from apps; null for what is neither.

    Below 10^11 it is seconds: as such the year 5138, as milliseconds March 1973, before there was a Web.
    """
    sent = F.col(name)
    as_ms = F.when(sent.between(1, _LEAST_MS - 1), sent * 1000).when(sent.between(_LEAST_MS, _LAST_MS), sent)
    return F.timestamp_millis(F.when(as_ms <= _LAST_MS, as_ms))


def video_s() -> Column:
    """Length of the video, s (bigint), of ``metadata_duration``, which is in ms from the web and in s from apps.

    From 10,000 on it is milliseconds: ten seconds, where as seconds it would be a video of almost three hours.
    """
    sent = F.col("metadata_duration")
    ms = F.when(sent >= _LEAST_VIDEO_MS, F.round(sent / 1000).cast("bigint"))
    return F.coalesce(ms, F.when(sent > 0, sent))


# --- text -------------------------------------------------------------------------------------------------------


def knows_any(*names: str) -> Column:
    """Whether at least one of the text columns *names* is neither null nor empty."""
    return F.concat_ws("", *names) != ""


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def _span_ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
