"""What publishers send on top: conversions and custom events with their ``extra_data``."""

from __future__ import annotations

import random
from typing import Final

from .fragments import to_json

CONVERSION_SHARE: Final = 0.022  # of pageviews
CUSTOM_SHARE: Final = 0.11

_CONVERSIONS: Final = (
    ("newsletter_signup", ("Morning Brief", "Weekend Reads", "Küchenpost")),
    ("lead_capture", ("event-rsvp", "whitepaper")),
    ("link_click", ("affiliate:shoes", "affiliate:pan", "partner-offer")),
    ("subscription", ("digital-monthly", "digital-yearly")),
    ("purchase", ("photo-print", "cookbook ”Winter”")),
    ("custom", ("poll-finished", "comment-posted")),
)
_CONVERSION_WEIGHTS: Final = (40, 52, 80, 88, 93, 100)  # cumulative

_CUSTOM: Final = ("scroll_depth", "paywall_shown", "share", "poll_vote", "player_error")
_CUSTOM_WEIGHTS: Final = (55, 75, 88, 97, 100)  # cumulative


def conversion(rng: random.Random) -> str:
    """Draw the ``extra_data`` of a conversion, as JSON."""
    kind, labels = rng.choices(_CONVERSIONS, cum_weights=_CONVERSION_WEIGHTS)[0]
    extra: dict[str, object] = {"_conversion_type": kind, "_conversion_label": rng.choice(labels)}
    if kind in ("subscription", "purchase"):
        extra |= {"amount": rng.choice((9.99, 99, 14.5)), "currency": rng.choice(("USD", "EUR"))}
    return to_json(extra)


def custom(rng: random.Random) -> tuple[str, str]:
    """Draw a custom event: its action and its ``extra_data`` as JSON."""
    action = rng.choices(_CUSTOM, cum_weights=_CUSTOM_WEIGHTS)[0]
    return action, to_json(_custom_extra(rng, action))


def _custom_extra(rng: random.Random, action: str) -> dict[str, object]:
    if action == "scroll_depth":
        size = {"w": rng.choice((390, 1440, 1920)), "h": rng.choice((844, 900, 1080))}
        seen = ["intro", "body", "related"]
        return {"percent": rng.choice((25, 50, 75, 100)), "viewport": size, "seen": seen}
    if action == "paywall_shown":
        meter = {"count": rng.randint(1, 6), "limit": 5, "reset": "2026-02-01"}
        return {"meter": meter, "variant": rng.choice(("a", "b")), "hard": rng.random() < 0.2, "offer": None}
    if action == "share":
        note = rng.choice(("schön! 😀", "", 'a "must" read'))
        return {"network": rng.choice(("whatsapp", "mail", "微博")), "note": note}
    if action == "poll_vote":
        answers = rng.sample(("ja", "nein", "weiß nicht", "später"), 2)
        weights = [round(rng.random(), 3), 1]
        return {"poll": {"id": rng.randint(100, 140), "answers": answers, "weights": weights, "final": True}}
    frame = {"file": "player.js", "line": rng.randint(1, 900)}
    return {"code": rng.choice((403, "timeout")), "stack": [frame]}


def apple_news(rng: random.Random, section: str) -> str:
    """Draw the ``extra_data`` of an Apple News event, as JSON."""
    board = f"{rng.randrange(10**8, 10**9)}"
    apln = {"is_rta": True, "dashboardId": board, "eventType": "article_view", "contentType": "article"}
    return to_json({"apln": apln | {"sections": [section, rng.choice(("Top Stories", "My Saved Stories"))]}})
