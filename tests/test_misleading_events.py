"""Views of events that mislead: by URLs of other posts, empty values, times on both sides of an hour."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from parsely_spark.api import open_lake
from parsely_spark.pipelines.batch import run_batch
from parsely_spark.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from parsely_spark.api import OpenLake

NOON_MS = 1_768_392_000_000  # 2026-01-14 12:00 UTC


def post(path: str, **fields: object) -> dict[str, Any]:
    """The metadata of a post by Ada, published at noon."""
    known = {"metadata_canonical_url": path, "metadata_title": path, "metadata_authors": ["Ada"]}
    known |= {"metadata_page_type": "post", "metadata_pub_date_tmsp": NOON_MS, "metadata_tags": ["t"]}
    return {"metadata": True, **known, **fields}


# By site: seconds after noon, action, fields.
SITES: dict[str, list[tuple[int, str, dict[str, Any]]]] = {
    "front page once sent with the metadata of a post": [
        *((at, "pageview", {"pageview_id": str(at), "url_clean": "/"}) for at in range(5)),
        (10, "pageview", {"pageview_id": "10", "url_clean": "/", **post("/a")}),
        (20, "pageview", {"pageview_id": "20", "url_clean": "/a", **post("/a")}),
    ],
    "amp": [
        *((at, "pageview", {"pageview_id": str(at), "url_clean": "/amp/a", **post("/a")}) for at in range(3)),
        (10, "pageview", {"pageview_id": "10", "url_clean": "/amp/a"}),
        (20, "heartbeat", {"pageview_id": "20", "url_clean": "/amp/a", "engaged_time_inc": 9}),
        (30, "conversion", {"url_clean": "/a", **post("/a")}),
    ],
    "posts without a URL": [
        (0, "heartbeat", {"url_clean": "", "engaged_time_inc": 5, **post("/a")}),
        (10, "heartbeat", {"url_clean": "", "engaged_time_inc": 7, **post("/b")}),
    ],
    "empty lists": [
        (0, "pageview", {"pageview_id": "1", "url_clean": "/a", **post("/a")}),
        (9, "heartbeat", {"pageview_id": "1", "url_clean": "/a", "metadata_canonical_url": "/a", "metadata_tags": []}),
    ],
    "one conversion in two hours": [
        (-60, "pageview", {"pageview_id": "1", "url_clean": "/a"}),
        (-1, "conversion", {"event_id": "twice", "url_clean": "/b"}),
        (1, "conversion", {"event_id": "twice", "url_clean": "/b"}),
    ],
    "back at the first post": [
        (0, "pageview", {"url_clean": "/a", **post("/a")}),
        (10, "pageview", {"url_clean": "/b", **post("/b")}),
        (20, "pageview", {"url_clean": "/a", **post("/a")}),
        (30, "conversion", {"url_clean": "/buy"}),
    ],
    "an empty pageview_id": [
        (0, "pageview", {"pageview_id": "1", "url_clean": "/a"}),
        (10, "conversion", {"pageview_id": "", "url_clean": "/a"}),
    ],
    "an empty parameter": [
        (0, "pageview", {"surl_utm_source": "mail", "surl_utm_term": ""}),
        (10, "pageview", {"surl_utm_source": "mail", "session_id": 2}),
    ],
    "own keys": [
        (0, "ping", {"extra_data": {"at": "2026-01-14 10:00:00", "n": "3.0"}}),
        (1, "ping", {"extra_data": {"at": "2026-01-14T10:00:00+05:30", "n": 1e3}}),
        (2, "ping", {"extra_data": {"at": "2026-01-14", "n": 2.5}}),
        (3, "ping", {"extra_data": {"at": "soon", "n": "many"}}),
    ],
}


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> OpenLake:
    """All sites in one lake."""
    folder = tmp_path_factory.mktemp("misleading")
    lines = []
    for site, events in SITES.items():
        for number, (at, action, fields) in enumerate(events):
            ms = NOON_MS + at * 1000
            when = {"timestamp_info_nginx_ms": ms, "session_id": 1, "session_timestamp": NOON_MS - 60_000}
            who = {"event_id": f"{site} {number}", "apikey": site, "visitor_site_id": "v", "session": True}
            lines.append(json.dumps({**who, **when, "action": action, **fields}))
    chunk = folder / "bucket/events/2026/01/14/12/chunk.gz"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(gzip.compress("\n".join(lines).encode()))
    opened = open_lake(folder / "lake", spark=spark, extra_data=["at:timestamp", "n:bigint"])
    run_batch(opened.lake, [str(folder / "bucket")], Progress(is_terminal=False))
    return opened


CREDIT = "conversion_attribution: model, post_id, touches, credit"
ANSWERS: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    ("front page once sent with the metadata of a post", "authors: author, posts_viewed, pageviews"): [("Ada", 1, 2)],
    ("front page once sent with the metadata of a post", "first_72_hours: post_id, pageviews"): [("/a", 2)],
    ("amp", "authors: author, posts_viewed, pageviews, engaged_s"): [("Ada", 1, 4, 9)],
    ("amp", "first_72_hours: post_id, pageviews, engaged_s"): [("/a", 4, 9)],
    ("amp", CREDIT): [
        ("first_touch", "/a", 4, 1.0),
        ("last_post", "/a", 4, 1.0),
        ("last_touch", "/a", 4, 1.0),
        *[("linear", "/a", 4, 0.25)] * 4,
    ],
    ("posts without a URL", "first_72_hours: post_id, engaged_s"): [("/a", 5), ("/b", 7)],
    ("posts without a URL", "posts: post_id, urls"): [("/a", []), ("/b", [])],
    ("empty lists", "posts: post_id, authors, tags"): [("/a", ["Ada"], ["t"])],
    ("empty lists", "post_versions: post_id, authors, tags"): [("/a", ["Ada"], ["t"])],
    ("one conversion in two hours", "conversion_attribution: converted_at, model, touches, credit"): [
        (at, model, 2, credit)
        for at in (NOON_MS - 1000, NOON_MS + 1000)
        for model, credit in (("first_touch", 1.0), ("last_touch", 1.0), ("linear", 0.5), ("linear", 0.5))
    ],
    ("back at the first post", CREDIT): [
        ("first_touch", "/a", 3, 1.0),
        ("last_post", "/a", 3, 1.0),
        ("last_touch", "/buy", 3, 1.0),
        ("linear", "/a", 3, 1 / 3),
        ("linear", "/b", 3, 1 / 3),
        ("linear", "/buy", 3, 1 / 3),
    ],
    ("an empty pageview_id", CREDIT): [
        ("first_touch", "/a", 1, 1.0),
        ("last_touch", "/a", 1, 1.0),
        ("linear", "/a", 1, 1.0),
    ],
    ("an empty parameter", "campaigns: utm_source, utm_term, sessions"): [("mail", None, 2)],
    ("own keys", "custom_events: event_id, at, n"): [
        ("own keys 0", NOON_MS - 7_200_000, 3),
        ("own keys 1", NOON_MS - 27_000_000, 1000),
        ("own keys 2", NOON_MS - 43_200_000, None),
        ("own keys 3", None, None),
    ],
}


Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows_of(spark: SparkSession, lake: OpenLake) -> Callable[[str, str], Rows]:
    """All that is asked of a table or view, by somebody in a time zone: to plan it takes longer than to compute it."""

    @cache
    def ask(table: str, zone: str) -> Rows:
        asked = {name for _, of in ANSWERS if of.startswith(f"{table}: ") for name in columns_of(of)}
        spark.conf.set("spark.sql.session.timeZone", zone)
        try:
            rows = lake.table(table) if table in lake.tables else lake.view(table)
            types = dict(rows.dtypes)
            texts = [f"unix_millis({name}) {name}" if types[name] == "timestamp" else name for name in asked]
            return [row.asDict() for row in rows.selectExpr("apikey", *texts).collect()]
        finally:
            spark.conf.set("spark.sql.session.timeZone", "UTC")

    return ask


def columns_of(asked: str) -> list[str]:
    """What is asked of a table or view."""
    return asked.partition(": ")[2].split(", ")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize(("site", "asked"), ANSWERS)
def test_misleading_events_do_not_mislead(
    rows_of: Callable[[str, str], Rows], site: str, asked: str, zone: str
) -> None:
    """Whatever the time zone of whoever asks."""
    rows = [row for row in rows_of(asked.partition(": ")[0], zone) if row["apikey"] == site]
    answer = [tuple(row[name] for name in columns_of(asked)) for row in rows]
    assert sorted(answer, key=repr) == sorted(ANSWERS[site, asked], key=repr)
