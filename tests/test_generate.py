"""Claims about the generated bucket: the same for the same seed, true to the contract, full of oddities."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.testing.generate import DEFAULT_START, Generated, generate

EVENTS, HOURS = 20_000, 24
ZERO_ID = "00000000-0000-0000-0000-000000000000"
NOBODY = (None, "OPTOUT", ZERO_ID)
STANDARD = {"pageview", "heartbeat", "videostart", "vheartbeat", "conversion"}

Event = dict[str, Any]


@dataclass(frozen=True)
class Bucket:
    """A generated bucket and what is in it."""

    folder: Path
    made: Generated
    lines: dict[Path, list[bytes]]
    events: list[Event]  # distinct


def read_lines(folder: Path) -> dict[Path, list[bytes]]:
    """Read each file below *folder*, in order of path."""
    files = sorted((folder / "events").rglob("*.gz"))
    return {file: gzip.decompress(file.read_bytes()).split(b"\n")[:-1] for file in files}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """Twenty thousand events over a day, read back."""
    folder = tmp_path_factory.mktemp("bucket")
    made = generate(folder, events=EVENTS, hours=HOURS, seed=11)
    lines = read_lines(folder)
    distinct = {line for content in lines.values() for line in content}
    events = [json.loads(line) for line in sorted(distinct)]
    return Bucket(folder, made, lines, events)


def hour_of(file: Path) -> datetime:
    """Read the hour of a file from its folders."""
    return datetime.strptime("/".join(file.parts[-5:-1]), "%Y/%m/%d/%H").replace(tzinfo=UTC)


def received_at(event: Event) -> datetime:
    """Give the server time of an event."""
    return datetime.fromtimestamp(event["timestamp_info_nginx_ms"] / 1000, tz=UTC)


def sessions(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Group the events of trackers that name a session and a visitor."""
    found: defaultdict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for event in events:
        if event["session"] and event["visitor_site_id"] not in NOBODY:
            key = ("apikey", "visitor_site_id", "session_id", "session_timestamp")
            found[tuple(event[name] for name in key)].append(event)
    return iter(found.values())


def is_off_by_days(event: Event) -> bool:
    """Tell whether the clock of the client is days away from that of the server."""
    ahead_ms: int = event["timestamp_info_pixel_ms"] - event["timestamp_info_nginx_ms"]
    return abs(ahead_ms) > 86_400_000


def test_the_same_arguments_give_the_same_bytes_on_any_number_of_processes(tmp_path: Path) -> None:
    """Two groups of events, written by this process, and by two that a program with threads starts.

    That program has no ``__main__`` guard either, like a notebook: it must neither hang nor run twice.
    """
    program = tmp_path / "program.py"
    program.write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "from parsely_spark.testing.generate import generate\n"
        f"generate({str(tmp_path / 'two')!r}, events=25_001, hours=5, seed=3, workers=2, on_progress=print)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True)
    assert (sorted(ran.stdout.split()), ran.stderr) == (["12500", "12501"], "")

    progress: list[int] = []
    generate(tmp_path / "one", events=25_001, hours=5, seed=3, workers=1, on_progress=progress.append)
    assert progress == [12_500, 12_501]

    one, two = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.gz")}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert len(one) == 2 * 2 * 5  # groups, late or not, hours


def test_files_are_gzip_without_a_time_or_a_name(bucket: Bucket) -> None:
    """Either would make equal contents differ."""
    for file in bucket.lines:
        magic, flags, modified = (file.read_bytes()[part] for part in (slice(0, 3), 3, slice(4, 8)))
        assert (magic, flags, modified) == (b"\x1f\x8b\x08", 0, b"\0\0\0\0"), file


def test_the_number_of_distinct_events_is_the_one_asked_for(bucket: Bucket) -> None:
    """As said in the result, as read back, and as distinct ids."""
    assert bucket.made.events == len(bucket.events) == EVENTS
    assert len({event["event_id"] for event in bucket.events}) == EVENTS


