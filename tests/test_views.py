"""The questions that publishers ask, of a day whose answers were worked out by hand."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from handmade_day import EVENTS, SITE, ZONE, event, url, write_bucket
from handmade_day import A as A_POST
from pyspark.sql import functions as F
from standalone_cluster import SHORT_LIFE

from parsely_spark.api import OpenLake, open_lake
from parsely_spark.cli import main
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.register import run_register
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.reporting import ReportingSettings
from parsely_spark.tables.catalog import TABLES
from parsely_spark.tables.views import VIEWS
from parsely_spark.transforms.measures import estimated

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession


QUIET = Progress(is_terminal=False)
DAY_13, DAY_14 = date(2026, 1, 13), date(2026, 1, 14)
A, B, C, FRONT, SHOP = (url(path) for path in ("a", "b", "c", "", "shop"))


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> OpenLake:
    """The lake of the day, its tables and views also by name in a catalog."""
    folder = tmp_path_factory.mktemp("day")
    write_bucket(folder / "bucket")
    opened = open_lake(str(folder / "lake"), spark=spark, timezone=ZONE, extra_data=("network:string", "count:bigint"))
    summary = run_batch(opened.lake, [f"file:{folder}/bucket"], QUIET)
    assert (summary.lines, summary.inserted, summary.duplicate) == (len(EVENTS) + 2, len(EVENTS), 1)
    run_register(opened.lake, "answers", opened.reporting, QUIET)
    return opened


ON_THE_14TH = "viewed_at >= starts_at and viewed_at < ends_at and date = date'2026-01-14' and not is_bot"
SESSIONS_OF_THE_14TH = (
    "answers.sessions s join answers.calendar c on started_at >= starts_at and started_at < ends_at "
    "where c.date = date'2026-01-14' and not is_bot"
)
ANSWERS: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "1 pageviews, visitors, engaged seconds and their average, per day and channel": (
        """select c.date, channel, sum(pageviews), count(distinct if(session_key is null, null, visitor_site_id)),
               sum(engaged_s), round(sum(engaged_s) / sum(pageviews), 2)
           from answers.pageviews v join answers.calendar c on viewed_at >= starts_at and viewed_at < ends_at
           where not is_bot and c.date between date'2026-01-13' and date'2026-01-14'
           group by all order by 1, 2""",
        [
            (DAY_13, "website", 1, 1, 41, 41.0),
            (DAY_14, "apln-rta", 1, 1, 8, 8.0),
            (DAY_14, "website", 11, 6, 201, 18.27),
        ],
    ),
    "1 pageviews per hour": (
        """select hour, sum(pageviews), hll_sketch_estimate(
               hll_union(hll_union_agg(visitors_sketch), hll_union_agg(visitors_sketch)))
           from answers.post_hours where date = date'2026-01-14' group by hour having hour in (9, 10, 11) order by 1""",
        [(9, 2, 1), (10, 3, 2), (11, 2, 0)],
    ),
    "1 sessions and engaged minutes per day": (
        """select c.date, count(*), round(sum(engaged_s) / 60, 2)
           from answers.sessions s join answers.calendar c on started_at >= starts_at and started_at < ends_at
           where not is_bot and c.date between date'2026-01-13' and date'2026-01-14' group by all order by 1""",
        [(DAY_13, 1, 0.68), (DAY_14, 9, 3.07)],
    ),
    "2 posts by pageviews, engaged time and visitors": (
        """select v.post_id, p.title, sum(pageviews), sum(engaged_s),
               count(distinct if(session_key is null, null, visitor_site_id))
           from answers.pageviews v join answers.posts p using (apikey, post_id) where not is_bot
           group by all order by 3 desc, 1""",
        [(B, "B, corrected", 8, 120, 5), (A, "A", 5, 125, 5), (FRONT, "Front page", 2, 5, 1), (C, "C", 2, 0, 2)],
    ),
    "2 the states of a post's metadata": (
        """select title, cast(first_seen_at as string), cast(last_seen_at as string) from answers.post_versions
           where post_id like '%/b' order by 2""",
        [
            ("B", "2026-01-14 04:30:00", "2026-01-14 13:00:00"),
            ("B, corrected", "2026-01-14 15:00:00", "2026-01-16 12:00:00"),
        ],
    ),
    "3 how far people read": (
        f"""select read_depth, count(*) from answers.pageviews where post_id = '{A}' and not is_bot and pageviews > 0
            group by 1 order by 1""",
        [("deep", 1), ("read", 3), ("skim", 1)],
    ),
    "3 pageviews by days since publication and length of the post": (
        """select p.post_id, p.words, floor(hours_since_publish / 24), sum(pageviews)
           from answers.pageviews v join answers.posts p using (apikey, post_id)
           where not is_bot and words is not null and pageviews > 0 group by all order by 1, 3""",
        [(A, 300, 0, 5), (B, 1200, 0, 3), (B, 1200, 1, 3), (B, 1200, 2, 1), (B, 1200, 3, 1)],
    ),
    "3 and 4 referrers of a post": (
        f"""select referrer_category, sum(pageviews) from answers.pageviews where post_id = '{B}' group by 1
            order by 1 nulls last""",
        [("direct", 1), ("internal", 1), ("search", 1), (None, 5)],
    ),
    "4 where sessions come from": (
        f"select referrer_category, count(*) from {SESSIONS_OF_THE_14TH} group by 1 order by 1 nulls last",
        [("ai", 1), ("direct", 2), ("search", 1), ("social", 1), (None, 4)],
    ),
    "4 sessions by newsletters, for money, by assistants and else": (
        """select case when utm_medium = 'email' then 'newsletter' when utm_medium in ('cpc', 'ppc', 'paid') then 'paid'
                   else referrer_category end, count(*), sum(pageviews), sum(engaged_s)
           from answers.sessions where not is_bot group by 1 order by 1 nulls last""",
        [
            ("ai", 1, 0, 7),
            ("newsletter", 2, 2, 52),
            ("paid", 1, 1, 0),
            ("search", 2, 3, 101),
            ("social", 1, 1, 16),
            (None, 6, 8, 49),
        ],
    ),
    "5 pages, duration, entry, exit and bounce": (
        """select visitor_site_id, pageviews, duration_s, entry_post_id, exit_post_id, is_bounce, events
           from answers.sessions where visitor_site_id in ('ann', 'cy', 'hal') order by 1, started_at""",
        [
            ("ann", 2, 180, A, B, False, 6),
            ("ann", 1, 300, B, B, True, 3),
            ("cy", 2, 3330, A, B, False, 6),
            ("hal", 0, 0, None, None, False, 1),
        ],
    ),
    "5 the path through a session": (
        """select row_number() over (partition by session_key order by viewed_at), v.post_id from answers.pageviews v
           where visitor_site_id = 'cy' order by 1""",
        [(1, A), (2, B)],
    ),
    "6 days on which visitors came": (
        """select visitor_site_id, count(*), sum(engaged_s), min(first_section) from answers.visitor_days
           where visitor_site_id in ('ann', 'eve', 'fay', 'hal') group by 1 order by 1""",
        [("ann", 1, 107, "News"), ("eve", 1, 51, "Sport"), ("fay", 2, 0, "News"), ("hal", 1, 7, None)],
    ),
    "7 conversions by type and label": (
        "select conversion_type, conversion_label, count(*) from answers.conversions group by all order by 1",
        [
            ("lead_capture", None, 1),
            ("newsletter_signup", "footer", 1),
            ("purchase", None, 1),
            ("subscription", "premium", 1),
        ],
    ),
    "7 which pages led to them": (
        """select conversion_type, model, post_id, round(credit, 3) from answers.conversion_attribution
           order by 1, 2, touched_at""",
        [
            ("lead_capture", "first_touch", A, 1.0),
            ("lead_capture", "last_post", A, 1.0),
            ("lead_capture", "last_touch", A, 1.0),
            ("lead_capture", "linear", A, 1.0),
            ("newsletter_signup", "first_touch", A, 1.0),
            ("newsletter_signup", "last_post", B, 1.0),
            ("newsletter_signup", "last_touch", B, 1.0),
            ("newsletter_signup", "linear", A, 0.5),
            ("newsletter_signup", "linear", B, 0.5),
            ("purchase", "first_touch", B, 1.0),
            ("purchase", "last_post", B, 1.0),
            ("purchase", "last_touch", SHOP, 1.0),
            ("purchase", "linear", B, 0.333),
            ("purchase", "linear", B, 0.333),
            ("purchase", "linear", SHOP, 0.333),
            ("subscription", "first_touch", FRONT, 1.0),
            ("subscription", "last_post", A, 1.0),
            ("subscription", "last_touch", A, 1.0),
            ("subscription", "linear", FRONT, 0.5),
            ("subscription", "linear", A, 0.5),
        ],
    ),
    "7 converting visitors of all": (
        "select count_if(conversions > 0), count(*) from answers.visitors where not is_bot",
        [(4, 9)],
    ),
    "7 conversions by channel, referrer, landing page and its section": (
        """select conversion_type, s.channel, s.referrer_category, entry_post_id, section
           from answers.conversions c join answers.sessions s using (session_key)
           left join answers.posts p on p.apikey = s.apikey and p.post_id = entry_post_id order by 1""",
        [
            ("lead_capture", "website", None, A, "News"),
            ("newsletter_signup", "website", "search", A, "News"),
            ("purchase", "website", None, B, "Sport"),
            ("subscription", "website", "social", A, "News"),
        ],
    ),
    "7 the paths to them": (
        """select conversion_type, transform(sort_array(collect_list(struct(touched_at, post_id))), t -> t.post_id)
           from answers.conversion_attribution where model = 'linear' group by 1 order by 1""",
        [
            ("lead_capture", [A]),
            ("newsletter_signup", [A, B]),
            ("purchase", [B, B, SHOP]),
            ("subscription", [FRONT, A]),
        ],
    ),
    "7 lift: who signed up for the newsletter and who did not": (
        """select signed_up, count(*), sum(sessions), sum(pageviews), sum(pageviews) / count(*)
           from answers.visitors left join (
               select distinct apikey, visitor_site_id, true as signed_up
               from answers.conversions where conversion_type = 'newsletter_signup'
           ) using (apikey, visitor_site_id) where not is_bot group by 1 order by 1 nulls last""",
        [(True, 1, 2, 3, 3.0), (None, 8, 11, 12, 1.5)],
    ),
    "8 videos: starts, viewers, watch time, completion, host": (
        """select title, videostarts, visitor_site_id, watched_s, video_s, round(watched_s / video_s, 2), watch_depth,
               host_url
           from answers.videoviews order by 1 desc""",
        [
            ("The film", 1, "bob", 75, 90, 0.83, "deep", url("a-old")),
            ("The clip", 0, "eve", 20, 60, 0.33, "watch", B),
        ],
    ),
    "9 devices and countries": (
        f"select device_type, country, count(*) from {SESSIONS_OF_THE_14TH} group by all order by 1",
        [("desktop", "US", 8), ("mobile", "CA", 1)],
    ),
    "9 regions": (
        f"select country, subdivision, city, count(*) from {SESSIONS_OF_THE_14TH} group by all "
        "order by 1, 2 nulls last",
        [("CA", "QC", "Montreal", 1), ("US", "NY", None, 1), ("US", None, None, 7)],
    ),
    "9 media markets and time zones, which events have": (
        """select ip_market_name, ip_timezone, count_if(action = 'pageview') from answers.events
           group by all having ip_timezone is not null order by 1""",
        [(None, "America/Toronto", 2), ("New York", "America/New_York", 1)],
    ),
    "10 sessions of subscribers, by a key that the site sends with some event": (
        """select status, count(*), sum(engaged_s) from answers.sessions left join (
               select session_key, max(get_json_object(extra_data, '$.subscriber_type')) as status
               from answers.events where session_key is not null group by 1
           ) using (session_key) where not is_bot group by 1 order by 1 nulls last""",
        [("premium", 1, 60), (None, 12, 165)],
    ),
    "10 customers by a parameter of the URL, and by a key of a conversion": (
        """with customers as (select * from values ('42', 'gold'), ('7', 'silver') as c(account, tier))
           select tier, visitor_site_id from customers join (
               select visitor_site_id, parse_url(url, 'QUERY', 'account') as account from answers.pageviews
               union select visitor_site_id, get_json_object(extra_data, '$.account') from answers.conversions
           ) using (account) order by 1""",
        [("gold", "ivy"), ("silver", "bob")],
    ),
    "10 custom events by name and key": (
        "select action, visitor_site_id, local_date, network, count from answers.custom_events order by 1, 2",
        [
            ("share", "bob", DAY_14, "mastodon", 2),
            ("vote", "cy", DAY_14, "7", None),
            ("vote", "gus", date(2025, 11, 30), None, None),
        ],
    ),
    "11 health: heartbeats without a pageview, events of nobody": (
        """select (select count(*) from answers.pageviews where is_continuation),
               (select count(*) from answers.pageviews where session_key is null),
               (select count(*) from answers.events) - (select sum(events) from answers.sessions)""",
        [(2, 2, 3)],
    ),
    "11 health: what the run did": (
        "select outcome, lines, inserted, duplicate, rejected from answers.runs",
        [("done", len(EVENTS) + 2, len(EVENTS), 1, 1)],
    ),
    "11 health: lines that are no events": (
        "select reason, line, regexp_extract(source, 'events/(.*)/', 1) from answers.rejected_lines",
        [("not_an_object", "not json", "2026/01/14/12")],
    ),
    "11 health: events by site and hour": (
        """select apikey, hour, count(*) from answers.events where date = date'2026-01-14'
           group by all having hour in (9, 10) order by 2""",
        [(SITE, 9, 6), (SITE, 10, 8)],
    ),
    "11 health: minutes from an event to its arrival at the collector": (
        """select floor((timestamp_info_nginx_ms - unix_millis(event_at)) / 60000), count(*) from answers.events
           group by 1 order by 1""",
        [(0, len(EVENTS) - 1), (30, 1)],
    ),
}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_tables_and_views_answer_what_publishers_ask(spark: SparkSession, lake: OpenLake, question: str) -> None:
    """In SQL, by the names that `register` gives them."""
    query, answer = ANSWERS[question]
    assert [tuple(row) for row in spark.sql(query).collect()] == answer


def asked(lake: OpenLake, view: str, *columns: str, **words: Any) -> list[tuple[Any, ...]]:
    """Some columns of a view, in order."""
    return [tuple(row) for row in lake.view(view, **words).select(*columns).orderBy(*columns).collect()]


OF_THE_DAY = {"since": DAY_14, "until": date(2026, 1, 15)}
NUMBERS = ("posts_viewed", "posts_published", "pageviews", "engaged_s", "visitors", "pageviews_per_post")


def test_authors_sections_and_tags_of_a_day(lake: OpenLake) -> None:
    """B was published the day before; who has two posts counts each visitor once."""
    assert asked(lake, "authors", "author", *NUMBERS, **OF_THE_DAY) == [
        ("Ada", 2, 1, 10, 204, 7, 5.0),
        ("Ben", 1, 0, 5, 79, 4, 5.0),
    ]
    assert asked(lake, "tags", "tag", *NUMBERS, **OF_THE_DAY) == [
        ("ice", 2, 1, 10, 204, 7, 5.0),
        ("snow", 1, 1, 5, 125, 5, 5.0),
    ]
    assert asked(lake, "sections", "section_name", *NUMBERS, **OF_THE_DAY) == [
        ("News", 1, 1, 5, 125, 5, 5.0),
        ("Sport", 1, 0, 5, 79, 4, 5.0),
    ]


def test_campaigns_of_a_day(lake: OpenLake) -> None:
    """Sums of all its sessions; sessions without any utm_ are no campaign."""
    columns = ("utm_source", "utm_campaign", "sessions", "visitors", "bounces", "pageviews", "engaged_s", "conversions")
    assert asked(lake, "campaigns", *columns, **OF_THE_DAY) == [("mail", "january", 2, 2, 2, 2, 52, 0)]
    assert asked(lake, "campaigns", *columns, since=date(2026, 1, 15)) == []


def test_the_first_72_hours_of_a_post(lake: OpenLake) -> None:
    """Heartbeats and videos on an old URL of A, which have no metadata of A, count for A."""
    columns = ("hours_since_publish", "pageviews", "engaged_s", "watched_s", "conversions", "visitors")
    hours = lake.view("first_72_hours")
    assert [tuple(row) for row in hours.where(F.col("post_id") == B).select(*columns).orderBy(*columns).collect()] == [
        (16, 1, 41, 0, 0, 1),
        (21, 1, 16, 0, 0, 1),
        (22, 1, 10, 0, 1, 1),
        (25, 1, 8, 0, 0, 1),
        (27, 1, 35, 0, 0, 1),
        (28, 1, 10, 20, 0, 1),
        (71, 1, 0, 0, 0, 1),
    ]
    assert [tuple(row) for row in hours.where(F.col("post_id") == A).select(*columns).orderBy(*columns).collect()] == [
        (0, 1, 15, 0, 0, 1),
        (1, 1, 50, 0, 0, 1),
        (2, 1, 25, 0, 0, 0),
        (3, 1, 16, 75, 1, 1),
        (5, 1, 0, 0, 0, 1),
        (6, 0, 12, 0, 0, 1),
        (8, 0, 7, 0, 0, 1),
        (11, 1, 0, 0, 1, 1),
    ]


def test_the_visitors_of_a_post_are_one_number_however_its_events_came(spark: SparkSession, tmp_path: Path) -> None:
    """In the table, in the view and as the Python page shows; in one run or in two. Many, for few are exact anyway."""
    lines = [
        json.dumps(event("12:00:00", f"visitor {n}", f"{n}@12:00:00", "pageview", "a", A_POST, event_id=f"e{n}"))
        for n in range(3000)
    ]
    numbers = set()
    for runs in (1, 2):
        opened = open_lake(tmp_path / f"lake {runs}", spark=spark)
        for run in range(runs):
            path = tmp_path / f"{run} of {runs}/events/2026/01/14/12/chunk.gz"
            path.parent.mkdir(parents=True)
            path.write_bytes(gzip.compress("\n".join(lines[run::runs]).encode()))
            limits = Limits(tables=("pageviews", "posts", "post_hours"))
            run_batch(opened.lake, [f"file:{tmp_path}/{run} of {runs}"], QUIET, limits)
        hours = opened.table("post_hours")
        united = hours.groupBy("date").agg(estimated(F.hll_union_agg("visitors_sketch")).alias("visitors"))
        for rows in (hours, opened.view("first_72_hours"), united):
            (row,) = rows.select("visitors").collect()
            numbers.add(row["visitors"])
    (number,) = numbers
    assert abs(number - 3000) < 150


def test_visitors_as_of_a_day(lake: OpenLake) -> None:
    """Who is new, who came again, who is gone; eve's first session was on the evening before."""
    columns = (
        "visitor_site_id",
        "visitor_type",
        "tier",
        "sessions",
        "first_date",
        "days_to_second_session",
        "days_silent",
    )
    assert asked(lake, "visitors", *columns, as_of=DAY_14) == [
        ("ann", "returning", "2-4", 2, DAY_14, 0, 0),
        ("bob", "returning", "2-4", 2, DAY_14, 0, 0),
        ("bot", "new", "1", 1, DAY_14, None, 0),
        ("cy", "new", "1", 1, DAY_14, None, 0),
        ("dee", "new", "1", 1, DAY_14, None, 0),
        ("eve", "returning", "2-4", 2, DAY_13, 1, 0),
        ("fay", "new", "1", 2, date(2025, 12, 5), 40, 0),
        ("gus", "gone", None, 1, date(2025, 11, 30), None, 45),
        ("hal", "new", "1", 1, DAY_14, None, 0),
    ]
    # tiers then and now, and what the second session began with
    before = lake.view("visitors", as_of=date(2025, 12, 14)).select("visitor_site_id", F.col("tier").alias("before"))
    moved = (
        lake.view("visitors", as_of=DAY_14).join(before, "visitor_site_id").select("visitor_site_id", "before", "tier")
    )
    assert sorted(map(tuple, moved.collect())) == [("fay", "1", "1"), ("gus", "1", None)]
    first = asked(lake, "visitors", "visitor_site_id", "first_section", "first_referrer_category", "second_post_id")
    assert ("ann", "News", "search", B) in first
    assert ("ivy", "Sport", None, None) in first  # the 16th is the last day that the lake knows
    assert dict(asked(lake, "visitors", "visitor_site_id", "is_loyal"))["ann"] is False


