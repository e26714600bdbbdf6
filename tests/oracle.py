"""What parsely_spark must produce, worked out in plain Python, to compare the Spark tables with.

It shares no code with the package: both follow the written rules, so where they differ one is wrong.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple

Fields = dict[str, Any]  # one event, or one row of a table: name → value
Cell = tuple[date, int]  # the UTC (date, hour) partition of a row
BotRule = Callable[[str | None, str | None], bool]  # (user_agent, ua_browser) → is it a bot?

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_SERVER_TIME = datetime(2010, 1, 1, tzinfo=UTC)
TEXT_TIME = re.compile(r"\d{4}-\d\d-\d\d ([01]\d|2[0-3]):\d\d:\d\d", re.ASCII)
WHOLE_NUMBER = re.compile(r"[+-]?\d(_?\d){0,30}", re.ASCII)
NOBODY = {None, "", "OPTOUT", "00000000-0000-0000-0000-000000000000"}
STANDARD_ACTIONS = {"pageview", "heartbeat", "videostart", "vheartbeat", "conversion"}
MAX_ENGAGED_S = 86_400
MAX_POSTS = 1_000
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


class Group(NamedTuple):
    """Columns of a session that are taken together, from one event, so that they never mix two events."""

    columns: tuple[str, ...]
    fields: tuple[str, ...]  # of the first event that knows any of them
    pageview_fields: tuple[str, ...] = ()  # else these, of the first pageview


FIRST_KNOWN = (
    Group(
        ("referrer", "referrer_category", "referrer_domain"),
        ("session_initial_referrer", "sref_category", "sref_domain"),
        ("referrer", "ref_category", "ref_domain"),
    ),
    Group(UTM, tuple(f"surl_{name}" for name in UTM), UTM),
    Group(("channel",), ("channel",)),
    Group(("device_type", "browser", "os"), ("ua_devicetype", "ua_browser", "ua_os")),
    Group(("country", "subdivision", "city"), ("ip_country", "ip_subdivision", "ip_city")),
)
NUMBERS = ("timestamp_info_nginx_ms", "session_id", "session_timestamp", "engaged_time_inc")
TEXTS = (
    *("apikey", "event_id", "action", "visitor_site_id", "ts_action", "user_agent"),
    *("url_clean", "metadata_canonical_url"),
    *(name for group in FIRST_KNOWN for name in group.fields + group.pageview_fields),
)


@dataclass(frozen=True)
class Blank:
    """A line of nothing but white space."""


@dataclass(frozen=True)
class Rejected:
    """A line that is no usable event."""

    reason: str


@dataclass(frozen=True)
class Event:
    """A line that is an event."""

    fields: Fields  # all that were given, + event_id, event_at, date, hour, session_key


@dataclass
class Ledger:
    """Where every line went: ``lines == inserted + duplicate + rejected + blank``."""

    lines: int = 0
    blank: int = 0
    rejected: int = 0
    duplicate: int = 0
    events: dict[tuple[str | None, str], Fields] = field(default_factory=dict)  # by (apikey, event_id)

    @property
    def inserted(self) -> int:
        """Number of unique events."""
        return len(self.events)


def read_lines(source: Path) -> Iterator[bytes]:
    """Yield every line, without its newline, of every ``*.gz`` at any depth under *source*."""
    for path in sorted(source.rglob("*.gz")):
        with gzip.open(path) as lines:  # a binary file is cut at b"\n" only, and yields no empty last line
            for line in lines:
                yield line.removesuffix(b"\n")


def unique_events(lines: Iterable[bytes], ingested_at: datetime) -> Ledger:
    """Sort *lines* into unique events, duplicates, rejects and blanks; the first copy of an event stays."""
    ledger = Ledger()
    for line in lines:
        ledger.lines += 1
        match classify(line, ingested_at):
            case Blank():
                ledger.blank += 1
            case Rejected():
                ledger.rejected += 1
            case Event(fields):
                key = (fields.get("apikey"), fields["event_id"])
                ledger.duplicate += key in ledger.events
                ledger.events.setdefault(key, fields)
    return ledger


def classify(line: bytes, ingested_at: datetime) -> Event | Rejected | Blank:
    """Say what one line is; *ingested_at* (aware) is the moment of the run that reads it."""
    if not line.strip():
        return Blank()
    try:
        # Python reads NaN and Infinity, which are no JSON; int() refuses them with a ValueError.
        given = json.loads(line.decode("utf-8-sig"), parse_constant=int)
    except UnicodeDecodeError:
        return Rejected("not UTF-8")
    except (ValueError, RecursionError):
        return Rejected("not one JSON value")
    if not isinstance(given, dict):
        return Rejected("not a JSON object")
    fields = _typed(given)
    if not fields.get("apikey"):
        return Rejected("no site")
    server = server_time(fields)
    if server is None or not EARLIEST_SERVER_TIME <= server <= ingested_at + timedelta(days=1):
        return Rejected("no usable time")
    fields["event_id"] = fields.get("event_id") or "line:" + md5(line.removesuffix(b"\r")).hexdigest()
    event_at = event_time(fields, server)
    session = tracker_session(fields)
    computed = {"event_at": event_at, "date": event_at.date(), "hour": event_at.hour}
    return Event({**fields, **computed, "session_key": session and session[0]})


def _typed(given: Fields) -> Fields:
    """Copy *given*; bring the fields that the rules below read to their types, or to null."""
    fields = dict(given)
    fields |= {name: _whole_number(given[name]) for name in NUMBERS if name in given}
    fields |= {name: _text(given[name]) for name in TEXTS if name in given}
    if not isinstance(given.get("session", True), bool):
        fields["session"] = {"true": True, "false": False, "1": True, "0": False}.get(str(given["session"]).lower())
    return fields


def _whole_number(value: object) -> int | None:
    """Read a 64-bit integer from a JSON number or from text such as ``"1_470_045_600_000"``."""
    if isinstance(value, str):
        value = int(value) if WHOLE_NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


def _text(value: object) -> str | None:
    """Keep text, write other values as JSON; a lone surrogate, which UTF-8 cannot hold, becomes ``?``."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def server_time(fields: Fields) -> datetime | None:
    """Take the server's time of the event, or ``ts_action`` where it is missing."""
    nginx_ms = fields.get("timestamp_info_nginx_ms")
    return _from_text(fields.get("ts_action")) if nginx_ms is None else _from_ms(nginx_ms)


