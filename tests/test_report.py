"""The figures of a report are what the lines say, by hand or in plain Python; and the command writes them."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from handmade_day import SITE, ZONE, url, write_bucket
from oracle import NOBODY, Ledger, read_lines, sessions, unique_events
from oracle_tables import tables

from parsely_spark import session
from parsely_spark.cli import main
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.progress import Progress
from parsely_spark.report.gather import gather
from parsely_spark.report.page import page
from parsely_spark.report.period import Asked
from parsely_spark.reporting import ReportingSettings
from parsely_spark.tables.catalog import Lake
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from parsely_spark.report.figures import Figures, Item

QUIET = Progress(is_terminal=False)
NOW = datetime(2026, 1, 17, 12, tzinfo=UTC)
BOTS = resources.files("parsely_spark").joinpath("data/bots.txt")
EPOCH_DAY = date(1970, 1, 1)
HAND, ODD = "hand.example", "odd.example"
# Of a site of their own: late, early, with a wrong clock, with a field that nobody knows, no event at all.
SERVER_MS = 1_768_392_000_000  # 2026-01-14 12:00 UTC
ODD_EVENTS: list[dict[str, Any]] = [
    {"ts_action": "2026-01-14 12:00:00"},
    {"ts_action": "2026-01-14 11:59:55"},
    {"ts_action": "2026-01-14 11:30:00"},
    {"ts_action": "2026-01-13 18:00:00", "new_field": 1, "new": {"er": 2}},
    {"ts_action": "2026-01-12 12:00:00", "new_field": "x"},
    {"ts_action": "2026-01-14 12:30:00"},
    {"ts_action": "2026-01-01 12:00:00"},  # not believed
    {"timestamp_info_pixel_ms": SERVER_MS - 7_200_000, "visitor_site_id": "OPTOUT"},
    {
        "timestamp_info_pixel_ms": SERVER_MS + 120_000,
        "visitor_site_id": "v",
        "session_id": 1,
        "session_timestamp": 5,
    },  # fmt: skip,
]
REJECTED = (b"not json", b"{}", b'{"apikey": "odd.example"}', b"<script>alert(1)</script>")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The day that was worked out by hand, a made-up day, and odd lines."""
    folder = tmp_path_factory.mktemp("report")
    generate(str(folder), events=2500, hours=30, seed=4)
    by_hand = tmp_path_factory.mktemp("by_hand")
    write_bucket(by_hand)
    of_site, renamed = (
        f'"apikey": "{name}"'.encode() for name in (SITE, HAND)
    )  # the made-up sites have that name, too
    for file in by_hand.rglob("*.gz"):
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()).replace(of_site, renamed)))
    shutil.copytree(by_hand, folder, dirs_exist_ok=True)
    odd = [
        {"apikey": ODD, "event_id": f"o{number}", "action": "pageview", "timestamp_info_nginx_ms": SERVER_MS, **fields}
        for number, fields in enumerate(ODD_EVENTS)
    ]
    lines = [*(json.dumps(event).encode() for event in odd), *REJECTED, b" "]
    (folder / "events/2026/01/14/12/odd.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    return folder


@pytest.fixture(scope="module")
def lake(spark: SparkSession, bucket: Path) -> Lake:
    """Its lake."""
    lake = Lake(spark, f"file:{bucket}/lake")
    run_batch(lake, [f"file:{bucket}"], QUIET)
    return lake


def asked(*, timezone: str = ZONE, since: date | None = None, until: date | None = None, sites: tuple[str, ...] = ()):
    """What a report is about."""
    return Asked(reporting=ReportingSettings(timezone=timezone), since=since, until=until, sites=sites, now=NOW)


@pytest.fixture(scope="module")
def by_hand(lake: Lake) -> Figures:
    """Of 14 January in New York, of the site whose numbers are known."""
    return gather(lake, asked(since=date(2026, 1, 14), until=date(2026, 1, 15), sites=(HAND,)), QUIET)


@pytest.fixture(scope="module")
def whole(lake: Lake) -> Figures:
    """Of all sites, in a zone whose hours begin at half past; from the 12th to the newest event."""
    return gather(lake, asked(timezone="Asia/Kolkata", since=date(2026, 1, 12)), QUIET)


@pytest.fixture(scope="module")
def oracle(bucket: Path) -> Ledger:
    """What plain Python makes of the lines."""
    return unique_events(read_lines(bucket / "events"), datetime.now(UTC))


def is_bot(user_agent: str | None, browser: str | None) -> bool:
    """By the words of the list, which is data."""
    words = [line for line in BOTS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    told = " ".join(text for text in (browser, user_agent) if text).lower().replace("cubot", "")
    return any(word in told for word in words)


def local_hour(at: datetime, zone: str = "Asia/Kolkata") -> int:
    """Hours since the epoch, by the clock of a zone."""
    there = at.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    return int(there.timestamp() // 3600)


def in_whole(at: datetime) -> bool:
    """Whether an instant is in the period of `whole`."""
    return at.astimezone(ZoneInfo("Asia/Kolkata")).date() >= date(2026, 1, 12)


def counted(items: list[Item], *names: str) -> dict[str | None, tuple[float, ...]]:
    """Items by name, with some of their counts."""
    return {item.name: tuple(item.counts.get(name, 0) for name in names) for item in items}


# --- a day that was worked out by hand ----------------------------------------------------------------------------


def test_the_numbers_of_a_day_are_those_that_were_worked_out_by_hand(by_hand: Figures) -> None:
    """Bots are left out; nobody is no visitor; a session is of the day on which it began."""
    (site,) = by_hand.sites
    totals = site.totals | by_hand.all_sites.totals
    assert totals == site.totals
    assert [totals[f"audience {name}"] for name in ("pageviews", "visitors", "engaged_s")] == [12, 7, 209]
    assert totals["session sessions"] == 9
    assert [site.total(name) for name in ("bots", "nobody", "conversion", "custom")] == [1, 3, 4, 2]
    assert by_hand.period.hours == tuple(range(24 * 20467, 24 * 20468))


def test_posts_authors_sections_tags_and_campaigns_of_a_day(by_hand: Figures) -> None:
    """A tab that was resumed counts for its post, and an old URL for the post that took its place."""
    (site,) = by_hand.sites
    numbers = ("pageviews", "engaged_s", "visitors")
    posts = counted(site.by["posts"], *numbers, "deep")
    assert posts[url("a")] == (5, 125, 5, 1)
    assert posts[url("b")][:3] == (5, 79, 4)
    assert [(item.name, item.title) for item in site.by["new_posts"]] == [(url("a"), "A")]
    assert counted(site.by["authors"], *numbers) == {"Ada": (10, 204, 7), "Ben": (5, 79, 4)}
    assert counted(site.by["tags"], *numbers) == {"ice": (10, 204, 7), "snow": (5, 125, 5)}
    assert counted(site.by["sections"], *numbers) == {"News": (5, 125, 5), "Sport": (5, 79, 4)}
    assert counted(site.by["campaigns"], "sessions", "bounces", "engaged_s") == {"mail · email · january": (2, 2, 52)}


def test_the_first_hours_of_a_post_count_from_its_publication(by_hand: Figures) -> None:
    (site,) = by_hand.sites
    (hours,) = [item.counts for item in site.by["first_hours"] if item.name == url("a")]
    assert {hour: count for hour, count in hours.items() if count} == dict.fromkeys(("0", "1", "2", "3", "5", "11"), 1)


def test_visitors_conversions_and_videos_of_a_day(by_hand: Figures) -> None:
    """Attribution gives each of the four conversions away once in each model, but for last post."""
    (site,) = by_hand.sites
    assert counted(site.by["visitor_type"], "visitors") == {"new": (4,), "returning": (3,), "gone": (1,)}
    assert counted(site.by["conversions"], "conversions") == {
        "newsletter_signup · footer": (1,),
        "subscription · premium": (1,),
        "purchase": (1,),
        "lead_capture": (1,),
    }
    for model in ("first_touch", "last_touch", "linear"):
        assert sum(item.counts[model] for item in site.by["credit_source"]) == pytest.approx(4)
    assert counted(site.by["videos"], "videostarts", "watched_s") == {url("film"): (1, 75), url("clip"): (0, 20)}


def test_engagement_without_a_pageview_is_told(by_hand: Figures) -> None:
    """Of a tab that was resumed in a later session, and of one whose pageview never came."""
    (site,) = by_hand.sites
    assert counted(site.by["view_kind"], "views", "engaged_s")["views continued"] == (2, 19)


# --- lines that are odd ---------------------------------------------------------------------------------------------


def test_late_events_wrong_clocks_and_unknown_fields_are_counted(whole: Figures) -> None:
    site = next(site for site in whole.sites if site.apikey == ODD)
    late = {name.removeprefix("lateness "): n for name, n in site.totals.items() if name.startswith("lateness ") and n}
    assert late == {"ahead": 1, "1 s": 4, "10 s": 1, "1 h": 1, "24 h": 1, "later": 1}
    clocks = {name.removeprefix("clock "): n for name, n in site.totals.items() if name.startswith("clock ") and n}
    assert clocks == {"behind 1 h": 1, "ahead 1 min": 1}
    assert [site.total(name) for name in ("client_time_refused", "session_time_refused", "rescued")] == [1, 1, 2]
    assert counted(site.by["rescued"], "events") == {"new_field": (2,), "new": (1,)}


def test_rejected_lines_are_shown_by_reason_with_an_example(whole: Figures) -> None:
    assert {one.reason: one.lines for one in whole.lake.rejected} == {"not_an_object": 2, "no_apikey": 1, "no_time": 1}
    examples = {one.reason: one.example for one in whole.lake.rejected}
    assert (examples["no_apikey"], examples["no_time"]) == ("{}", '{"apikey": "odd.example"}')
    assert "<script>" not in page(whole)


# --- a made-up day, beside plain Python -------------------------------------------------------------------------------


def test_every_line_is_in_the_account_of_the_run(whole: Figures, oracle: Ledger) -> None:
    (run,) = whole.lake.runs
    expected = {name: getattr(oracle, name) for name in ("lines", "inserted", "duplicate", "rejected", "blank")}
    assert {name: run.counts[name] for name in expected} == expected
    assert expected["duplicate"] > 1
    assert run.missing == 0
    assert (run.unknown_fields, whole.lake.account["lines"]) == (("new", "new_field"), oracle.lines)


def test_events_of_each_site_and_hour_are_those_of_the_lines(whole: Figures, oracle: Ledger) -> None:
    """By the clock of the reporting time zone, whose hours begin at half past those of UTC."""
    expected = Counter(
        (event["apikey"], local_hour(event["event_at"]))
        for event in oracle.events.values()
        if in_whole(event["event_at"])
    )
    found = {
        (site.apikey, hour): counts["events"]
        for site in whole.sites
        for hour, counts in site.hours.items()
        if counts.get("events")
    }
    assert found == expected
    assert sum(counts.get("events", 0) for counts in whole.all_sites.hours.values()) == expected.total()


def test_pageviews_visitors_and_sessions_by_hour_and_day_are_those_of_the_lines(whole: Figures, oracle: Ledger) -> None:
    events = list(oracle.events.values())
    views = [row for row in tables(events, is_bot)["pageviews"] if not row["is_bot"] and in_whole(row["viewed_at"])]
    by_hour: dict[Any, Counter[str]] = defaultdict(Counter)
    visitors: dict[Any, set[str]] = defaultdict(set)
    for row in views:
        by_hour[row["apikey"], local_hour(row["viewed_at"])].update(
            pageviews=row["pageviews"], engaged_s=row["engaged_s"]
        )
        if row["session_key"] is not None:
            visitors[row["apikey"], local_hour(row["viewed_at"]) // 24].add(row["visitor_site_id"])
    for row in sessions(events, is_bot).values():
        if not row["is_bot"] and in_whole(row["started_at"]):
            by_hour[row["apikey"], local_hour(row["started_at"])].update(sessions=1)
    for name in ("pageviews", "engaged_s", "sessions"):
        found = {
            (site.apikey, hour): counts[name]
            for site in whole.sites
            for hour, counts in site.hours.items()
            if counts.get(name)
        }
        assert found == {key: counts[name] for key, counts in by_hour.items() if counts[name]}
    found_visitors = {
        (site.apikey, day): counts["visitors"]
        for site in whole.sites
        for day, counts in site.days.items()
        if counts.get("visitors")
    }
    assert found_visitors == {key: len(some) for key, some in visitors.items()}


def test_sources_devices_and_countries_are_those_of_the_sessions(whole: Figures, oracle: Ledger) -> None:
    """Of all sites together, too, although each site has but its own."""
    rows = [
        row
        for row in sessions(oracle.events.values(), is_bot).values()
        if not row["is_bot"] and in_whole(row["started_at"])
    ]
    for name in ("referrer_category", "device_type", "country"):
        for site in (*whole.sites, whole.all_sites):
            expected = Counter(row[name] for row in rows if site.apikey in (None, row["apikey"]))
            assert {item.name: item.counts["sessions"] for item in site.by.get(name, [])} == expected
    assert sum(item.counts["sessions"] for item in whole.all_sites.by["length"]) == len(rows)


def test_the_sums_of_all_tables_agree_and_nobody_is_the_rest_of_sessions(whole: Figures, oracle: Ledger) -> None:
    events = list(oracle.events.values())
    views = [event for event in events if event.get("action") == "pageview"]
    of_nobody = [event for event in views if event.get("visitor_site_id") in NOBODY]
    sums = {balance.table: balance for balance in whole.lake.balances if balance.measure == "pageviews"}
    assert {name: (of.stored, of.rest, of.is_right) for name, of in sums.items()} == {
        "sessions": (len(views) - len(of_nobody), len(of_nobody), True),
        "pageviews": (len(views), 0, True),
        "visitor_days": (len(views) - len(of_nobody), len(of_nobody), True),
        "post_hours": (len(views), 0, True),
    }
    assert all(balance.is_right for balance in whole.lake.balances)


# --- what is there and what is not ------------------------------------------------------------------------------------


def test_a_lake_that_lacks_tables_has_a_report_that_says_so(spark: SparkSession, bucket: Path, tmp_path: Path) -> None:
    lake = Lake(spark, f"file:{tmp_path}/lake")
    shutil.copytree(bucket / "events/2026/01/14/10", tmp_path / "bucket/events/2026/01/14/10")
    run_batch(lake, [f"file:{tmp_path}/bucket"], QUIET, Limits(tables=("conversions",)))
    found = gather(lake, asked(), QUIET)
    assert "conversions" not in found.missing
    assert {"sessions", "pageviews", "posts"} <= found.missing
    html = page(found)
    assert "This lake has no table pageviews; `parsely-spark batch` without --tables makes all of them." in html
    assert "This lake has no tables pageviews and posts;" in html


def test_a_report_without_dates_is_about_the_weeks_before_the_newest_event(lake: Lake) -> None:
    period = gather(lake, asked(sites=(HAND,)), QUIET).period
    assert (period.since, period.until) == (date(2025, 12, 20), date(2026, 1, 17))
    assert (period.days[0], period.days[-1]) == ((period.since - EPOCH_DAY).days, (period.until - EPOCH_DAY).days - 1)


def test_what_cannot_be_reported_is_one_sentence(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(
        LakeError, match=r"the site 'gone\.example' has no events from 2026-01-14 .*; those that have are "
    ):
        gather(lake, asked(since=date(2026, 1, 14), sites=("gone.example",)), QUIET)
    with pytest.raises(SettingsError, match=r"from=2027-01-01 is not before until=2026-01-17"):
        gather(lake, asked(since=date(2027, 1, 1)), QUIET)
    with pytest.raises(LakeError, match=r"it has no table events"):
        gather(Lake(lake.spark, f"file:{tmp_path}/none"), asked(), QUIET)


def test_the_command_writes_one_file_and_tells_what_is_in_it(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "get_session", lambda *_: lake.spark)
    monkeypatch.chdir(tmp_path)
    words = [
        "--lake",
        lake.place,
        "--apikey",
        HAND,
        "--from",
        "2026-01-14",
        "--until",
        "2026-01-15",
        "--timezone",
        ZONE,
    ]
    assert main(["report", *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (file,) = tmp_path.iterdir()
    assert file.name == "parsely-report.html"
    assert (told["path"], told["size_bytes"], told["sites"]) == (str(file), file.stat().st_size, [HAND])
    assert (told["pageviews"], told["sessions"], told["unexplained_lines"], told["unequal_sums"]) == (12, 9, 0, 0)
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