def test_who_is_loyal_follows_the_settings(lake: OpenLake) -> None:
    """By pageviews ever, or by those of 30 days."""
    for settings in ({"loyal_pageviews": 3}, {"loyal_pageviews_30d": 3}):
        other = open_lake(lake.lake.place, spark=lake.lake.spark, timezone=ZONE, **settings)
        assert {
            name for name, is_loyal in asked(other, "visitors", "visitor_site_id", "is_loyal", as_of=DAY_14) if is_loyal
        } == {"ann"}


def test_pages_before_the_look_back_get_no_credit(lake: OpenLake) -> None:
    """fay first read 40 days before."""
    columns = ("visitor_site_id", "model", "post_id", "credit")
    further = open_lake(lake.lake.place, spark=lake.lake.spark, look_back_days=60)
    assert [row for row in asked(further, "conversion_attribution", *columns, since=DAY_14) if row[0] == "fay"] == [
        ("fay", "first_touch", C, 1.0),
        ("fay", "last_post", A, 1.0),
        ("fay", "last_touch", A, 1.0),
        ("fay", "linear", A, 0.5),
        ("fay", "linear", C, 0.5),
    ]
    assert asked(lake, "conversion_attribution", "model", since=date(2026, 1, 15)) == []


def test_a_day_of_the_calendar_has_the_hours_that_clocks_give_it(lake: OpenLake) -> None:
    """From the first to the last event; in December nobody changes clocks."""
    days = lake.view("calendar")
    assert days.count() == 49  # 29 November, where the UTC day of the first event begins, to 16 January
    columns = ("date", "starts_at", "hours", "iso_year", "iso_week", "iso_weekday", "weekday_name", "is_weekend")
    (row,) = (
        days.where("date = date'2026-01-14'")
        .select(F.unix_millis("starts_at").alias("starts_at"), *(c for c in columns if c != "starts_at"))
        .collect()
    )
    assert row.asDict() == {
        "starts_at": 1768366800000,
        "date": DAY_14,
        "hours": 24.0,
        "iso_year": 2026,
        "iso_week": 3,
        "iso_weekday": 3,
        "weekday_name": "Wednesday",
        "is_weekend": False,
    }


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_that_it_declares(lake: OpenLake, view: str) -> None:
    """Names, types and order, then those of the settings."""
    declared = [(column.name, column.type) for column in VIEWS[view].columns]
    declared += VIEWS[view].more_columns(lake.reporting)
    assert [(f.name, f.dataType.simpleString()) for f in lake.view(view).schema] == declared


