"""Where visitors are: what the GeoIP database says of their address."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Final

from .fragments import fragment

_KEYS: Final = (
    "ip_city", "ip_continent", "ip_country", "ip_lat", "ip_lon", "ip_postal", "ip_subdivision", "ip_timezone",
    "ip_market_name", "ip_market_nielsen", "ip_market_doubleclick",
)  # fmt: skip
_ABROAD: Final = (None, None, None)

# Market names and codes exist only for the United States; a city or postal code can be unknown.
# Whole degrees arrive as JSON integers. Weight, then the values of _KEYS.
_PLACES: Final[tuple[tuple[int, tuple[str | float | None, ...]], ...]] = (
    (16, ("New York", "NA", "US", 40.7128, -74.006, "10013", "NY", "America/New_York",
          "New York", "501", "3")),
    (9, ("Newark", "NA", "US", 37.5147, -122.0423, "94560", "CA", "America/Los_Angeles",
         "San Francisco-Oakland-San Jose", "807", "7")),
    (9, ("Chicago", "NA", "US", 41.8781, -87.6298, "60602", "IL", "America/Chicago", "Chicago", "602", "5")),
    (6, ("Houston", "NA", "US", 29.7604, -95.3698, "77002", "TX", "America/Chicago", "Houston", "618", "11")),
    (5, ("Denver", "NA", "US", 39.7392, -104.9903, "80202", "CO", "America/Denver", "Denver", "751", "18")),
    (8, (None, "NA", "US", 37.751, -97.822, None, None, "America/Chicago", *_ABROAD)),
    (6, ("Toronto", "NA", "CA", 43.6532, -79.3832, "M4G", "ON", "America/Toronto", *_ABROAD)),
    (9, ("London", "EU", "GB", 51.5074, -0.1278, "EC1A", "ENG", "Europe/London", *_ABROAD)),
    (5, ("Köln", "EU", "DE", 50.9375, 6.9603, "50667", "NW", "Europe/Berlin", *_ABROAD)),
    (4, ("Berlin", "EU", "DE", 52.52, 13.405, "10115", "BE", "Europe/Berlin", *_ABROAD)),
    (3, ("Paris", "EU", "FR", 48.8566, 2.3522, "75001", "IDF", "Europe/Paris", *_ABROAD)),
    (2, ("Gdańsk", "EU", "PL", 54.352, 18.6466, "80-001", "22", "Europe/Warsaw", *_ABROAD)),
    (4, ("Mumbai", "AS", "IN", 19.076, 72.8777, "400001", "MH", "Asia/Kolkata", *_ABROAD)),
    (2, ("Tokyo", "AS", "JP", 35.6762, 139.6503, "100-0001", "13", "Asia/Tokyo", *_ABROAD)),
    (2, ("São Paulo", "SA", "BR", -23.5505, -46.6333, "01000-000", "SP", "America/Sao_Paulo", *_ABROAD)),
    (2, ("Lagos", "AF", "NG", 6.4541, 3.3947, None, "LA", "Africa/Lagos", *_ABROAD)),
    (2, ("Perth", "OC", "AU", -32, 115.8605, "6000", "WA", "Australia/Perth", *_ABROAD)),
    (1, (None,) * 8 + _ABROAD),
)  # fmt: skip

_FRAGMENTS: Final = tuple(fragment(dict(zip(_KEYS, place, strict=True))) for _, place in _PLACES)
_WEIGHTS: Final = tuple(accumulate(weight for weight, _ in _PLACES))


def pick_place(rng: random.Random) -> str:
    """Draw the ``ip_*`` fragment of one visitor."""
    return rng.choices(_FRAGMENTS, cum_weights=_WEIGHTS)[0]


def pick_ip(rng: random.Random, *, hashed: bool) -> str:
    """Draw an address that belongs to nobody (RFC 2544, RFC 3849); *hashed* when the site hides them."""
    if hashed:
        return f"{rng.getrandbits(160):040x}"
    if rng.random() < 0.15:
        return f"2001:db8:{rng.getrandbits(16):x}:{rng.getrandbits(16):x}::{rng.getrandbits(16):x}"
    return f"198.{rng.choice((18, 19))}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
