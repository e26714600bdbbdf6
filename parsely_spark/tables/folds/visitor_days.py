"""The table ``visitor_days``."""

from __future__ import annotations

from parsely_spark import columns
from parsely_spark.tables.folds.parts import (
    CAMPAIGN,
    CONVERSIONS,
    ENGAGED_S,
    IS_BOT,
    PAGEVIEWS,
    REFERRER,
    VIDEOSTARTS,
    WATCHED_S,
    event_field,
    is_pageview,
    nobodys,
    part,
    text_field,
)
from parsely_spark.transforms.fold import Cell, Fold, Key
from parsely_spark.transforms.measures import First, Max, Min

VISITOR_DAYS = Fold(
    name="visitor_days",
    grain="one row per visitor of a site and UTC day",
    of=columns.is_somebody,
    leaves_out=nobodys,
    columns=(
        Key("apikey", "string", "Parse.ly's id of the site", event_field("apikey")),
        Key("visitor_site_id", "string", "Visitor of the site", event_field("visitor_site_id")),
        Min("first_seen_at", "Time of the first event, UTC", event_field("event_at"), "timestamp"),
        Max("last_seen_at", "Time of the last event, UTC", event_field("event_at"), "timestamp"),
        PAGEVIEWS,
        ENGAGED_S,
        VIDEOSTARTS,
        WATCHED_S,
        CONVERSIONS,
        part("_first", "url_clean", "url_clean of the first pageview", name="first_url"),
        part("_first", "post_id", "Post of the first pageview", name="first_post_id"),
        part("_first", "section", "Section of the first pageview", name="first_section"),
        part("_first", "channel", "Delivery channel of the first pageview", name="first_channel"),
        *(
            part("_first", name, f"{name} of the first pageview", name=f"first_{name}")
            for name in (*REFERRER, *CAMPAIGN)
        ),
        IS_BOT,
        Cell("date", "date", "UTC date of the events", event_field("date")),
        First(
            "_first",
            "State: the first pageview",
            is_pageview,
            {
                "url_clean": text_field("url_clean"),
                "post_id": columns.post_id,
                "section": text_field("metadata_section"),
                "channel": text_field("channel"),
                **REFERRER,
                **{name: text_field(name) for name in CAMPAIGN},
            },
        ),
    ),
)