def test_what_is_registered_says_what_it_means(spark: SparkSession, lake: OpenLake) -> None:
    """Every table and view, with a comment on each column; a second time changes nothing."""
    run_register(lake.lake, "answers", lake.reporting, QUIET)
    names = {row["tableName"] for row in spark.sql("show tables in answers").collect()}
    assert names >= {*TABLES, *VIEWS}
    for name in ("sessions", "visitors", "conversion_attribution"):
        comments = [row["comment"] for row in spark.sql(f"describe table answers.{name}").collect() if row["data_type"]]
        assert all(comments[: len(spark.table(f"answers.{name}").columns)]), name


def test_what_is_somebody_elses_is_not_replaced(spark: SparkSession, lake: OpenLake) -> None:
    """A view by the name of one of ours; all is left as it was."""
    spark.sql("create schema others")
    spark.sql("create view others.calendar as select 1 as day")
    with pytest.raises(LakeError, match=r"others\.calendar is there already and is none of ours"):
        run_register(lake.lake, "others", lake.reporting, QUIET)
    assert spark.table("others.calendar").columns == ["day"]
    assert not spark.catalog.tableExists("others.authors")


def test_the_command_refuses_a_catalog_that_is_gone_when_it_ends(
    lake: OpenLake, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["register", "--lake", lake.lake.place, "--schema", "an"])
    out, err = capsys.readouterr()
    assert (leaving.value.code, out) == (2, "")
    assert "catalog is in memory and is gone when the command ends; give it a lasting one" in err