def event_time(fields: Fields, server: datetime) -> datetime:
    """Believe ``ts_action`` from 7 days before to 1 hour after *server*, both included; else *server*."""
    action_at = _from_text(fields.get("ts_action"))
    if action_at and server - timedelta(days=7) <= action_at <= server + timedelta(hours=1):
        return action_at
    return server


def _from_ms(epoch_ms: int) -> datetime | None:
    """Turn epoch milliseconds into a UTC time; null beyond the years that Python knows."""
    try:
        return EPOCH + timedelta(milliseconds=epoch_ms)
    except OverflowError:
        return None


def _from_text(text: str | None) -> datetime | None:
    """Turn ``YYYY-MM-DD HH:MM:SS`` into a UTC time; null for any other text."""
    try:
        return datetime.fromisoformat(text + "+00:00") if text and TEXT_TIME.fullmatch(text) else None
    except ValueError:  # the form of a time, but no such time, as 30 February
        return None


def tracker_session(fields: Fields) -> tuple[str, Cell] | None:
    """Name an event's tracker session and the cell of that session's row; None where it has no session."""
    server, visitor = server_time(fields), fields.get("visitor_site_id")
    session_id, started_ms = fields.get("session_id"), fields.get("session_timestamp")
    if server is None or visitor in NOBODY or fields.get("session") is False:
        return None
    if session_id is None or started_ms is None or started_ms <= 0:
        return None
    name = f"{fields.get('apikey') or ''}_{session_id}_{visitor}_{started_ms}"
    started_at = _from_ms(started_ms)
    if started_at and server - timedelta(hours=48) <= started_at <= server + timedelta(hours=1):
        cell = (started_at.date(), started_at.hour)
    else:  # a skewed clock: one row per server day
        name, cell = f"{name}_{server.date().isoformat()}", (server.date(), 0)
    return md5(name.encode()).hexdigest(), cell