@pytest.mark.parametrize(("events", "hours"), [(1, 1), (7, 1), (500, 1), (501, 30), (3000, 2)])
def test_the_number_of_events_is_exact_at_any_size(tmp_path: Path, events: int, hours: int) -> None:
    """Also where the last visitor has to be cut short and the range is hardly longer than a session."""
    made = generate(tmp_path, events=events, hours=hours, seed=5)
    lines = [line for content in read_lines(tmp_path).values() for line in content]
    assert (made.events, len(set(lines)), made.lines) == (events, events, len(lines))


def test_the_result_counts_what_is_on_disk(bucket: Bucket) -> None:
    """Files, lines, and bytes before and after compression."""
    made = bucket.made
    assert made.files == len(bucket.lines)
    assert made.lines == sum(map(len, bucket.lines.values()))
    assert made.bytes_gz == sum(file.stat().st_size for file in bucket.lines)
    assert made.bytes_json == sum(len(line) + 1 for content in bucket.lines.values() for line in content)
    assert made.seconds > 0


def test_events_have_the_size_of_real_ones(bucket: Bucket) -> None:
    """About 3 to 4 KB of JSON, a tenth of that compressed."""
    assert 3000 < bucket.made.bytes_json / bucket.made.lines < 4200
    assert 150 < bucket.made.bytes_gz / bucket.made.lines < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"events": 0}, "events=0 is less than 1. Ask for at least events=1."),
        ({"hours": 0}, "hours=0 is less than 1. Ask for at least hours=1."),
        ({"workers": 0}, "workers=0 is less than 1. Ask for at least workers=1."),
        (
            {"start": datetime(2026, 1, 14, 12)},
            "start=2026-01-14T12:00:00 is not a whole hour with a time zone.",
        ),
        ({"start": DEFAULT_START + timedelta(minutes=5)}, "Write it like 2026-01-14T12:00:00+00:00."),
    ],
)
def test_an_argument_out_of_range_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """With what was found, what was wanted and the way out; nothing is written."""
    with pytest.raises(ValueError, match=r".") as refusal:
        generate(tmp_path, **({"events": 10, "hours": 1, "seed": 1} | arguments))
    assert message in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_events_in_it_is_refused(tmp_path: Path) -> None:
    """Two buckets in one folder would be neither; an empty folder is fine."""
    (tmp_path / "events").mkdir()
    generate(tmp_path, events=10, hours=1, seed=1)
    with pytest.raises(ValueError, match=r"events is not empty.*Delete it, or choose another output folder\."):
        generate(tmp_path, events=10, hours=1, seed=1)


def test_a_process_that_fails_is_reported_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that fails must not look like an empty result."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no space left >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(RuntimeError, match=r"with code 3: the output is incomplete.*said: no space left"):
        generate(tmp_path, events=25_001, hours=1, seed=1, workers=2)


