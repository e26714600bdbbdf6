"""The oracle against cases worked out by hand; every key below is what ``printf %s … | md5sum`` prints."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from oracle import Blank, Event, Fields, Rejected, classify, read_lines, render, sessions, unique_events

INGESTED_AT = datetime(2016, 9, 8, tzinfo=UTC)
SERVER_MS = 1473277850000  # 2016-09-07 19:50:50
SESSION_KEY = "50e2004e9c9fe1d4cdb9496b3e54d564"  # of a.com_3_v1_1473277747806
PAGEVIEW: Fields = {
    "apikey": "a.com",
    "event_id": "e1",
    "action": "pageview",
    "visitor_site_id": "v1",
    "session": True,
    "session_id": 3,
    "session_timestamp": 1473277747806,  # 2016-09-07 19:49:07.806
    "timestamp_info_nginx_ms": SERVER_MS,
    "ts_action": "2016-09-07 19:50:50",
    "url_clean": "https://a.com/1",
}


def line_of(**changes: object) -> bytes:
    """Write the pageview above, with *changes*, as one line."""
    return json.dumps({**PAGEVIEW, **changes}).encode()


def event_of(**changes: object) -> Fields:
    """Read the pageview above, with *changes*; it must be an event."""
    event = classify(line_of(**changes), INGESTED_AT)
    assert isinstance(event, Event)
    return event.fields


def session_of(*changes: Fields) -> Fields:
    """Fold pageviews with *changes* into their one session; only Googlebot is a bot."""
    events = [event_of(**{"event_id": f"e{at}", **change}) for at, change in enumerate(changes)]
    [row] = sessions(events, lambda _, browser: browser == "Googlebot").values()
    return row


def test_an_event_keeps_its_fields_and_gains_five() -> None:
    """event_id is given here, so four names are new."""
    computed = {"event_at": "2016-09-07T19:50:50.000Z", "date": "2016-09-07", "hour": 19}
    assert render(event_of()) == {**PAGEVIEW, **computed, "session_key": SESSION_KEY}


@pytest.mark.parametrize(
    ("ts_action", "event_at"),
    [
        ("2016-08-31 19:50:50", "2016-08-31T19:50:50.000Z"),  # 7 days before: believed
        ("2016-08-31 19:50:49", "2016-09-07T19:50:50.000Z"),
        ("2016-09-07 20:50:50", "2016-09-07T20:50:50.000Z"),  # 1 hour after: believed
        ("2016-09-07 20:50:51", "2016-09-07T19:50:50.000Z"),
        ("2016-09-07T19:00:00", "2016-09-07T19:50:50.000Z"),
        ("2016-02-30 19:00:00", "2016-09-07T19:50:50.000Z"),
        (None, "2016-09-07T19:50:50.000Z"),
    ],
)
def test_the_client_is_believed_near_the_server_time(ts_action: str | None, event_at: str) -> None:
    """The server says 2016-09-07 19:50:50."""
    assert render(event_of(ts_action=ts_action))["event_at"] == event_at


def test_without_a_server_time_the_action_time_serves() -> None:
    """The action was at ten past midnight, so its hour is 0 and its day the next one."""
    event = event_of(timestamp_info_nginx_ms=None, ts_action="2016-09-08 00:10:00")
    assert (render(event)["event_at"], event["hour"]) == ("2016-09-08T00:10:00.000Z", 0)


def test_a_number_sent_as_text_is_a_number() -> None:
    """Parse.ly's own fixtures write milliseconds so."""
    event = event_of(timestamp_info_nginx_ms="1_473_277_850_000", session_id="3")
    assert (event["timestamp_info_nginx_ms"], event["session_key"]) == (SERVER_MS, SESSION_KEY)


@pytest.mark.parametrize("server_ms", [1262304000000, 1473379200000])
def test_the_ends_of_the_server_range_are_usable(server_ms: int) -> None:
    """They are 2010-01-01 00:00 and, one day after ingestion, 2016-09-09 00:00."""
    assert isinstance(classify(line_of(timestamp_info_nginx_ms=server_ms), INGESTED_AT), Event)


