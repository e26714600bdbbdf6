"""The tables beside ``sessions`` in plain Python, from the unique events of `oracle`; without the package as well."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from typing import Any

from oracle import EPOCH, MAX_ENGAGED_S, NOBODY, STANDARD_ACTIONS, UTM, BotRule, Cell, Fields, sessions, tracker_session

Rows = list[Fields]
VIDEO_ACTIONS = {"videostart", "vheartbeat"}
METADATA = {
    "title": "metadata_title",
    "section": "metadata_section",
    "page_type": "metadata_page_type",
    "authors": "metadata_authors",
    "tags": "metadata_tags",
}
ONLY_OF_POSTS = {
    "words": "metadata_full_content_word_count",
    "image_url": "metadata_image_url",
    "thumb_url": "metadata_thumb_url",
    "publisher_post_id": "metadata_post_id",
    "custom_metadata": "metadata_custom_metadata",
}
LISTS = ("authors", "tags")


def in_order(events: Iterable[Fields]) -> Rows:
    """By time; the id, by its bytes, breaks ties."""
    return sorted(events, key=lambda event: (event["event_at"], event["event_id"].encode()))


def in_sessions(events: Rows) -> Iterator[tuple[Fields, str | None, Cell]]:
    """Each event with the key of its session and the cell in which its rows lie; nobody has no session."""
    idle = [row for row in sessions(events, lambda *_: False).values() if row["session_source"] == "idle"]
    by_visitor = defaultdict(list)
    for row in idle:
        by_visitor[row["apikey"], row["visitor_site_id"]].append(row)
    for event in events:
        if session := tracker_session(event):
            yield event, *session
        elif event.get("visitor_site_id") in NOBODY:
            yield event, None, (event["date"], event["hour"])
        else:
            of_visitor = by_visitor[event["apikey"], event["visitor_site_id"]]
            (row,) = [row for row in of_visitor if row["started_at"] <= event["event_at"] <= row["ended_at"]]
            yield event, row["session_key"], (row["date"], row["hour"])


def seconds(events: Rows, action: str) -> int:
    """What the events of one kind add; a value that cannot be adds nothing."""
    given = [event.get("engaged_time_inc") or 0 for event in events if event.get("action") == action]
    return sum(number for number in given if 0 <= number <= MAX_ENGAGED_S)


def post_of(event: Fields) -> str | None:
    """The content of the page on which an event happened."""
    if event.get("action") in VIDEO_ACTIONS:
        return event.get("url_clean") or None
    return event.get("metadata_canonical_url") or event.get("url_clean") or None


def published(event: Fields) -> datetime | None:
    """When the content was published, whether that was sent in ms or in s."""
    sent = event.get("metadata_pub_date_tmsp") or 0
    return EPOCH + timedelta(milliseconds=sent if sent >= 10**11 else sent * 1000) if sent > 0 else None


def video_s(event: Fields) -> int | None:
    """The length of the video, whether that was sent in ms or in s; half a second is rounded up."""
    sent = event.get("metadata_duration") or 0
    return ((sent + 500) // 1000 if sent >= 10_000 else sent) or None


def first_with(events: Rows, *names: str) -> Fields:
    """The first of *events* that has more than an empty text under one of *names*."""
    return next((event for event in events if any(event.get(name) for name in names)), {})


def seen_with(events: Rows, is_bot: BotRule) -> Fields:
    """The columns about channel, device and place, and the bots."""
    device = first_with(events, "ua_devicetype", "ua_browser", "ua_os")
    return {
        "channel": first_with(events, "channel").get("channel"),
        "device_type": device.get("ua_devicetype") or None,
        "browser": device.get("ua_browser") or None,
        "os": device.get("ua_os") or None,
        "country": first_with(events, "ip_country", "ip_subdivision", "ip_city").get("ip_country") or None,
        "is_bot": any(is_bot(event.get("user_agent"), event.get("ua_browser")) for event in events),
    }


def content(events: Rows) -> Fields:
    """The metadata of the first event that has any; what is empty is nothing."""
    told = first_with(events, "metadata_title", "metadata_section", "metadata_page_type")
    return {name: told.get(given) or None for name, given in METADATA.items()} | {"published_at": published(told)}


def in_session_rows(
    events: Rows,
    actions: tuple[str, str],
    id_name: str,
    page: str,
    row_of: Callable[[Rows, Rows, BotRule], Fields],
    is_bot: BotRule,
) -> Rows:
    """Rows of what was looked at in a session: of the events of two *actions*, the first of them the start of it."""
    start, _ = actions
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for event, session, cell in in_sessions(events):
        if event.get("action") in actions:
            own = event.get(id_name) or None
            where = f"{cell[0].isoformat()}T{cell[1]:02d}"
            key = (
                event["apikey"],
                event.get("visitor_site_id") or None,
                session,
                cell,
                where,
                own,
                None if own else event.get(page) or None,
            )
            groups[key].append(event)
    rows = []
    for (apikey, visitor, session, cell, where, own, looked_at), some in groups.items():
        some = in_order(some)
        best = [event for event in some if event["action"] == start] + [
            event for event in some if event["action"] != start
        ]
        name = "_".join([apikey, visitor or "", session or where, own or looked_at or ""])
        rows.append(
            {
                f"{start.removesuffix('start').removesuffix('view')}view_key": md5(name.encode()).hexdigest(),
                "apikey": apikey,
                "visitor_site_id": visitor,
                "session_key": session,
                id_name: own,
                "is_continuation": best[0]["action"] != start,
                "date": cell[0],
                "hour": cell[1],
                **content(best),
                **seen_with(some, is_bot),
                **row_of(some, best, is_bot),
            }
        )
    return rows


def depth(number: int, names: tuple[str, str, str], deep: int) -> str:
    """Below 15 s, above *deep*, or between."""
    return names[0] if number < 15 else names[2] if number > deep else names[1]


def _pageview(some: Rows, best: Rows, _: BotRule) -> Fields:
    first, engaged = best[0], seconds(some, "heartbeat")
    beats = [event["event_at"] for event in some if event["action"] == "heartbeat"]
    published_at = content(best)["published_at"]
    age = published_at and (first["event_at"] - published_at) // timedelta(hours=1)
    return {
        "viewed_at": first["event_at"],
        "last_viewed_at": max((event["event_at"] for event in some if event["action"] == "pageview"), default=None),
        "last_engaged_at": max(beats, default=None),
        "pageviews": len(some) - len(beats),
        "heartbeats": len(beats),
        "engaged_s": engaged,
        "read_depth": depth(engaged, ("skim", "read", "deep"), 40),
        "url": first.get("url") or None,
        "url_clean": first.get("url_clean") or None,
        "post_id": post_of(first),
        "hours_since_publish": age,
        "referrer": first.get("referrer") or None,
        "referrer_category": first.get("ref_category") or None,
        "referrer_domain": first.get("ref_domain") or None,
        **{name: first.get(name) or None for name in UTM},
    }


def _videoview(some: Rows, best: Rows, _: BotRule) -> Fields:
    first, watched = best[0], seconds(some, "vheartbeat")
    beats = [event["event_at"] for event in some if event["action"] == "vheartbeat"]
    return {
        "started_at": first["event_at"],
        "last_watched_at": max(beats, default=None),
        "videostarts": len(some) - len(beats),
        "watched_s": watched,
        "watch_depth": depth(watched, ("skim", "watch", "deep"), 60),
        "video_id": first.get("metadata_canonical_url") or None,
        "video_s": video_s(first),
        "host_url": first.get("url_clean") or None,
    }


def sums(events: Rows) -> Fields:
    """The numbers that most tables have."""
    actions = [event.get("action") for event in events]
    return {
        "pageviews": actions.count("pageview"),
        "engaged_s": seconds(events, "heartbeat"),
        "videostarts": actions.count("videostart"),
        "watched_s": seconds(events, "vheartbeat"),
        "conversions": actions.count("conversion"),
    }


def by(events: Iterable[Fields], key: Callable[[Fields], tuple[Any, ...]]) -> dict[tuple[Any, ...], Rows]:
    """The events in order, by *key*."""
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for event in in_order(events):
        groups[key(event)].append(event)
    return groups


def _visitor_day(key: tuple[str, str, date], some: Rows, is_bot: BotRule) -> Fields:
    view = next((event for event in some if event.get("action") == "pageview"), {})
    given = {
        **{"url": "url_clean", "section": "metadata_section", "channel": "channel", "referrer": "referrer"},
        **{"referrer_category": "ref_category", "referrer_domain": "ref_domain"},
        **{name: name for name in UTM},
    }
    return {
        **dict(zip(("apikey", "visitor_site_id", "date"), key, strict=True)),
        "first_seen_at": some[0]["event_at"],
        "last_seen_at": some[-1]["event_at"],
        **sums(some),
        "first_post_id": post_of(view),
        **{f"first_{name}": view.get(field) or None for name, field in given.items()},
        "is_bot": any(is_bot(event.get("user_agent"), event.get("ua_browser")) for event in some),
    }


def _about(event: Fields) -> Fields:
    """All that an event tells of its post; an empty text is nothing, nor is an empty list."""
    told = {name: event.get(given) for name, given in (METADATA | ONLY_OF_POSTS).items()}
    return {name: None if value in ("", []) else value for name, value in told.items()} | {
        "published_at": published(event)
    }


def _post(key: tuple[str, str], some: Rows) -> Fields:
    told = [_about(event) for event in reversed(some)]
    names = [*METADATA, *ONLY_OF_POSTS, "published_at"]
    return {
        "apikey": key[0],
        "post_id": key[1],
        **{name: next((about[name] for about in told if about[name] is not None), None) for name in names},
        "first_seen_at": some[0]["event_at"],
        "last_seen_at": some[-1]["event_at"],
        "urls": sorted({event["url_clean"] for event in some if event.get("url_clean")})[:100],
    }


def _conversion(event: Fields, is_bot: BotRule) -> Fields:
    extra = event.get("extra_data")
    extra = extra if isinstance(extra, dict) else {}
    same = (
        "apikey",
        "event_id",
        "visitor_site_id",
        "session_key",
        "pageview_id",
        "url",
        "url_clean",
        "referrer",
        "channel",
    )
    return {
        **{name: event.get(name) or None for name in (*same, *UTM)},
        "converted_at": event["event_at"],
        "conversion_type": extra.get("_conversion_type") or None,
        "conversion_label": extra.get("_conversion_label") or None,
        "post_id": post_of(event),
        "referrer_category": event.get("ref_category") or None,
        "referrer_domain": event.get("ref_domain") or None,
        "device_type": event.get("ua_devicetype") or None,
        "country": event.get("ip_country") or None,
        "extra_data": None if event.get("extra_data") == "" else event.get("extra_data"),
        "is_bot": is_bot(event.get("user_agent"), event.get("ua_browser")),
        "date": event["date"],
        "hour": event["hour"],
    }


def tables(events: Rows, is_bot: BotRule) -> dict[str, Rows]:
    """Every derived table beside ``sessions``; ``post_versions`` without its key, which is a hash of its columns."""
    pages = [event for event in events if event.get("action") not in VIDEO_ACTIONS and post_of(event)]
    told = [event for event in pages if any(value is not None for value in _about(event).values())]
    state = lambda event: json.dumps(_about(event), default=str)  # noqa: E731  # a key, as those below
    versions = by(told, lambda event: (event["apikey"], post_of(event), state(event)))
    hours = by(
        (event for event in events if event.get("action") in STANDARD_ACTIONS),
        lambda event: (event["apikey"], post_of(event), event["date"], event["hour"]),
    )
    days = by(
        (event for event in events if event.get("visitor_site_id") not in NOBODY),
        lambda event: (event["apikey"], event["visitor_site_id"], event["date"]),
    )
    return {
        "pageviews": in_session_rows(events, ("pageview", "heartbeat"), "pageview_id", "url_clean", _pageview, is_bot),
        "videoviews": in_session_rows(
            events, ("videostart", "vheartbeat"), "videostart_id", "metadata_canonical_url", _videoview, is_bot
        ),
        "visitor_days": [_visitor_day(key, some, is_bot) for key, some in days.items()],
        "posts": [_post(key, some) for key, some in by(pages, lambda event: (event["apikey"], post_of(event))).items()],
        "post_versions": [
            {
                **{"apikey": key[0], "post_id": key[1], **_about(some[0])},
                **{"first_seen_at": some[0]["event_at"], "last_seen_at": some[-1]["event_at"]},
            }
            for key, some in versions.items()
        ],
        "post_hours": [
            {
                **dict(zip(("apikey", "post_id", "date", "hour"), key, strict=True)),
                **sums(some),
                "visitors": len({event.get("visitor_site_id") for event in some} - NOBODY),
            }
            for key, some in hours.items()
        ],
        "conversions": [_conversion(event, is_bot) for event in events if event.get("action") == "conversion"],
    }


def as_text(rows: Rows) -> list[str]:
    """Rows as sorted JSON, times as epoch milliseconds, nulls left out."""

    def plain(value: object) -> object:
        if isinstance(value, datetime):
            return (value.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1)
        return value.isoformat() if isinstance(value, date) else value

    kept = [{name: plain(value) for name, value in row.items() if value is not None} for row in rows]
    return sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in kept)
