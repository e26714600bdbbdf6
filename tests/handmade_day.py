"""A day of a made-up site, 44 events, small enough that every answer about it can be worked out by hand.

The reporting time zone is New York's, five hours behind UTC, so what happens before 05:00 is of the day before.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SITE = "news.example"
ZONE = "America/New_York"


def ms(text: str) -> int:
    """Epoch milliseconds of a UTC time; a time alone is of 14 January 2026."""
    return round(
        datetime.fromisoformat(text if " " in text else f"2026-01-14 {text}").replace(tzinfo=UTC).timestamp() * 1000
    )


def url(path: str) -> str:
    """A page of the site."""
    return f"https://{SITE}/{path}"


def about(path: str, **metadata: object) -> dict[str, Any]:
    """The metadata fields of a page or a video."""
    return {"metadata": True, "metadata_canonical_url": url(path), **{f"metadata_{k}": v for k, v in metadata.items()}}


A = about(
    "a",
    title="A",
    section="News",
    authors=["Ada"],
    tags=["snow", "ice"],
    page_type="post",
    pub_date_tmsp=ms("09:00:00"),
    full_content_word_count=300,
)
B = about(
    "b",
    title="B",
    section="Sport",
    authors=["Ada", "Ben"],
    tags=["ice", None],
    page_type="post",
    pub_date_tmsp=ms("2026-01-13 12:00:00") // 1000,
    full_content_word_count=1200,
)  # in seconds, as apps send it
B_EDITED = B | {"metadata_title": "B, corrected"}
C = about(
    "c", title="C", section="News", authors=["Cy"], tags=[], page_type="post", pub_date_tmsp=ms("2025-11-30 08:00:00")
)
FRONT = about("", title="Front page", page_type="index")
FILM = about("film", title="The film", page_type="video", duration=90_000)
CLIP = about("clip", title="The clip", page_type="video", duration=60)  # in seconds, as apps send it

SEARCH = {"sref_category": "search", "sref_domain": "google", "session_initial_referrer": "https://www.google.com/"}
SOCIAL = {"sref_category": "social", "sref_domain": "facebook.com", "session_initial_referrer": "https://facebook.com/"}
MAIL = {"surl_utm_source": "mail", "surl_utm_medium": "email", "surl_utm_campaign": "january"}
IN_MAIL = {name.removeprefix("surl_"): value for name, value in MAIL.items()}
PAID = {"surl_utm_source": "google", "surl_utm_medium": "cpc"}
ASSISTANT = {"sref_category": "ai", "sref_domain": "chatgpt.com", "session_initial_referrer": "https://chatgpt.com/"}
QUEBEC = {"ip_subdivision": "QC", "ip_city": "Montreal", "ip_timezone": "America/Toronto"}
NEW_YORK = {"ip_subdivision": "NY", "ip_timezone": "America/New_York", "ip_market_name": "New York"}
PHONE = {"ua_devicetype": "mobile", "ua_os": "iOS", "ip_country": "CA", **QUEBEC}
SUBSCRIBER = {"extra_data": {"subscriber_type": "premium"}}
BOT = {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1)", "ua_browser": "Googlebot"}


def event(
    at: str, visitor: str, session: str | None, action: str, path: str, *more: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    """An event; *session* is its number and start, as in `1@10:00:00`, or None as from an app that sends none."""
    number, _, start = (session or "").partition("@")
    in_session = (
        {"session": True, "session_id": int(number), "session_timestamp": ms(start)} if session else {"session": False}
    )
    row: dict[str, Any] = {
        "apikey": SITE,
        "action": action,
        "visitor_site_id": visitor,
        "timestamp_info_nginx_ms": ms(at),
        "url": url(path),
        "url_clean": url(path),
        "channel": "website",
        "ua_devicetype": "desktop",
        "ip_country": "US",
        **in_session,
    }
    for part in more:
        row |= part
    return row | fields


def beat(
    at: str, visitor: str, session: str | None, path: str, seconds: int, *more: dict[str, Any], **fields: Any
) -> dict[str, Any]:
    """A heartbeat; it has no metadata of its own."""
    return event(at, visitor, session, "heartbeat", path, *more, engaged_time_inc=seconds, **fields)


ANN1, ANN2, BOB1, BOB2 = "1@10:00:00", "2@15:00:00", "1@10:30:00", "2@12:00:00"
EVE1, EVE2, DEE, FAY1, FAY2 = "1@04:30:00", "2@16:00:00", "1@13:00:00", "1@2025-12-05 10:00:00", "2@20:00:00"

EVENTS = [
    # ann comes from a search, reads A and B, signs up; in the afternoon she comes by mail
    event("10:00:00", "ann", ANN1, "pageview", "a", A, SEARCH, SUBSCRIBER, pageview_id="p1", ref_category="search"),
    beat("10:00:30", "ann", ANN1, "a", 30, SEARCH, pageview_id="p1"),
    beat("10:01:00", "ann", ANN1, "a", 20, SEARCH, pageview_id="p1"),
    event("10:02:00", "ann", ANN1, "pageview", "b", B, SEARCH, pageview_id="p2", ref_category="internal"),
    beat("10:02:20", "ann", ANN1, "b", 10, SEARCH, pageview_id="p2"),
    event(
        "10:03:00",
        "ann",
        ANN1,
        "conversion",
        "b",
        B,
        SEARCH,
        pageview_id="p2",
        extra_data={"_conversion_type": "newsletter_signup", "_conversion_label": "footer"},
    ),
    event("15:00:00", "ann", ANN2, "pageview", "b", B_EDITED, MAIL, IN_MAIL, pageview_id="p3", ref_category="direct"),
    beat("15:00:40", "ann", ANN2, "b", 35, MAIL, pageview_id="p3"),
    beat("15:05:00", "ann", ANN2, "a", 12, MAIL, pageview_id="p1"),  # the morning's tab, resumed
    # bob bounces off the front page, then comes from a social network to an old URL of A
    event("10:30:00", "bob", BOB1, "pageview", "", FRONT, MAIL, IN_MAIL, pageview_id="p4", ref_category="direct"),
    beat("10:30:05", "bob", BOB1, "", 5, MAIL, pageview_id="p4"),
    event("12:00:00", "bob", BOB2, "pageview", "a-old", A, SOCIAL, pageview_id="p5", ref_category="social"),
    beat("12:00:20", "bob", BOB2, "a-old", 16, SOCIAL, pageview_id="p5"),
    event("12:01:00", "bob", BOB2, "videostart", "a-old", FILM, SOCIAL, videostart_id="s1"),
    event("12:01:30", "bob", BOB2, "vheartbeat", "a-old", FILM, SOCIAL, videostart_id="s1", engaged_time_inc=30),
    event("12:02:20", "bob", BOB2, "vheartbeat", "a-old", FILM, SOCIAL, videostart_id="s1", engaged_time_inc=45),
    event("12:03:00", "bob", BOB2, "share", "a-old", A, SOCIAL, extra_data={"network": "mastodon", "count": "2"}),
    event(
        "12:04:00",
        "bob",
        BOB2,
        "conversion",
        "a-old",
        A,
        SOCIAL,
        pageview_id="p5",
        extra_data={"_conversion_type": "subscription", "_conversion_label": "premium", "account": "7"},
    ),
    # cy's phone sends neither sessions nor ids of pageviews; the vote keeps the session together
    event("09:00:00", "cy", None, "pageview", "a", A, PHONE),
    beat("09:00:15", "cy", None, "a", 15, PHONE),
    event("09:20:00", "cy", None, "pageview", "b", B, PHONE),
    beat("09:20:11", "cy", None, "b", 11, PHONE),
    event("09:40:00", "cy", None, "vote", "b", B, PHONE, extra_data={"network": 7, "count": "many"}),
    beat("10:25:30", "cy", None, "b", 5, PHONE, ts_action="2026-01-14 09:55:30"),  # sent when there was a net again
    # many browsers without cookies
    event("11:00:00", "OPTOUT", "1@11:00:00", "pageview", "a", A, pageview_id="p6"),
    beat("11:00:30", "OPTOUT", "1@11:00:00", "a", 25, pageview_id="p6"),
    event("11:10:00", "OPTOUT", "1@11:10:00", "pageview", "", FRONT, pageview_id="p7"),
    # Apple News, a bot, and one whose pageview never came
    event("13:00:00", "dee", DEE, "pageview", "b", B, NEW_YORK, channel="apln-rta", pageview_id="p8"),
    beat("13:00:10", "dee", DEE, "b", 8, NEW_YORK, channel="apln-rta", pageview_id="p8"),
    event("14:00:00", "bot", "1@14:00:00", "pageview", "a", A, BOT, pageview_id="p9"),
    beat("17:00:00", "hal", "1@17:00:00", "a", 7, ASSISTANT, pageview_id="p99"),
    # eve reads B at half past eleven of the evening before, and buys on a page that sent no pageview
    event("04:30:00", "eve", EVE1, "pageview", "b", B, SEARCH, pageview_id="p10", ref_category="search"),
    beat("04:30:41", "eve", EVE1, "b", 41, SEARCH, pageview_id="p10"),
    event("16:00:00", "eve", EVE2, "pageview", "b", B_EDITED, pageview_id="p11"),
    beat("16:00:10", "eve", EVE2, "b", 10, pageview_id="p11"),
    event("16:01:00", "eve", EVE2, "vheartbeat", "b", CLIP, videostart_id="s2", engaged_time_inc=20),
    event("16:10:00", "eve", EVE2, "conversion", "shop", extra_data={"_conversion_type": "purchase"}),
    # fay comes again after 40 days, gus does not
    event("2025-12-05 10:00:00", "fay", FAY1, "pageview", "c", C, pageview_id="p12"),
    event("20:00:00", "fay", FAY2, "pageview", "a", A, pageview_id="p13"),
    event(
        "20:05:00",
        "fay",
        FAY2,
        "conversion",
        "a",
        A,
        pageview_id="p13",
        extra_data={"_conversion_type": "lead_capture"},
    ),
    event("2025-11-30 10:00:00", "gus", "1@2025-11-30 10:00:00", "pageview", "c", C, PAID, pageview_id="p14"),
    event("2025-11-30 10:00:30", "gus", "1@2025-11-30 10:00:00", "vote", "c", C, extra_data="no object"),
    # three days after its publication, and just before that
    event(
        "2026-01-16 11:59:00",
        "ivy",
        "1@2026-01-16 11:59:00",
        "pageview",
        "b",
        B_EDITED,
        pageview_id="p15",
        url=url("b?account=42"),
    ),
    event("2026-01-16 12:00:00", "ivy", "1@2026-01-16 11:59:00", "pageview", "b", B_EDITED, pageview_id="p16"),
]


def write_bucket(folder: Path) -> None:
    """A bucket of the day: a file an hour, the first event in two of them, and a line that is no event."""
    lines: dict[str, list[str]] = {"2026/01/14/12": ["not json"]}
    for number, fields in enumerate([*EVENTS, EVENTS[0]]):
        hour = datetime.fromtimestamp(fields["timestamp_info_nginx_ms"] / 1000, UTC).strftime("%Y/%m/%d/%H")
        line = json.dumps({"event_id": f"e{number % len(EVENTS):02d}", **fields})
        lines.setdefault("2026/01/14/23" if number == len(EVENTS) else hour, []).append(line)
    for hour, some in lines.items():
        path = folder / "events" / hour / "chunk.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in some).encode()))
