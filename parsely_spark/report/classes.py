"""What figures are counted in: the classes of lengths and times, and what a question needs to be asked."""

from __future__ import annotations

ACCOUNT = ("lines", "inserted", "duplicate", "rejected", "blank")
BALANCED = ("pageviews", "engaged_s", "videostarts", "watched_s", "conversions")
MODELS = ("linear", "first_touch", "last_touch", "last_post")

# How long after the event the collector had it, ms: the end of each class, not included.
LATENESS_MS = {
    "ahead": -1_000,
    "1 s": 1_001,
    "10 s": 10_001,
    "1 min": 60_001,
    "10 min": 600_001,
    "1 h": 3_600_001,
    "6 h": 6 * 3_600_000 + 1,
    "24 h": 24 * 3_600_000 + 1,
    "later": None,
}
# How far the browser's clock is from the collector's, ms, likewise.
CLOCK_MS = {
    "behind 1 h": -3_600_000,
    "behind 1 min": -60_000,
    "near": 60_001,
    "ahead 1 min": 3_600_001,
    "ahead 1 h": None,
}

# The classes of a session's length and depth: label → the condition, in SQL, of those that none before it has taken.
LENGTHS = {
    "one moment": "duration_s < 1",
    "under 10 s": "duration_s < 10",
    "10–59 s": "duration_s < 60",
    "1–3 min": "duration_s < 180",
    "3–10 min": "duration_s < 600",
    "10–30 min": "duration_s < 1800",
    "30 min and more": "true",
}
DEPTHS = {
    "none": "pageviews = 0",
    "1": "pageviews = 1",
    "2": "pageviews = 2",
    "3": "pageviews = 3",
    "4–5": "pageviews <= 5",
    "6–10": "pageviews <= 10",
    "11 and more": "true",
}

# Each question about the audience, with the tables that it needs. A lake may lack some: `batch --tables`.
NEEDS = {
    "pageviews": ("pageviews",),
    "views_by_kind": ("pageviews",),
    "sessions": ("sessions",),
    "posts": ("pageviews", "posts"),
    "content": ("pageviews", "posts"),
    "first_hours": ("pageviews", "posts", "post_hours"),
    "campaigns": ("sessions",),
    "visitors": ("sessions", "posts"),
    "videos": ("videoviews",),
    "conversions": ("conversions",),
    "attribution": ("conversions", "pageviews", "posts"),
}
