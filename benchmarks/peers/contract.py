"""What every peer has to do, declared once, so that none does less than another.

Sessions are those of the tracker, and pageviews those in them, with about the main columns of the package's tables, as
one file or table each without partitions. Idle sessions, bots, rejected lines and rescued fields are left out: no
peer has them, and the comparison is generous that way.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from parsely_spark.schema import EVENT_FIELDS

FIELDS = {field.name: field.type for field in EVENT_FIELDS}
NOBODY = ("", "OPTOUT", "00000000-0000-0000-0000-000000000000")
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# Plain SQL, which each peer reads as it is.
HAS_SESSION = (
    f"visitor_site_id IS NOT NULL AND visitor_site_id NOT IN {NOBODY} AND COALESCE(session, true) "
    "AND session_id IS NOT NULL AND session_timestamp > 0"
)
IS_CLOCK_SANE = f"session_timestamp BETWEEN server_ms - {2 * DAY_MS} AND server_ms + {HOUR_MS}"


class Measure(NamedTuple):
    """A column of a table that is made of many events.

    Attributes:
        name: of the column.
        how: any, min, max, sum, first, last (by event_at) or distinct; nulls do not count.
        of: what of each event.
        where: of which events; of all where it is empty.
    """

    name: str
    how: str
    of: str
    where: str = ""


class Table(NamedTuple):
    """A table made of events: what a row is of, which events make rows, and the columns."""

    name: str
    by: dict[str, str]
    where: str
    measures: tuple[Measure, ...]
    derived: dict[str, str]


def _is(action: str) -> str:
    return f"action = '{action}'"


def _seconds(action: str) -> str:
    return f"{_is(action)} AND engaged_time_inc BETWEEN 0 AND 86400"


_POST = "COALESCE(NULLIF(metadata_canonical_url, ''), url_clean)"
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_VIEW = _is("pageview")
_WHO = (Measure("apikey", "any", "apikey"), Measure("visitor_site_id", "any", "visitor_site_id"))
_SEEN_WITH = (
    Measure("channel", "any", "channel"),
    Measure("device_type", "any", "ua_devicetype"),
    Measure("browser", "any", "ua_browser"),
    Measure("os", "any", "ua_os"),
    Measure("country", "any", "ip_country"),
)

SESSIONS = Table(
    name="sessions",
    by={"session_key": "session_key"},
    where="session_key IS NOT NULL",
    measures=(
        *_WHO,
        Measure("session_id", "any", "session_id"),
        Measure("session_timestamp", "any", "session_timestamp"),
        Measure("started_at", "min", "event_at"),
        Measure("ended_at", "max", "event_at"),
        Measure("events", "sum", "1"),
        Measure("pageviews", "sum", "1", _VIEW),
        Measure("engaged_s", "sum", "engaged_time_inc", _seconds("heartbeat")),
        Measure("videostarts", "sum", "1", _is("videostart")),
        Measure("watched_s", "sum", "engaged_time_inc", _seconds("vheartbeat")),
        Measure("conversions", "sum", "1", _is("conversion")),
        Measure("posts", "distinct", _POST, _VIEW),
        Measure("entry_url", "first", "url_clean", _VIEW),
        Measure("entry_post_id", "first", _POST, _VIEW),
        Measure("exit_url", "last", "url_clean", _VIEW),
        Measure("exit_post_id", "last", _POST, _VIEW),
        Measure("referrer", "any", "session_initial_referrer"),
        Measure("referrer_category", "any", "sref_category"),
        Measure("referrer_domain", "any", "sref_domain"),
        *(Measure(name, "any", f"surl_{name}") for name in _UTM),
        *_SEEN_WITH,
        Measure("subdivision", "any", "ip_subdivision"),
        Measure("city", "any", "ip_city"),
    ),
    derived={"is_bounce": "pageviews = 1 AND videostarts = 0 AND conversions = 0"},
)
PAGEVIEWS = Table(
    name="pageviews",
    by={"session_key": "session_key", "page": "COALESCE(NULLIF(pageview_id, ''), url_clean)"},
    where="session_key IS NOT NULL AND action IN ('pageview', 'heartbeat')",
    measures=(
        *_WHO,
        Measure("pageview_id", "any", "pageview_id"),
        Measure("viewed_at", "min", "event_at", _VIEW),
        Measure("last_engaged_at", "max", "event_at", _is("heartbeat")),
        Measure("pageviews", "sum", "1", _VIEW),
        Measure("heartbeats", "sum", "1", _is("heartbeat")),
        Measure("engaged_s", "sum", "engaged_time_inc", _seconds("heartbeat")),
        Measure("url", "first", "url"),
        Measure("url_clean", "first", "url_clean"),
        Measure("post_id", "first", _POST),
        Measure("title", "any", "metadata_title"),
        Measure("section", "any", "metadata_section"),
        Measure("authors", "any", "metadata_authors"),
        Measure("tags", "any", "metadata_tags"),
        Measure("published_ms", "any", "metadata_pub_date_tmsp"),
        Measure("referrer", "first", "referrer"),
        Measure("referrer_category", "first", "ref_category"),
        Measure("referrer_domain", "first", "ref_domain"),
        *(Measure(name, "first", name) for name in _UTM),
        *_SEEN_WITH,
    ),
    derived={"read_depth": "CASE WHEN engaged_s < 15 THEN 'skim' WHEN engaged_s <= 40 THEN 'read' ELSE 'deep' END"},
)
TABLES = (SESSIONS, PAGEVIEWS)


def asked() -> tuple[Path, Path]:
    """The files' folder and the one to write to, as the command line has them."""
    source, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    return source, out


def say_done(step: str) -> None:
    """Tell whoever measures that the table *step* is written."""
    print(step, file=sys.stderr, flush=True)


def say_counts(**rows: int) -> None:
    """Print how many rows each table has, as the last line."""
    print(json.dumps(rows), flush=True)


def memory_gib(share: float, *, most: int) -> int:
    """A *share* of this machine's memory, as a user would set it, and *most* GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(most, int(total * share)))
