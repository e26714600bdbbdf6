"""How sessions begin: from a search, a social network, a campaign, an AI assistant, or out of nowhere."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Final


@dataclass(frozen=True, slots=True)
class Arrival:
    """The referrer of a session's first page, its category, and the query that the link carried."""

    referrer: str
    category: str
    query: str


_SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "direct": ("",),
    "search": (
        "https://www.google.com/", "https://www.google.com/", "https://www.google.de/", "https://www.google.ca/",
        "https://www.bing.com/", "https://duckduckgo.com/", "https://search.yahoo.com/",
    ),
    "social": (
        "https://www.facebook.com/", "https://l.facebook.com/l.php", "https://t.co/aB3dE5fG7h",
        "https://www.reddit.com/r/news/", "https://www.linkedin.com/", "https://bsky.app/", "https://www.instagram.com/",
    ),
    "ai": ("https://chatgpt.com/", "https://www.perplexity.ai/", "https://gemini.google.com/app"),
    "other": (
        "https://blog.neighbourhood.example/links/", "https://forum.riders.example/t/4711?page=3",
        "https://www.wiki.example/wiki/Harbor_levy", "https://münchen.example/straße/",
    ),
}  # fmt: skip

# Paid and owned links: the query, and the category of the referrer under which it is clicked.
_UTM: Final = "utm_source={}&utm_medium={}&utm_campaign={}"
_CAMPAIGNS: Final = (
    (9, "direct", _UTM.format("newsletter", "email", "morning-brief") + "&utm_content=top-story"),
    (5, "direct", _UTM.format("newsletter", "email", "weekend-reads") + "&utm_content=footer"),
    (6, "social", _UTM.format("facebook", "social", "fb-page")),
    (3, "social", _UTM.format("facebook", "cpc", "subscribe-2026") + "&utm_term=8098&utm_content=carousel"),
    (4, "search", _UTM.format("google", "cpc", "brand") + "&utm_term=local%20news&utm_content=ad-2"),
    (2, "other", _UTM.format("partner.example", "partners", "caf%C3%A9-woche")),
    (2, "ai", "utm_source=chatgpt.com"),
    (2, "direct", "itm_source=paywall&itm_campaign=spring_offer"),
)
_CAMPAIGN_WEIGHTS: Final = tuple(accumulate(weight for weight, *_ in _CAMPAIGNS))

_CATEGORIES: Final = ("direct", "search", "social", "campaign", "other", "internal", "ai")
_CATEGORY_WEIGHTS: Final = tuple(accumulate((33, 25, 16, 10, 7, 6, 3)))


def arrive(rng: random.Random, home: str) -> Arrival:
    """Draw the way into a site.

    Args:
        rng: source of chance.
        home: URL of the site's front page; a session that timed out goes on from there (``internal``).
    """
    category = rng.choices(_CATEGORIES, cum_weights=_CATEGORY_WEIGHTS)[0]
    if category == "internal":
        return Arrival(home, category, "")
    if category == "campaign":
        _, category, query = rng.choices(_CAMPAIGNS, cum_weights=_CAMPAIGN_WEIGHTS)[0]
        return Arrival(rng.choice(_SOURCES[category]), category, query)
    click_id = f"fbclid=IwAR{rng.getrandbits(64):016x}" if category == "social" and rng.random() < 0.1 else ""
    return Arrival(rng.choice(_SOURCES[category]), category, click_id)
