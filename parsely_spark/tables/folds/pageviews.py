"""The table ``pageviews``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.in_session import FIRST_AT, LAST_AT, SEEN_WITH, depth, idle_runs, keys, named_by_event
from parsely_spark.tables.folds.parts import (
    CAMPAIGN,
    CHANNEL,
    CONTENT_PARTS,
    DEVICE,
    ENGAGED_S,
    IS_BOT,
    PLACE,
    REFERRER,
    SESSION_CELLS,
    content,
    is_pageview,
    no_event,
    part,
    text_field,
)
from parsely_spark.tables.folds.parts import (
    PAGEVIEWS as PAGEVIEW_EVENTS,
)
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.transforms.fold import Derived, Fold
from parsely_spark.transforms.measures import First, Max, Sum

if TYPE_CHECKING:
    from pyspark.sql import Column

    from parsely_spark.reporting import DepthSettings
    from parsely_spark.transforms.fold import Row


def is_heartbeat() -> Column:
    """Whether the event is a sign of engagement with a page."""
    return columns.is_action("heartbeat")


def is_of_page() -> Column:
    """Whether the event is a view of a page or engagement with one."""
    return is_pageview() | is_heartbeat()


def hours_since_publish(row: Row) -> Column:
    """Whole hours from the publication to the view; negative before it."""
    age_ms = F.unix_millis(row("_page")["event_at"]) - F.unix_millis(row("_content")["published_at"])
    return F.floor(age_ms / 3_600_000)


def pageviews(depths: DepthSettings) -> Fold:
    """The table, with what counts as reading."""
    return Fold(
        name="pageviews",
        grain="one row per page seen in a session: per pageview_id, without one per url_clean",
        of=named_by_event(is_of_page),
        runs=idle_runs(is_of_page),
        follows=SESSIONS,
        prune_by=("_first_at", "_last_at", "viewed_at"),
        leaves_out=no_event,
        columns=(
            *keys(
                "pageview_key",
                "pageview_id",
                "Ties heartbeats to their pageview; null from the iOS SDK",
                text_field("url_clean"),
            ),
            part(
                "_page",
                "event_at",
                "Time of the first pageview event, else of the first heartbeat, UTC",
                "timestamp",
                "viewed_at",
            ),
            Max(
                "last_viewed_at",
                "Time of the last pageview event, UTC; after viewed_at only where there is no pageview_id",
                lambda: F.when(is_pageview(), F.col("event_at")),
                "timestamp",
            ),
            Max(
                "last_engaged_at",
                "Time of the last heartbeat, UTC",
                lambda: F.when(is_heartbeat(), F.col("event_at")),
                "timestamp",
            ),
            PAGEVIEW_EVENTS,
            Derived(
                "is_continuation",
                "boolean",
                "Whether only heartbeats are here, as of a tab that was resumed in a later session",
                lambda row: row("pageviews") == 0,
            ),
            Sum("heartbeats", "Heartbeat events", is_heartbeat),
            ENGAGED_S,
            depth("engaged_s", ("skim", "read", "deep"), skim_s=depths.skim_s, deep_s=depths.deep_read_s),
            part("_page", "url", "URL as sent, with query and fragment"),
            part("_page", "url_clean", "URL without query and fragment"),
            part("_page", "post_id", "The content: metadata_canonical_url, else url_clean"),
            *CONTENT_PARTS,
            Derived(
                "hours_since_publish",
                "bigint",
                "Whole hours from publication to view; negative before",
                hours_since_publish,
            ),
            part("_page", "referrer", "URL that led to the page"),
            part("_page", "referrer_category", "Its class: internal, direct, social, search, …"),
            part("_page", "referrer_domain", "Its registered domain; a search engine's name"),
            *(part("_page", name, f"{name} of the page's URL") for name in CAMPAIGN),
            *SEEN_WITH,
            IS_BOT,
            *SESSION_CELLS,
            First(
                "_page",
                "State: the first pageview event, else the first heartbeat",
                is_of_page,
                {
                    "url": text_field("url"),
                    "url_clean": text_field("url_clean"),
                    "post_id": columns.post_id,
                    **REFERRER,
                    **{name: text_field(name) for name in CAMPAIGN},
                },
                prefers=is_pageview,
            ),
            content(prefers=is_pageview),
            CHANNEL,
            DEVICE,
            PLACE,
            FIRST_AT,
            LAST_AT,
        ),
    )