def type_of(value: object) -> str:
    """Name the JSON type of *value* in the words of the contract."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "long"
        case float():
            return "double"
        case str():
            return "string"
        case list():
            assert all(isinstance(element, str) for element in value)
            return "array<string>"
    return "json" if isinstance(value, dict) else "null"


def test_each_event_has_exactly_the_fields_of_the_contract_with_their_types(bucket: Bucket) -> None:
    """All 122 keys, always; a value is null or of its type."""
    names = {field.name for field in EVENT_FIELDS}
    assert len(names) == 122
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for event in bucket.events:
        assert event.keys() == names
        for name, value in event.items():
            seen[name].add(type_of(value))
    for field in EVENT_FIELDS:
        # A double that is whole may be written as an integer.
        allowed = {field.type, "null"} | ({"long"} if field.type == "double" else set())
        assert seen[field.name] <= allowed, field.name


def test_no_event_repeats_a_key(bucket: Bucket) -> None:
    """Lines are joined from fragments, so a key could slip in twice."""

    def check(pairs: list[tuple[str, Any]]) -> Event:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    for line in next(iter(bucket.lines.values())):
        json.loads(line, object_pairs_hook=check)


def test_fields_behind_a_closed_gate_are_null(bucket: Bucket) -> None:
    """A gate is a flag that is false or a query that is empty."""
    gates = [(field.name, field.gate) for field in EVENT_FIELDS if field.gate]
    gates += [("ts_session_current", "session"), ("ts_session_last", "session")]
    closed: Counter[str] = Counter()
    for event in bucket.events:
        for name, gate in gates:
            if not event[gate]:
                closed[gate] += 1
                assert event[name] is None, (name, gate)
    assert set(closed) == {"display", "metadata", "session", "visitor", "url_query", "surl_query"}


def test_fields_behind_an_open_gate_are_filled(bucket: Bucket) -> None:
    """At least the one that gives the group its sense."""
    for event in bucket.events:
        for gate, name in {
            "session": "session_timestamp",
            "metadata": "metadata_canonical_url",
            "visitor": "visitor_site_id",
            "display": "display_total_width",
            "timestamp_info": "timestamp_info_nginx_ms",
        }.items():
            assert (event[name] is not None) == event[gate], name


def test_times_have_the_forms_of_real_ones(bucket: Bucket) -> None:
    """Whole server seconds, of which ts_action is the text, and texts of the session's clock."""
    start, end = DEFAULT_START, DEFAULT_START + timedelta(hours=HOURS)
    form = "%Y-%m-%d %H:%M:%S"
    lies = 0
    for event in bucket.events:
        assert event["timestamp_info_nginx_ms"] % 1000 == 0
        assert start <= received_at(event) < end
        lies += event["ts_action"] != received_at(event).strftime(form)
        if event["session"]:
            began = datetime.fromtimestamp(event["session_timestamp"] // 1000, tz=UTC)
            assert event["ts_session_current"] == began.strftime(form)
    assert 1 <= lies <= 10


def test_ids_have_the_forms_of_real_ones(bucket: Bucket) -> None:
    """Event ids are 0x and 32 hex digits; page ids are digits from browsers, UUIDs from Android."""
    for event in bucket.events:
        assert len(event["event_id"]) == 34
        assert int(event["event_id"], 16) >= 0
        if event["pageview_id"] is not None:
            is_browser = event["session"]
            assert event["pageview_id"].isdigit() if is_browser else len(event["pageview_id"]) == 36


def test_on_time_events_lie_in_the_folder_of_their_hour_sorted_by_server_time(bucket: Bucket) -> None:
    """There is one folder for each hour, and no more."""
    for file, content in bucket.lines.items():
        times = [received_at(json.loads(line)) for line in content]
        assert times == sorted(times)
        assert str(int(times[0].timestamp() * 1000)) in file.name
        if not file.name.startswith("late-"):
            assert {time.replace(minute=0, second=0) for time in times} == {hour_of(file)}
    hours = {hour_of(file) for file in bucket.lines}
    assert hours == {DEFAULT_START + timedelta(hours=hour) for hour in range(HOURS)}


def test_one_event_in_a_hundred_arrives_hours_late(bucket: Bucket) -> None:
    """In a late- file of a later hour, up to six hours after, never after the last hour."""
    on_time = {line for file, content in bucket.lines.items() if "late-" not in file.name for line in content}
    delays = [
        hour_of(file) - received_at(json.loads(line)).replace(minute=0, second=0)
        for file, content in bucket.lines.items()
        for line in content
        if line not in on_time
    ]
    assert len(delays) == round(0.01 * EVENTS)
    assert timedelta(hours=1) <= min(delays) <= max(delays) <= timedelta(hours=6)


def test_events_are_repeated_inside_their_file_and_in_other_files(bucket: Bucket) -> None:
    """About 0.7 % each; the fixture tells events apart by their bytes, so the copies are byte-equal."""
    inside = sum(len(content) - len(set(content)) for content in bucket.lines.values())
    files_of = Counter(line for content in bucket.lines.values() for line in set(content))
    across = sum(count - 1 for count in files_of.values())
    assert inside == across == round(0.007 * EVENTS)
    copies = Counter(json.loads(line)["event_id"] for line in files_of)
    assert set(copies.values()) == {1}


def test_repeats_come_in_the_same_or_a_later_hour(bucket: Bucket) -> None:
    """A copy never overtakes the first delivery."""
    hours: defaultdict[bytes, list[datetime]] = defaultdict(list)
    for file, content in bucket.lines.items():
        for line in content:
            hours[line].append(hour_of(file))
    gaps = {max(found) - min(found) for found in hours.values() if len(found) > 1}
    assert timedelta(0) in gaps
    assert max(gaps) > timedelta(0)


def test_sessions_cross_hours_and_midnight(bucket: Bucket) -> None:
    """The default range has one midnight in it."""
    crossings: Counter[str] = Counter()
    for events in sessions(bucket.events):
        times = [received_at(event) for event in events]
        crossings["hour"] += min(times).replace(minute=0, second=0) < max(times).replace(minute=0, second=0)
        crossings["midnight"] += min(times).date() < max(times).date()
    assert crossings["hour"] >= 20
    assert crossings["midnight"] >= 3


def test_sessions_keep_their_referrer_and_first_url(bucket: Bucket) -> None:
    """What is fixed for a session is the same in all its events, and is that of its first pageview."""
    fixed = [field.name for field in EVENT_FIELDS if field.name.startswith(("session_", "sref_", "surl_"))]
    checked = 0
    for events in sessions(bucket.events):
        assert len({json.dumps([event[name] for name in fixed]) for event in events}) == 1
        opening = [event for event in events if event["url"] == event["session_initial_url"]]
        checked += bool(opening)
    assert checked > 1000


def test_session_numbers_count_up_from_the_session_before(bucket: Bucket) -> None:
    """A visitor's first session has no session before; the next one names the start of the first."""
    starts: defaultdict[tuple[str, str], dict[int, tuple[int, int]]] = defaultdict(dict)
    for event, *_ in sessions(bucket.events):
        visitor = (event["apikey"], event["visitor_site_id"])
        started = (event["session_timestamp"], event["session_last_session_timestamp"])
        starts[visitor][event["session_id"]] = started
    several = 0
    for numbered in starts.values():
        for number, (_, previous) in numbered.items():
            assert (number == 1) == (previous == 0)
            if number - 1 in numbered:
                assert numbered[number - 1][0] == previous
                several += 1
    assert several > 100


def test_heartbeats_follow_their_pageview_and_carry_seconds(bucket: Bucket) -> None:
    """1 to 3600 on the web, also 0 from iOS; nothing else carries engaged seconds."""
    viewed = {
        (event["visitor_site_id"], event["pageview_id"]): event["timestamp_info_nginx_ms"]
        for event in bucket.events
        if event["action"] == "pageview"
    }
    followed = early = 0
    for event in bucket.events:
        engaged = event["engaged_time_inc"]
        assert (engaged is not None) == (event["action"] in ("heartbeat", "vheartbeat"))
        if event["action"] == "heartbeat" and event["pageview_id"]:
            assert 1 <= engaged <= 3600
            seen = viewed.get((event["visitor_site_id"], event["pageview_id"]))
            followed += seen is not None
            early += seen is not None and event["timestamp_info_nginx_ms"] < seen
    assert followed > 5000
    assert early < 0.01 * followed  # slow connections let a few overtake


def test_most_heartbeat_gaps_of_a_long_read_grow(bucket: Bucket) -> None:
    """The tracker waits longer the longer a page is open."""
    beats: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for event in bucket.events:
        if event["action"] == "heartbeat" and event["pageview_id"] and event["session"]:
            beats[event["visitor_site_id"], event["pageview_id"]].append(event["timestamp_info_nginx_ms"])
    long_reads = [sorted(times) for times in beats.values() if len(times) >= 8]
    growing = sum(times[-2] - times[-3] > times[1] - times[0] for times in long_reads)
    assert len(long_reads) >= 10
    assert growing > len(long_reads) / 2


def test_video_events_name_the_video_and_the_host_page(bucket: Bucket) -> None:
    """The canonical URL is that of the video, the URL that of the page it plays on."""
    started = {event["videostart_id"] for event in bucket.events if event["action"] == "videostart"}
    watched = [event for event in bucket.events if event["action"] == "vheartbeat" and event["session"]]
    for event in watched:
        assert event["metadata_page_type"] == "video"
        assert event["metadata_canonical_url"] not in event["url"]
    assert sum(event["videostart_id"] in started for event in watched if event["videostart_id"]) > 50


def test_android_sends_durations_in_seconds_and_the_web_in_milliseconds(bucket: Bucket) -> None:
    """A generated video lasts from 35 to 1500 seconds."""
    durations = [(event["session"], event["metadata_duration"]) for event in bucket.events]
    seconds = [duration for session, duration in durations if duration and not session]
    milliseconds = [duration for session, duration in durations if duration and session]
    assert 0 < max(seconds) <= 1500
    assert min(milliseconds) >= 35_000


def test_opted_out_visitors_start_a_first_session_on_each_load(bucket: Bucket) -> None:
    """Their state is lost: session 1, a new start, no session before."""
    opted_out = [event for event in bucket.events if event["visitor_site_id"] == "OPTOUT"]
    assert {(event["session_id"], event["session_last_session_timestamp"]) for event in opted_out} == {(1, 0)}
    views = [event for event in opted_out if event["action"] == "pageview"]
    assert len({event["session_timestamp"] for event in views}) == len(views) > 10


def test_bots_open_many_pages_and_engage_with_none(bucket: Bucket) -> None:
    """Some say so in ua_browser, some only in the user agent."""
    bots = [event for event in bucket.events if "bot" in event["user_agent"]]
    assert {event["action"] for event in bots} == {"pageview"}
    assert max(Counter(event["visitor_site_id"] for event in bots).values()) >= 40


KINDS: dict[str, Callable[[Event], bool]] = {
    "website": lambda e: e["channel"] == "website",
    "AMP": lambda e: e["channel"] == "amp" and e["flags_is_amp"],
    "Apple News": lambda e: e["channel"] == "apln-rta" and bool(e["extra_data"]["apln"]["sections"]),
    "Android": lambda e: e["user_agent"].startswith("Dalvik") and not e["session"] and not e["display"],
    "Android heartbeat": lambda e: not e["session"] and e["action"] == "heartbeat" and not e["metadata"],
    "Android video": lambda e: not e["session"] and len(e["videostart_id"] or "") == 36,
    "iOS pageview": lambda e: e["session"] and e["action"] == "pageview" and e["pageview_id"] is None,
    "iOS video": lambda e: e["session"] and e["action"] == "videostart" and e["videostart_id"] is None,
    "zero seconds": lambda e: e["engaged_time_inc"] == 0,
    "batch": lambda e: (e["timestamp_info_override_ms"] or 10**15) < e["timestamp_info_nginx_ms"],
    "opted out": lambda e: e["visitor_site_id"] == "OPTOUT",
    "zero advertising id": lambda e: e["visitor_site_id"] == ZERO_ID,
    "no visitor": lambda e: not e["visitor"],
    "Googlebot": lambda e: e["ua_browser"] == "Googlebot",
    "skewed clock": is_off_by_days,
    "skewed session": lambda e: e["session"]
    and abs(e["session_timestamp"] - e["timestamp_info_nginx_ms"]) > 86_400_000,
    "lying ts_action": lambda e: not e["ts_action"].startswith("2026"),
    "heartbeat with metadata": lambda e: e["action"] == "heartbeat" and e["metadata"],
    "web heartbeat without metadata": lambda e: e["action"] == "heartbeat"
    and e["display"]
    and not e["metadata"],
    "pageview without metadata": lambda e: e["action"] == "pageview" and not e["metadata"],
    "conversion": lambda e: e["action"] == "conversion" and "_conversion_label" in e["extra_data"],
    "custom event": lambda e: e["action"] not in STANDARD,
    "nested extra data": lambda e: any(isinstance(v, dict) for v in (e["extra_data"] or {}).values()),
    "array in extra data": lambda e: any(isinstance(v, list) for v in (e["extra_data"] or {}).values()),
    "unicode extra data": lambda e: not json.dumps(e["extra_data"], ensure_ascii=False).isascii(),
    "campaign": lambda e: e["utm_campaign"] is not None and e["campaign_id"] == e["utm_campaign"],
    "campaign of another tagging": lambda e: e["utm_campaign"] is None and e["campaign_id"] is not None,
    "campaign of the session": lambda e: e["surl_utm_campaign"] is not None and e["utm_campaign"] is None,
    "index page": lambda e: e["metadata_page_type"] == "index",
    "unicode title": lambda e: not (e["metadata_title"] or "").isascii(),
    "unicode url": lambda e: not e["url"].isascii(),
    "url with a fragment": lambda e: e["url_fragment"] != "",
    "no authors": lambda e: e["metadata_authors"] == [],
    "published meanwhile": lambda e: (e["metadata_pub_date_tmsp"] or 0) > DEFAULT_START.timestamp() * 1000,
    "edited": lambda e: (e["metadata_title"] or "").startswith("UPDATE: "),
    "hashed ip": lambda e: e["visitor"] and len(e["visitor_ip"]) == 40,
    "unknown place": lambda e: e["ip_country"] is None,
}  # fmt: skip
REFERRERS = ("internal", "direct", "social", "search", "other", "ai")


@pytest.mark.parametrize("kind", KINDS)
def test_a_day_holds_every_kind_of_event(bucket: Bucket, kind: str) -> None:
    """Whatever is rare in the field has to be met in tests."""
    assert any(map(KINDS[kind], bucket.events))


def test_a_day_holds_every_kind_of_referrer(bucket: Bucket) -> None:
    """Of the event and of the session; a search engine goes by its name."""
    assert {event["ref_category"] for event in bucket.events} == set(REFERRERS)
    assert {event["sref_category"] for event in bucket.events} == {*REFERRERS, None}
    assert {"google", "bing"} < {event["sref_domain"] for event in bucket.events}


def test_a_day_holds_four_sites_of_different_size_in_the_same_files(bucket: Bucket) -> None:
    """All on .example domains, which belong to nobody."""
    sizes = Counter(event["apikey"] for event in bucket.events)
    assert [site for site, _ in sizes.most_common()] == [
        "news.example", "sports.example", "zeitung.example", "cooking.example",
    ]  # fmt: skip
    busiest = max(bucket.lines.values(), key=len)
    assert {json.loads(line)["apikey"] for line in busiest} == set(sizes)


def test_a_day_holds_bounces_and_orphans_and_single_page_apps(bucket: Bucket) -> None:
    """Pageviews without a heartbeat, heartbeats without a pageview, loads with several pageviews."""
    views = {event["pageview_id"] for event in bucket.events if event["action"] == "pageview"}
    beats = {event["pageview_id"] for event in bucket.events if event["action"] == "heartbeat"}
    loads: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for event in bucket.events:
        if event["pageload_id"] and event["pageview_id"]:
            loads[event["visitor_site_id"], event["pageload_id"]].add(event["pageview_id"])
    assert len(views - beats) > 1000
    assert len(beats - views) > 3
    assert sum(len(pages) > 1 for pages in loads.values()) > 50


def test_a_resumed_tab_sends_heartbeats_in_a_later_session(bucket: Bucket) -> None:
    """Same pageview, next session."""
    session_of: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for event in bucket.events:
        if event["session"] and event["pageview_id"] and event["visitor_site_id"] not in NOBODY:
            session_of[event["visitor_site_id"], event["pageview_id"]].add(event["session_id"])
    assert sum(len(numbers) > 1 for numbers in session_of.values()) > 3


def test_a_visitor_sends_several_events_in_one_second(bucket: Bucket) -> None:
    """So that nothing may be ordered by the second alone."""
    seconds = Counter((event["visitor_site_id"], event["timestamp_info_nginx_ms"]) for event in bucket.events)
    assert max(seconds.values()) >= 3


def test_popularity_and_load_are_uneven(bucket: Bucket) -> None:
    """A few posts take most views, and the evening has more than the night."""
    posts = Counter(e["metadata_canonical_url"] for e in bucket.events if e["metadata_page_type"] == "post")
    assert posts.most_common(1)[0][1] > 20 * sorted(posts.values())[len(posts) // 2]
    hours = Counter(received_at(event).hour for event in bucket.events)
    assert hours[16] > 1.5 * hours[6]


def test_five_hundred_events_hold_the_odd_visitors_too(tmp_path: Path) -> None:
    """A small bucket opens with one visitor of each kind."""
    generate(tmp_path, events=500, hours=24, seed=2)
    events = [json.loads(line) for content in read_lines(tmp_path).values() for line in content]
    visitors = (
        "AMP", "Apple News", "Android", "iOS pageview", "opted out", "zero advertising id", "no visitor",
        "Googlebot", "skewed clock", "lying ts_action",
    )  # fmt: skip
    missing = [kind for kind in visitors if not any(map(KINDS[kind], events))]
    assert not missing
