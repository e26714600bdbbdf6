"""What Parse.ly's own models of 2021 got wrong (W1 to W14 of their known errors) comes out right here."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from parsely_spark.api import open_lake
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.progress import Progress

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from parsely_spark.api import OpenLake

NOON_MS = 1_768_392_000_000  # 2026-01-14 12:00 UTC
DAY_MS = 86_400_000
QUIET = Progress(is_terminal=False)
ASKED = ("sessions", "pageviews", "videoviews", "posts", "post_hours")

POST = {"metadata": True, "metadata_title": "Title", "metadata_section": "News", "metadata_page_type": "post"}
VIDEO = {
    "metadata": True,
    "metadata_title": "Video",
    "metadata_canonical_url": "video 1",
    "metadata_page_type": "video",
}
# By run, the events of each scenario, which is a site of its own: seconds after noon, action, fields.
Scenario = dict[int, list[tuple[int, str, dict[str, Any]]]]
SCENARIOS: dict[str, Scenario] = {
    "W1 counted again in every run": {
        1: [(0, "pageview", {"pageview_id": "1"}), (10, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 10})],
        2: [(20, "pageview", {"pageview_id": "2"})],
        3: [(30, "pageview", {"pageview_id": "3"})],
    },
    "W3 a bounce is lost": {1: [(0, "pageview", {"pageview_id": "1"})]},
    "W4 orphans count as pageviews, and twice": {
        1: [
            (0, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 7}),
            (0, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 5}),
        ]
    },
    "W5 a late pageview doubles its engagement": {
        1: [(10, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 10})],
        2: [(0, "pageview", {"pageview_id": "1", **POST})],
    },
    "W6 a heartbeat before its pageview, two pageviews in a second": {
        1: [
            (9, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 4}),
            (10, "pageview", {"pageview_id": "1"}),
            (10, "pageview", {"pageview_id": "2"}),
            (20, "heartbeat", {"pageview_id": "2", "engaged_time_inc": 6}),
        ]
    },
    "W8 heartbeats of other metadata, without any, and of the next session": {
        1: [
            (0, "pageview", {"pageview_id": "1", **POST, "metadata_canonical_url": "canonical"}),
            (10, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 10}),
            (20, "heartbeat", {"pageview_id": "1", "engaged_time_inc": 20, "metadata_canonical_url": "changed"}),
        ],
        2: [
            (
                4000,
                "heartbeat",
                {"pageview_id": "1", "engaged_time_inc": 30, "session_id": 2, "session_timestamp": NOON_MS + 3_900_000},
            )
        ],
    },
    "W9 videos belong to no page and no session": {
        1: [
            (0, "pageview", {"pageview_id": "1", **POST}),
            (5, "videostart", {"videostart_id": "1", **VIDEO}),
            (25, "vheartbeat", {"videostart_id": "1", "engaged_time_inc": 20, **VIDEO}),
        ]
    },
    "W10 the entry is only a path": {
        1: [
            (
                0,
                "pageview",
                {
                    "pageview_id": "1",
                    "url": "https://w.example/p?q=1",
                    "url_clean": "https://w.example/p",
                    "url_path": "/p",
                },
            )
        ]
    },
    "W11 entry and exit are arbitrary events": {
        1: [
            (0, "heartbeat", {"pageview_id": "9", "url_clean": "resumed", "engaged_time_inc": 1}),
            (1, "pageview", {"pageview_id": "1", "url_clean": "entry", "ref_category": "search"}),
            (2, "pageview", {"pageview_id": "2", "url_clean": "exit", "ref_category": "internal"}),
            (3, "videostart", {"videostart_id": "1", "url_clean": "a video", **VIDEO}),
            (9, "subscribe", {"session_id": 2, "session_timestamp": NOON_MS + 9000}),
        ]
    },
    "W12 visitors are first seen when last seen, and always return": {
        1: [(0, "pageview", {"pageview_id": "1"})],
        2: [(-86_400, "pageview", {"pageview_id": "2", "session_id": 2, "session_timestamp": NOON_MS - DAY_MS})],
    },
    "W13 a campaign is one row of it": {
        1: [
            (0, "pageview", {"pageview_id": "1", "utm_source": "mail"}),
            (
                1,
                "pageview",
                {"pageview_id": "2", "session_id": 2, "session_timestamp": NOON_MS + 1000, "utm_source": "mail"},
            ),
            (2, "pageview", {"pageview_id": "3", "session_id": 3, "session_timestamp": NOON_MS + 2000}),
        ]
    },
    "W14 metadata is overwritten by none": {
        1: [
            (0, "pageview", {"pageview_id": "1", **POST, "metadata_canonical_url": "post"}),
            (1, "pageview", {"pageview_id": "2", "metadata": False, "url_clean": "post"}),
            (2, "videostart", {"videostart_id": "1", **VIDEO}),
        ]
    },
}


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> OpenLake:
    """All scenarios, three runs; and W14's post on another site."""
    folder = tmp_path_factory.mktemp("w")
    lines: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for name, scenario in [*SCENARIOS.items(), ("another site", SCENARIOS["W14 metadata is overwritten by none"])]:
        for run, events in scenario.items():
            for number, (at, action, fields) in enumerate(events):
                usual = {
                    "apikey": name.split()[0],
                    "event_id": f"{name} {run} {number}",
                    "visitor_site_id": "v",
                    "timestamp_info_nginx_ms": NOON_MS + at * 1000,
                    "session_id": 1,
                    "session_timestamp": NOON_MS,
                    "url_clean": "page",
                    "action": action,
                }
                lines[run].append(json.dumps(usual | fields))
    opened = open_lake(str(folder / "lake"), spark=spark)
    for run, some in lines.items():
        chunk = folder / str(run) / "events/2026/01/14/12/chunk.gz"
        chunk.parent.mkdir(parents=True)
        chunk.write_bytes(gzip.compress("".join(f"{line}\n" for line in some).encode()))
        run_batch(opened.lake, [str(folder / str(run))], QUIET, Limits(tables=ASKED))
    return opened