def sessions(events: Iterable[Fields], is_bot: BotRule) -> dict[str, Fields]:
    """Fold unique *events* into one row per session, by session_key."""
    members: dict[str, list[Fields]] = defaultdict(list)
    cells: dict[str, Cell] = {}
    unnamed: dict[tuple[str, str], list[Fields]] = defaultdict(list)
    for event in events:
        if session := tracker_session(event):
            key, cells[key] = session
            members[key].append(event)
        elif event.get("visitor_site_id") not in NOBODY:
            unnamed[event["apikey"], event["visitor_site_id"]].append(event)
    rows = {key: _session_row(key, cells[key], some, is_bot) for key, some in members.items()}
    for (apikey, visitor), theirs in unnamed.items():
        for some in _without_long_silence(theirs):
            start = some[0]["event_at"]
            name = f"{apikey}_idle_{visitor}_{(start - EPOCH) // timedelta(milliseconds=1)}"
            key = md5(name.encode()).hexdigest()
            rows[key] = _session_row(key, (start.date(), start.hour), some, is_bot)
            rows[key] |= {"session_source": "idle", "session_id": None, "session_timestamp": None}
    return rows


def _without_long_silence(events: list[Fields]) -> Iterator[list[Fields]]:
    """Cut the *events* of a visitor where more than 30 minutes pass between two of them."""
    chain: list[Fields] = []
    for event in sorted(events, key=lambda event: event["event_at"]):
        if chain and event["event_at"] - chain[-1]["event_at"] > timedelta(minutes=30):
            yield chain
            chain = []
        chain.append(event)
    yield chain


def _session_row(key: str, cell: Cell, events: list[Fields], is_bot: BotRule) -> Fields:
    """Fold the *events* of one session."""
    events = sorted(events, key=lambda event: (event["event_at"], event["event_id"].encode()))
    first, last = events[0], events[-1]
    actions = [event.get("action") for event in events]
    pageviews = [event for event in events if event.get("action") == "pageview"]
    custom_events = sum(action is not None and action not in STANDARD_ACTIONS for action in actions)
    other_signs_of_life = actions.count("videostart") + actions.count("conversion") + custom_events
    entry, exit_ = (pageviews[0], pageviews[-1]) if pageviews else ({}, {})
    row: Fields = {name: first.get(name) for name in ("apikey", "visitor_site_id", "session_id")}
    row |= {
        "session_key": key,
        "session_timestamp": first.get("session_timestamp"),
        "session_source": "tracker",
        "started_at": first["event_at"],
        "ended_at": last["event_at"],
        "duration_s": (last["event_at"] - first["event_at"]) // timedelta(seconds=1),
        "events": len(events),
        "pageviews": len(pageviews),
        "engaged_s": _engaged_s(events, "heartbeat"),
        "videostarts": actions.count("videostart"),
        "watched_s": _engaged_s(events, "vheartbeat"),
        "conversions": actions.count("conversion"),
        "custom_events": custom_events,
        "posts": min(len({_post_id(view) for view in pageviews} - {None}), MAX_POSTS),
        "entry_url": entry.get("url_clean") or None,
        "entry_post_id": _post_id(entry),
        "exit_url": exit_.get("url_clean") or None,
        "exit_post_id": _post_id(exit_),
        "is_bounce": len(pageviews) == 1 and other_signs_of_life == 0,
        "is_bot": any(is_bot(event.get("user_agent"), event.get("ua_browser")) for event in events),
        "date": cell[0],
        "hour": cell[1],
    }
    for group in FIRST_KNOWN:
        row |= zip(group.columns, _first_known(group, events, entry), strict=True)
    return row


def _engaged_s(events: list[Fields], action: str) -> int:
    """Sum the seconds that events of one kind add; an impossible number of seconds adds none."""
    increments = [event.get("engaged_time_inc") or 0 for event in events if event.get("action") == action]
    return sum(seconds for seconds in increments if 0 <= seconds <= MAX_ENGAGED_S)


def _post_id(pageview: Fields) -> str | None:
    """Name the post that a pageview shows."""
    return pageview.get("metadata_canonical_url") or pageview.get("url_clean") or None


def _first_known(group: Group, events: list[Fields], entry: Fields) -> list[str | None]:
    """Take the *group* from the first event that knows any of it, else from the first pageview (*entry*)."""
    for event in events:
        values = [event.get(name) or None for name in group.fields]  # an empty text is no knowledge either
        if any(values):
            return values
    return [entry.get(name) or None for name in group.pageview_fields] or [None] * len(group.columns)


def render(row: Fields) -> Fields:
    """Write the times of a row as ``2016-09-07T19:50:50.000Z`` and its days as ``2016-09-07``."""

    def text(value: object) -> object:
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        return value.isoformat() if isinstance(value, date) else value

    return {name: text(value) for name, value in row.items()}
