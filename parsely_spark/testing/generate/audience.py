"""Who visits: the kinds of visitors, their shares, and the JSON that all events of one visitor share."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate
from typing import Final

from .devices import ANDROID_APPS, BOTS, BROWSERS, IOS_APPS, pick_device
from .fragments import fragment
from .places import pick_ip, pick_place
from .records import NULL
from .sites import DAY, SITE_WEIGHTS, Site

ZERO_ID: Final = "00000000-0000-0000-0000-000000000000"


class Kind(Enum):
    """What sends the events of a visitor, and what is odd about it."""

    READER = auto()
    NIGHT_OWL = auto()  # a reader whose first session goes on past midnight
    SKEWED = auto()  # a reader whose clock is days off
    OPT_OUT = auto()  # no cookies: everyone is "OPTOUT" and each load is a first session
    NOBODY = auto()  # visitor=false
    AMP = auto()
    APPLE_NEWS = auto()
    ANDROID = auto()  # no session fields
    ZERO_AD_ID = auto()  # Android with the advertising id withheld
    IOS = auto()  # no pageview and videostart ids
    GOOGLEBOT = auto()
    BOT = auto()  # any crawler, some in disguise


# Share of each kind among visitors, per mille. Bots are few but busy.
_SHARES: Final = {
    Kind.READER: 849, Kind.NIGHT_OWL: 3, Kind.SKEWED: 6, Kind.OPT_OUT: 15, Kind.NOBODY: 6, Kind.AMP: 55,
    Kind.APPLE_NEWS: 12, Kind.ANDROID: 24, Kind.ZERO_AD_ID: 4, Kind.IOS: 24, Kind.GOOGLEBOT: 1,
    Kind.BOT: 1,
}  # fmt: skip
_WEIGHTS: Final = tuple(accumulate(_SHARES.values()))

# Each group of events opens with one of each, so that a small bucket holds every kind too.
_PARADE: Final = (
    Kind.READER, Kind.ANDROID, Kind.OPT_OUT, Kind.IOS, Kind.NIGHT_OWL, Kind.AMP, Kind.SKEWED, Kind.APPLE_NEWS,
    Kind.NOBODY, Kind.ZERO_AD_ID, Kind.GOOGLEBOT, Kind.BOT,
)  # fmt: skip

_DEVICES: Final = {
    Kind.ANDROID: ANDROID_APPS, Kind.ZERO_AD_ID: ANDROID_APPS, Kind.IOS: IOS_APPS,
    Kind.APPLE_NEWS: IOS_APPS, Kind.GOOGLEBOT: BOTS[:1], Kind.BOT: BOTS,
}  # fmt: skip
_CHANNELS: Final = {Kind.AMP: "amp", Kind.APPLE_NEWS: "apln-rta"}

# Extra data that a publisher attaches to each pageview of a known reader.
_STANDINGS: Final = (
    NULL,
    '{"subscriber_type":"premium","logged_in":true}',
    '{"subscriber_type":"registered","logged_in":true,"newsletters":["daily","sport"]}',
    '{"subscriber_type":"staff","is_internal":true}',
)
_STANDING_WEIGHTS: Final = (82, 92, 99, 100)  # cumulative


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """One visitor of one site."""

    kind: Kind
    site: Site
    fragment: str
    skew_ms: int  # how far the clock of the client is ahead
    standing: str  # extra_data of pageviews, JSON or null


def invite(rng: random.Random, sites: tuple[Site, ...]) -> Iterator[Visitor]:
    """Draw visitors without end: first one of each kind, then by their shares."""
    kinds = tuple(_SHARES)
    yield from (_visitor(rng, kind, sites) for kind in _PARADE)
    while True:
        yield _visitor(rng, rng.choices(kinds, cum_weights=_WEIGHTS)[0], sites)


def _visitor(rng: random.Random, kind: Kind, sites: tuple[Site, ...]) -> Visitor:
    site = rng.choices(sites, cum_weights=SITE_WEIGHTS)[0]
    device = pick_device(rng, _DEVICES.get(kind, BROWSERS)).fragments(rng)
    known = kind is not Kind.NOBODY
    ip = pick_ip(rng, hashed=site.profile.hides_ip)
    own = {
        "apikey": site.profile.domain,
        "channel": _CHANNELS.get(kind, "website"),
        "flags_is_amp": kind is Kind.AMP,
        "schema_version": "2.4.3",
        "version": 1,
        "visitor": known,
        "visitor_ip": ip if known else None,
        "visitor_network_id": None,
        "visitor_site_id": _site_id(rng, kind),
    }
    return Visitor(
        kind=kind,
        site=site,
        fragment=f"{device},{pick_place(rng)},{fragment(own)}",
        skew_ms=rng.choice((-1, 1)) * rng.randint(2 * DAY, 60 * DAY) * 1000 if kind is Kind.SKEWED else 0,
        standing=rng.choices(_STANDINGS, cum_weights=_STANDING_WEIGHTS)[0],
    )


def _site_id(rng: random.Random, kind: Kind) -> str | None:
    """Write ``visitor_site_id`` in one of the forms that trackers have used."""
    bits = rng.getrandbits(128)
    if kind is Kind.NOBODY:
        return None
    if kind is Kind.OPT_OUT:
        return "OPTOUT"
    if kind is Kind.ZERO_AD_ID:
        return ZERO_ID
    if kind is Kind.AMP:
        return f"amp-{bits:032x}"
    form = rng.random()
    if form < 0.7 or kind in (Kind.ANDROID, Kind.IOS):
        return str(uuid.UUID(int=bits, version=4))
    return f"pid={bits:032x}" if form < 0.9 else f"pid={uuid.UUID(int=bits, version=4)}"
