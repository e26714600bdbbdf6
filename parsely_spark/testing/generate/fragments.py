"""The JSON text of groups of keys that stay fixed for a while: a page, a referrer, a session, a visitor.

An event is 122 keys, of which about ten change from one event to the next. Writing the others once and
joining the texts is an order of magnitude cheaper than one ``json.dumps`` per event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

UTM_KEYS: Final = ("utm_campaign", "utm_medium", "utm_source", "utm_term", "utm_content")
SESSION_KEYS: Final = (
    "session_id", "session_initial_referrer", "session_initial_url", "session_last_session_timestamp",
    "session_timestamp", "ts_session_current", "ts_session_last",
)  # fmt: skip
METADATA_KEYS: Final = (
    "metadata_authors", "metadata_canonical_url", "metadata_custom_metadata", "metadata_duration",
    "metadata_data_source", "metadata_full_content_word_count", "metadata_image_url", "metadata_page_type",
    "metadata_post_id", "metadata_pub_date_tmsp", "metadata_save_date_tmsp", "metadata_section",
    "metadata_share_urls", "metadata_tags", "metadata_thumb_url", "metadata_title", "metadata_urls",
)  # fmt: skip
ADDRESS_PARTS: Final = ("clean", "domain", "fragment", "netloc", "params", "path", "query", "scheme")

# Parse.ly reports a search engine by its name, whatever the country: www.google.ca is "google".
SEARCH_ENGINES: Final = ("google", "bing", "duckduckgo", "yahoo")

MINUTE_AND_SECOND: Final = tuple(f":{i // 60:02d}:{i % 60:02d}" for i in range(3600))


def to_json(value: object) -> str:
    """Write *value* as compact JSON, non-ASCII characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def fragment(fields: Mapping[str, object]) -> str:
    """Write *fields* as the inside of a JSON object: ``"a":1,"b":null``."""
    return to_json(fields)[1:-1]


def second_text(second: int) -> str:
    """Write an epoch *second* as Parse.ly does: ``2026-01-14 12:00:00``, UTC."""
    return _hour_text(second // 3600) + MINUTE_AND_SECOND[second % 3600]


@cache
def _hour_text(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, tz=UTC).strftime("%Y-%m-%d %H")


def domain_of(netloc: str) -> str:
    """Name the registered domain of *netloc*; a search engine goes by its bare name."""
    labels = netloc.split(".")
    engine = next((label for label in labels if label in SEARCH_ENGINES), None)
    return engine or ".".join(labels[-2:])


@lru_cache(maxsize=20_000)
def address(prefix: str, url: str) -> str:
    """Split *url* into the eight ``<prefix>_*`` parts; parts that are absent are empty, not null."""
    parts = urlsplit(url)
    texts = {
        "clean": f"{parts.scheme}://{parts.netloc}{parts.path}" if url else "",
        "domain": domain_of(parts.netloc),
        "fragment": parts.fragment,
        "netloc": parts.netloc,
        "params": "",
        "path": parts.path,
        "query": parts.query,
        "scheme": parts.scheme,
    }
    return fragment({f"{prefix}_{part}": text for part, text in texts.items()})


def campaign_tags(prefix: str, url: str) -> dict[str, str | None]:
    """Read the five utm tags from the query of *url*; those that are absent are null."""
    tags = dict(parse_qsl(urlsplit(url).query))
    return {prefix + key: tags.get(key) for key in UTM_KEYS}


@lru_cache(maxsize=20_000)
def page_address(url: str) -> str:
    """Write ``url``, its parts, and the campaign read from its query."""
    tags = campaign_tags("", url)
    # Publishers who tag with itm_* have a campaign_id without a utm_campaign.
    campaign_id = tags["utm_campaign"] or dict(parse_qsl(urlsplit(url).query)).get("itm_campaign")
    return f"{fragment({'campaign_id': campaign_id, 'url': url})},{address('url', url)},{fragment(tags)}"


@lru_cache(maxsize=20_000)
def referrer(url: str, category: str) -> str:
    """Write the referrer of one event; a click inside the site may also tell its slot on the page."""
    own = fragment({"ref_category": category, "referrer": url, "slot": category == "internal"})
    return f"{own},{address('ref', url)}"


def session(number: int, started_ms: int, previous_ms: int, url: str, came_from: str, category: str) -> str:
    """Write the session group of an event.

    Args:
        number: the visitor's ordinal of this session, from 1.
        started_ms: client clock at the start, epoch ms.
        previous_ms: client clock at the start of the session before, epoch ms; 0 when there was none.
        url: first URL of the session.
        came_from: referrer of that first URL, may be empty.
        category: ``sref_category`` of *came_from*.
    """
    own = {
        "session": True,
        "session_id": number,
        "session_initial_referrer": came_from,
        "session_initial_url": url,
        "session_last_session_timestamp": previous_ms,
        "session_timestamp": started_ms,
        "ts_session_current": second_text(started_ms // 1000),
        "ts_session_last": second_text(previous_ms // 1000),
        "sref_category": category,
    } | campaign_tags("surl_", url)
    return f"{fragment(own)},{address('sref', came_from)},{address('surl', url)}"


def _no_session() -> str:
    nulls: dict[str, object] = {"session": False} | dict.fromkeys((*SESSION_KEYS, "sref_category"))
    nulls |= dict.fromkeys(f"surl_{key}" for key in UTM_KEYS)
    nulls |= dict.fromkeys(f"sref_{part}" for part in ADDRESS_PARTS)
    return fragment(nulls | dict.fromkeys(f"surl_{part}" for part in ADDRESS_PARTS))


def metadata(fields: Mapping[str, object]) -> str:
    """Write the metadata group with *fields* given without their ``metadata_`` prefix; the rest is null."""
    given = {f"metadata_{name}": value for name, value in fields.items()}
    return fragment({"metadata": True} | dict.fromkeys(METADATA_KEYS) | given)


NO_SESSION: Final = _no_session()
NO_METADATA: Final = fragment({"metadata": False} | dict.fromkeys(METADATA_KEYS))