def of(lake: OpenLake, site: str, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of the rows of one scenario, in order."""
    rows = lake.table(table) if table in lake.tables else lake.view(table)
    return sorted((tuple(row) for row in rows.where(f"apikey = '{site}'").select(*columns).collect()), key=repr)


EXPECTED: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "W1 pageviews": ("W1", "pageviews: pageview_id, pageviews, engaged_s", [("1", 1, 10), ("2", 1, 0), ("3", 1, 0)]),
    "W1 sessions": ("W1", "sessions: pageviews, engaged_s", [(3, 10)]),
    "W1 visitors": ("W1", "visitors: pageviews, engaged_s", [(3, 10)]),
    "W3": ("W3", "pageviews: pageviews, engaged_s, read_depth", [(1, 0, "skim")]),
    "W4": ("W4", "pageviews: pageviews, heartbeats, engaged_s, is_continuation", [(0, 2, 12, True)]),
    "W5": ("W5", "pageviews: pageviews, engaged_s, is_continuation, title", [(1, 10, False, "Title")]),
    "W5 sessions": ("W5", "sessions: pageviews, engaged_s", [(1, 10)]),
    "W6": ("W6", "pageviews: pageview_id, pageviews, engaged_s", [("1", 1, 4), ("2", 1, 6)]),
    "W8": (
        "W8",
        "pageviews: pageviews, engaged_s, post_id, is_continuation",
        [(0, 30, "page", True), (1, 30, "canonical", False)],
    ),
    "W9 videoviews": ("W9", "videoviews: videostarts, watched_s, video_id, host_url", [(1, 20, "video 1", "page")]),
    "W9 sessions": ("W9", "sessions: videostarts, watched_s", [(1, 20)]),
    "W9 the page": ("W9", "post_hours: post_id, pageviews, videostarts, watched_s", [("page", 1, 1, 20)]),
    "W10": ("W10", "sessions: entry_url", [("https://w.example/p",)]),
    "W11": (
        "W11",
        "sessions: entry_url, exit_url, referrer_category, custom_events",
        [("entry", "exit", "search", 0), (None, None, None, 1)],
    ),
    "W12": (
        "W12",
        "visitors: first_date, last_date, visitor_type, sessions",
        [(date(2026, 1, 13), date(2026, 1, 14), "returning", 2)],
    ),
    "W13": ("W13", "campaigns: apikey, utm_source, sessions, pageviews", [("W13", "mail", 2, 2)]),
    "W14": ("W14", "posts: post_id, title, section, page_type", [("post", "Title", "News", "post")]),
    "W14 another site": ("another", "posts: post_id, title", [("post", "Title")]),
}


@pytest.mark.parametrize("claim", EXPECTED)
def test_what_the_old_models_get_wrong_comes_out_right(lake: OpenLake, claim: str) -> None:
    """After three runs."""
    site, asked, answer = EXPECTED[claim]
    table, _, columns = asked.partition(": ")
    assert of(lake, site, table, *columns.split(", ")) == answer
