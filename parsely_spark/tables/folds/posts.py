"""The tables ``posts``, ``post_versions`` and ``post_hours``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.parts import (
    CONVERSIONS,
    ENGAGED_S,
    EVENT_CELLS,
    PAGEVIEWS,
    VIDEOSTARTS,
    WATCHED_S,
    event_field,
    list_field,
    no_event,
    text_field,
)
from parsely_spark.transforms.fold import Attribute, Derived, Fold, Key
from parsely_spark.transforms.measures import Last, Max, Min, Sketch, Texts, estimated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

MOST_URLS = 100  # of one post

APIKEY = Key("apikey", "string", "Parse.ly's id of the site", event_field("apikey"))
POST_ID = Key("post_id", "string", "The content: metadata_canonical_url, else url_clean of its page", columns.post_id)


class _Known(NamedTuple):
    """A metadatum of a post: its type, what it means and how an event has it; null where the event does not know."""

    type: str
    meaning: str
    of: Callable[[], Column]


METADATA = {
    "title": _Known("string", "Title", text_field("metadata_title")),
    "section": _Known("string", "Section, a single name", text_field("metadata_section")),
    "authors": _Known("array<string>", "Names of the authors", list_field("metadata_authors")),
    "tags": _Known("array<string>", "Tags", list_field("metadata_tags")),
    "page_type": _Known("string", "post, index, video and others", text_field("metadata_page_type")),
    "published_at": _Known(
        "timestamp", "When it was published, UTC", partial(columns.sent_time, "metadata_pub_date_tmsp")
    ),
    "words": _Known("bigint", "Number of words", event_field("metadata_full_content_word_count")),
    "image_url": _Known("string", "URL of the main image", text_field("metadata_image_url")),
    "thumb_url": _Known("string", "URL of the thumbnail image", text_field("metadata_thumb_url")),
    "publisher_post_id": _Known("string", "The publisher's own id of it", text_field("metadata_post_id")),
    "custom_metadata": _Known(
        "string", "The publisher's own metadata, usually JSON", text_field("metadata_custom_metadata")
    ),
}


def is_of_post() -> Column:
    """Whether the event is about a page, not about a video on it, and names the page."""
    return ~columns.is_of_video() & columns.post_id().isNotNull()


def knows_post() -> Column:
    """Whether the event says anything of its post but the id."""
    return is_of_post() & F.greatest(*[known.of().isNotNull() for known in METADATA.values()])


def _last_known(name: str, known: _Known) -> Last:
    return Last(
        f"_{name}",
        "State: of the last event that knows it",
        lambda: known.of().isNotNull(),
        {name: known.of},
        types={name: known.type},
    )


def _part(name: str, known: _Known) -> Derived:
    return Derived(
        name, known.type, f"{known.meaning}; by the last event that knows it", lambda row: row(f"_{name}")[name]
    )


FIRST_SEEN_AT = Min("first_seen_at", "Time of the first event, UTC", event_field("event_at"), "timestamp")
LAST_SEEN_AT = Max("last_seen_at", "Time of the last event, UTC", event_field("event_at"), "timestamp")

POSTS = Fold(
    name="posts",
    grain="one row per content of a site",
    of=is_of_post,
    columns=(
        APIKEY,
        POST_ID,
        *(_part(name, known) for name, known in METADATA.items()),
        FIRST_SEEN_AT,
        LAST_SEEN_AT,
        Texts(
            "urls",
            f"The url_clean by which it was seen, the first {MOST_URLS} of them by the alphabet",
            text_field("url_clean"),
            MOST_URLS,
        ),
        *(_last_known(name, known) for name, known in METADATA.items()),
    ),
)


def _state() -> Column:
    state = F.struct(*[known.of().alias(name) for name, known in METADATA.items()])
    return F.md5(F.to_json(state, {"timeZone": "UTC"}))


POST_VERSIONS = Fold(
    name="post_versions",
    grain="one row per content of a site and state of its metadata",
    of=knows_post,
    columns=(
        APIKEY,
        POST_ID,
        Key("version_key", "string", "md5 hex of the metadata as JSON", _state),
        *(Attribute(name, known.type, known.meaning, known.of) for name, known in METADATA.items()),
        FIRST_SEEN_AT,
        LAST_SEEN_AT,
    ),
)

POST_HOURS = Fold(
    name="post_hours",
    grain="one row per content of a site and UTC hour; of a video's events, the content is the page it plays on, "
    "and of events without metadata their URL, which the views count to its post",
    of=lambda: F.coalesce(F.col("action").isin(*columns.STANDARD_ACTIONS), F.lit(False)),
    leaves_out=no_event,
    columns=(
        APIKEY,
        POST_ID,
        PAGEVIEWS,
        ENGAGED_S,
        VIDEOSTARTS,
        WATCHED_S,
        CONVERSIONS,
        Derived("visitors", "bigint", "Distinct visitors, estimated", lambda row: estimated(row("visitors_sketch"))),
        Sketch(
            "visitors_sketch",
            "HLL sketch of the visitors; those of several rows are hll_sketch_estimate(hll_union(u, u)) of u = "
            "hll_union_agg(visitors_sketch)",
            lambda: F.when(columns.is_somebody(), F.col("visitor_site_id")),
        ),
        *EVENT_CELLS,
    ),
)