def test_the_command_makes_what_another_session_finds(lake: OpenLake, tmp_path: Path) -> None:
    """In a lasting catalog."""
    hive = {
        "spark.sql.catalogImplementation": "hive",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={tmp_path}/metastore;create=true",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.ui.enabled": "false",
    }
    (tmp_path / "hive.toml").write_text("[spark]\n" + "".join(f'"{key}" = "{value}"\n' for key, value in hive.items()))
    asks = f"""
from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings
spark = get_session("asks", SparkSettings(spark=tuple({hive}.items())))
print(spark.sql("select author, pageviews from an.authors order by author").collect())
"""
    register = ["-m", "parsely_spark", "register", "--lake", lake.lake.place, "--schema", "an", "--config", "hive.toml"]
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE}
    for program in (register, ["-c", asks]):
        done = subprocess.run(
            [sys.executable, *program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(lake.view("authors").select("author", "pageviews").orderBy("author").collect())


def test_a_view_asks_for_the_tables_that_a_run_left_out(spark: SparkSession, tmp_path: Path) -> None:
    """By name, and what to do."""
    write_bucket(tmp_path / "bucket")
    opened = open_lake(tmp_path / "lake", spark=spark)
    run_batch(opened.lake, [f"file:{tmp_path}/bucket"], QUIET, Limits(tables=("conversions",)))
    with pytest.raises(LakeError, match=r"it has no table \w+; .*without --tables"):
        opened.view("authors")


def test_a_period_reads_only_the_files_that_it_is_about(lake: OpenLake) -> None:
    """By partitions, and by statistics where the partition is not that of the time asked for."""
    for view in ("custom_events", "campaigns", "authors", "sections", "tags", "conversion_attribution"):
        whole, part = (
            lake.view(view, **asked).inputFiles()
            for asked in ({}, {"since": date(2026, 1, 16), "until": date(2026, 1, 17)})
        )
        assert len(part) < len(whole), view


def test_sums_are_the_same_in_every_table(lake: OpenLake) -> None:
    """What makes no row of a table is counted as its rest; pageviews and post_hours have none."""
    findings = run_verify(lake.lake, QUIET, sample=0.0)
    assert findings.is_right, findings.differences
    for measure in ("pageviews", "engaged_s"):
        sums = {table: (of[measure].stored, of[measure].rest) for table, of in findings.totals.items() if measure in of}
        assert sums["pageviews"][1] == sums["post_hours"][1] == 0
        assert len({stored + rest for stored, rest in sums.values()}) == 1, sums
    assert {table: of["watched_s"].stored for table, of in findings.totals.items() if "watched_s" in of} == {
        "sessions": 95,
        "videoviews": 95,
        "visitor_days": 95,
        "post_hours": 95,
    }


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda lake: lake.table("session"), "'session' is no table (did you mean sessions?); there are events"),
        (lambda lake: lake.view("visitor"), "'visitor' is no view"),
        (lambda lake: lake.view("authors", as_of=DAY_14), "cannot be asked with it; it takes since, until"),
        (lambda lake: open_lake("x", timzone="UTC"), "'timzone' is no setting"),
        (lambda lake: open_lake("x", timezone="New York"), "is no time zone; write a name such as America/New_York"),
        (lambda lake: open_lake("x", extra_data=("a:money",)), "is no key and type; write KEY:TYPE"),
        (lambda lake: OpenLake(lake.lake, ReportingSettings(extra_data=("action:string",))).view("custom_events"),
         "custom_events has a column action already"),
        (lambda lake: open_lake("x", extra_data="network:string", look_back_days="7"), "'7', but a whole number"),
        (lambda lake: open_lake("x", extra_data=["a:string", "A:bigint"]), "extra_data has the key a twice"),
        (lambda lake: open_lake("x", timezone="posixrules"), "is no time zone"),
        (lambda lake: open_lake("x", timezone=None), "timezone is None, but a text is wanted"),
        (lambda lake: lake.view("visitors", as_of="14.1.2026"), "is no date; give a datetime.date or"),
        (lambda lake: lake.view("tags", since=DAY_14, until="2026-01-14"), "is not before until=2026-01-14"),
        (lambda lake: OpenLake(lake.lake, ReportingSettings(extra_data=("Action:string",))).view("custom_events"),
         "custom_events has a column action already"),
        (lambda lake: open_lake(), "neither of --lake URI and --catalog NAME given"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_one_sentence(lake: OpenLake, ask: Any, said: str) -> None:
    """What was found, what there is."""
    with pytest.raises(SettingsError) as error:
        ask(lake)
    assert said in str(error.value)


def test_a_table_comes_without_what_only_merges_need(lake: OpenLake) -> None:
    """Unless that is asked for."""
    assert not [name for name in lake.table("sessions").columns if name.startswith("_")]
    assert "_entry" in lake.table("sessions", with_state=True).columns
    assert "_rescued" in lake.table("events").columns
    assert (lake.tables, lake.views) == (tuple(TABLES), tuple(VIEWS))
    assert lake.table("events").where(F.col("apikey") == SITE).count() == len(EVENTS)
