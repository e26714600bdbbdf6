"""The table ``conversions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.parts import CAMPAIGN, EVENT_CELLS, REFERRER, event_field, is_conversion, text_field
from parsely_spark.transforms.fold import Fold, Key
from parsely_spark.transforms.measures import Only

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column


def _extra(key: str) -> Callable[[], Column]:
    return lambda: F.nullif(F.get_json_object("extra_data", f"$.{key}"), F.lit(""))


def _text(name: str, meaning: str, of: Callable[[], Column] | None = None) -> Only:
    return Only(name, meaning, of or text_field(name), "string")


CONVERSIONS = Fold(
    name="conversions",
    grain="one row per conversion event",
    of=is_conversion,
    columns=(
        Key("apikey", "string", "Parse.ly's id of the site", event_field("apikey")),
        Key("event_id", "string", "The event, as in events", event_field("event_id")),
        Only("converted_at", "Time of the event, UTC", event_field("event_at"), "timestamp"),
        _text(
            "conversion_type",
            "newsletter_signup, lead_capture, link_click, subscription, purchase, custom and others: _conversion_type "
            "of extra_data",
            _extra("_conversion_type"),
        ),
        _text(
            "conversion_label",
            "The publisher's name for it: _conversion_label of extra_data",
            _extra("_conversion_label"),
        ),
        _text("visitor_site_id", "Visitor of the site"),
        _text("session_key", "The tracker session, as in sessions; null without one"),
        _text("pageview_id", "Ties it to its pageview; null from the mobile SDKs"),
        _text("url", "URL of the page as sent, with query and fragment"),
        _text("url_clean", "URL without query and fragment"),
        _text("post_id", "The content: metadata_canonical_url, else url_clean", columns.post_id),
        *(_text(name, f"{name} of the event", of) for name, of in REFERRER.items()),
        *(_text(name, f"{name} of the page's URL") for name in CAMPAIGN),
        _text("channel", "Delivery channel: website, amp, apln-rta and others"),
        _text("device_type", "desktop, mobile, tablet and others", text_field("ua_devicetype")),
        _text("country", "ISO country code, by the address", text_field("ip_country")),
        _text("extra_data", "The site's own keys and values, JSON"),
        Only("is_bot", "Whether the user agent is a bot's", event_field("is_bot"), "boolean"),
        *EVENT_CELLS,
    ),
)