@pytest.mark.parametrize(
    "line",
    [
        line_of(timestamp_info_nginx_ms=1262303999999),
        line_of(timestamp_info_nginx_ms=1473379200001),
        line_of(timestamp_info_nginx_ms=10**18),
        line_of(timestamp_info_nginx_ms=0),
        line_of(timestamp_info_nginx_ms=None, ts_action="yesterday"),
        b"{}",
        b"[" + line_of() + b"]",
        line_of() + line_of(),
        line_of()[:-1],
        line_of(engaged_time_inc=float("nan")),
        line_of(url_clean="?").replace(b"?", b"\xff"),
        b"null",
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_usable_event_is_rejected(line: bytes) -> None:
    """Each is out of time, or not exactly one JSON object in UTF-8."""
    assert isinstance(classify(line, INGESTED_AT), Rejected)


@pytest.mark.parametrize("line", [b"", b"\r", b" \t\x0b\x0c\r"])
def test_white_space_is_blank(line: bytes) -> None:
    """Nothing was lost, so nothing is rejected."""
    assert isinstance(classify(line, INGESTED_AT), Blank)


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_an_event_without_an_id_is_named_by_its_line(end: bytes) -> None:
    """The md5 is that of the line without the carriage return."""
    event = classify(b'{"apikey":"a","ts_action":"2016-09-07 19:50:50"}' + end, INGESTED_AT)
    assert isinstance(event, Event)
    assert event.fields["event_id"] == "line:dc8902894b007a3716643f7e63970d6b"


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    """Nine lines: e1 three times, e1 of another site, e2, two blanks, two rejects; 1.gz ends unfinished."""
    hour = tmp_path / "events/2016/09/07/19"
    hour.mkdir(parents=True)
    first = [line_of(), line_of(), b"", b"nonsense", line_of(apikey="b.com")]
    second = [line_of(), b" \r", b"[]", line_of(event_id="e2") + b"\r"]
    (hour / "1.gz").write_bytes(gzip.compress(b"\n".join(first)))
    (hour / "2.gz").write_bytes(gzip.compress(b"\n".join(second) + b"\n"))
    (hour / "3.gz").write_bytes(gzip.compress(b""))
    lines = list(read_lines(tmp_path))
    assert lines == first + second
    ledger = unique_events(lines, INGESTED_AT)
    counts = (ledger.lines, ledger.inserted, ledger.duplicate, ledger.rejected, ledger.blank)
    assert counts == (9, 3, 2, 2, 2)
    assert set(ledger.events) == {("a.com", "e1"), ("b.com", "e1"), ("a.com", "e2")}


@pytest.mark.parametrize(
    ("session_timestamp", "key", "cell"),
    [
        (
            1473105050000,
            "9eeef97acc3d5c3819e5da47bf7b3af3",
            (date(2016, 9, 5), 19),
        ),  # 48 hours before the server
        (1473105049999, "703881e47c6f1fe33d98954d5af9335d", (date(2016, 9, 7), 0)),
        (1473281450000, "d87c33a1f3dc811b839f6d5b83ab64c2", (date(2016, 9, 7), 20)),  # 1 hour after it
        (1473281450001, "4b8a6bdf0bbdf9f95966e8ed8199487d", (date(2016, 9, 7), 0)),
        (1, "6af6870c9d3aa21685e43328f5c477ba", (date(2016, 9, 7), 0)),  # a.com_3_v1_1_2016-09-07
    ],
)
def test_a_skewed_clock_gets_a_row_per_server_day(session_timestamp: int, key: str, cell: object) -> None:
    """A session that starts too far from the server time is named with the server's day."""
    row = session_of({"session_timestamp": session_timestamp})
    assert (row["session_key"], (row["date"], row["hour"])) == (key, cell)


def test_an_event_without_a_site_is_rejected() -> None:
    """Every key holds the site, so a line without one has no identity."""
    assert isinstance(classify(line_of(apikey=None), INGESTED_AT), Rejected)


@pytest.mark.parametrize(
    "change",
    [
        {"visitor_site_id": None},
        {"visitor_site_id": ""},
        {"visitor_site_id": "OPTOUT"},
        {"visitor_site_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_nobody_has_no_session(change: Fields) -> None:
    """The event itself stays."""
    event = event_of(**change)
    assert event["session_key"] is None
    assert sessions([event], lambda *_: False) == {}


@pytest.mark.parametrize(
    "change",
    [{"session": False}, {"session_id": None}, *({"session_timestamp": never} for never in (None, 0))],
)
def test_events_that_name_no_session_form_one_until_half_an_hour_passes(change: Fields) -> None:
    """Exactly 30 minutes are no silence; a second more is one."""
    at = [datetime(2016, 9, 7, 23, 50, tzinfo=UTC) + timedelta(seconds=after) for after in (0, 1800, 3601)]
    events = [event_of(**change) | {"event_at": time, "event_id": str(time)} for time in at]
    rows = sorted(sessions(events, lambda *_: False).values(), key=lambda row: row["started_at"])
    assert [(row["events"], row["ended_at"], row["session_source"]) for row in rows] == [
        (2, at[1], "idle"),
        (1, at[2], "idle"),
    ]
    assert [(row["date"], row["hour"], row["session_id"]) for row in rows] == [
        (at[0].date(), 23, None),
        (at[2].date(), 0, None),
    ]


def test_a_session_is_the_fold_of_its_events() -> None:
    """Worked by hand, out of order on purpose: the first event by time is the heartbeat of 19:49:10."""
    row = session_of(
        {"event_id": "b", "url_clean": "https://a.com/2", "surl_utm_source": "mail", "channel": "website"},
        {"event_id": "a", "url_clean": "https://a.com/1", "metadata_canonical_url": "https://a.com/one"},
        {
            "event_id": "é",
            "ts_action": "2016-09-07 19:59:00",
            "url_clean": "https://a.com/4",
            "ip_city": "Rome",
        },
        {"event_id": "z", "ts_action": "2016-09-07 19:59:00", "url_clean": "https://a.com/3"},
        {
            "event_id": "h",
            "action": "heartbeat",
            "ts_action": "2016-09-07 19:49:10",
            "engaged_time_inc": 86400,
            "sref_domain": "google",
        },
        {"event_id": "i", "action": "heartbeat", "engaged_time_inc": 86401},
        {"event_id": "j", "action": "heartbeat", "engaged_time_inc": -1},
        {"event_id": "k", "action": "heartbeat", "engaged_time_inc": 5, "session_initial_referrer": "later"},
        {"event_id": "l", "action": "vheartbeat", "engaged_time_inc": 7},
        {"event_id": "m", "action": "videostart", "ip_country": "IT", "engaged_time_inc": 100},
        {"event_id": "n", "action": "conversion", "ua_browser": "Googlebot"},
        {"event_id": "o", "action": "scroll", "channel": "amp"},
        {"event_id": "p", "action": None},
    )
    # Ties of one second: "a" enters before "b"; "é" leaves after "z", for its bytes are greater.
    assert render(row) == {
        "session_key": SESSION_KEY,
        "apikey": "a.com",
        "visitor_site_id": "v1",
        "session_id": 3,
        "session_timestamp": 1473277747806,
        "session_source": "tracker",
        "started_at": "2016-09-07T19:49:10.000Z",
        "ended_at": "2016-09-07T19:59:00.000Z",
        "duration_s": 590,
        "events": 13,
        "pageviews": 4,
        "engaged_s": 86405,
        "videostarts": 1,
        "watched_s": 7,
        "conversions": 1,
        "custom_events": 1,
        "posts": 4,
        "entry_url": "https://a.com/1",
        "entry_post_id": "https://a.com/one",
        "exit_url": "https://a.com/4",
        "exit_post_id": "https://a.com/4",
        "referrer": None,
        "referrer_category": None,
        "referrer_domain": "google",
        "utm_source": "mail",
        "utm_medium": None,
        "utm_campaign": None,
        "utm_term": None,
        "utm_content": None,
        "channel": "website",
        "device_type": None,
        "browser": "Googlebot",
        "os": None,
        "country": "IT",
        "subdivision": None,
        "city": None,
        "is_bounce": False,
        "is_bot": True,
        "date": "2016-09-07",
        "hour": 19,
    }


def test_the_first_pageview_speaks_where_the_session_is_silent() -> None:
    """The heartbeat comes first and also has a referrer, but only a pageview's counts."""
    row = session_of(
        {"action": "heartbeat", "ts_action": "2016-09-07 19:50:00", "referrer": "no", "utm_term": "no"},
        {"referrer": "https://t.co/", "ref_category": "social", "utm_medium": "post"},
        {"ts_action": "2016-09-07 19:51:00", "ref_domain": "no", "utm_source": "no"},
    )
    assert (row["referrer"], row["referrer_category"], row["referrer_domain"]) == (
        "https://t.co/",
        "social",
        None,
    )
    assert (row["utm_source"], row["utm_medium"], row["utm_term"]) == (None, "post", None)


def test_a_session_without_a_pageview_enters_nowhere() -> None:
    """One heartbeat alone is not a bounce."""
    row = session_of({"action": "heartbeat", "referrer": "no"})
    names = ("entry_url", "entry_post_id", "exit_url", "exit_post_id", "referrer", "posts", "is_bounce")
    assert [row[name] for name in names] == [None, None, None, None, None, 0, False]


@pytest.mark.parametrize("action", ["heartbeat", "vheartbeat", None])
def test_time_spent_on_one_page_is_still_a_bounce(action: str | None) -> None:
    """Time spent is not a deed, nor is an event without an action."""
    assert session_of({}, {"action": action})["is_bounce"] is True


@pytest.mark.parametrize("action", ["pageview", "videostart", "conversion", "scroll"])
def test_a_second_page_or_a_deed_is_no_bounce(action: str) -> None:
    """A scroll is a custom event."""
    assert session_of({}, {"action": action})["is_bounce"] is False


def test_posts_are_distinct_and_at_most_1000() -> None:
    """An empty canonical URL gives way to url_clean; a page with neither is no post."""
    same = {"metadata_canonical_url": "", "url_clean": "u"}
    assert session_of(same, {"metadata_canonical_url": "u"}, {"url_clean": None})["posts"] == 1
    assert session_of(*({"url_clean": f"u{page}"} for page in range(1001)))["posts"] == 1000
