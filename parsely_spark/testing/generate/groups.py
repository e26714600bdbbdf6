"""What is generated, and in which groups; the visitors and the events of one group."""

from __future__ import annotations

import random
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from . import apps, readers
from .audience import Kind, Visitor, invite
from .clock import Span
from .pen import Pen
from .records import Event
from .sites import DAY, build_sites

GROUP_EVENTS: Final = 25_000

# ts_action wrong by years, once in 5,000 events.
_LIES_EVERY: Final = 5000
_LIES_S: Final = (-6 * 365 * DAY, 12 * 365 * DAY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that decides what is generated, and where it goes."""

    out: str
    events: int
    hours: int
    seed: int
    start_s: int  # epoch seconds, a whole hour

    @property
    def span(self) -> Span:
        """The range of server times."""
        return Span(start_s=self.start_s, hours=self.hours)

    @property
    def groups(self) -> int:
        """Number of groups, which know nothing of one another and can be written in any order."""
        return -(-self.events // GROUP_EVENTS)

    def events_of(self, group: int) -> int:
        """Number of distinct events of *group*; the groups differ by one at most."""
        return self.events * (group + 1) // self.groups - self.events * group // self.groups


def draw_events(rng: random.Random, plan: Plan, group: int) -> list[Event]:
    """Draw exactly as many distinct events as *group* has; the last visitor is cut short."""
    span, wanted = plan.span, plan.events_of(group)
    curve = span.curve()
    events: list[Event] = []
    for visitor in invite(rng, build_sites(plan.seed, plan.start_s, plan.hours)):
        journey = _play(rng, visitor, span, span.pick_opening(rng, curve), longest_crawl=wanted // 25)
        events += sorted(journey, key=attrgetter("server_s"))[: wanted - len(events)]
        if len(events) == wanted:
            break
    for number, index in enumerate(range(137, wanted, _LIES_EVERY)):
        events[index] = events[index]._replace(lie_s=_LIES_S[number % len(_LIES_S)])
    return events


def _play(rng: random.Random, visitor: Visitor, span: Span, opening: float, *, longest_crawl: int) -> list[Event]:
    pen = Pen(rng, visitor, span.end_s)
    match visitor.kind:
        case Kind.ANDROID | Kind.ZERO_AD_ID:
            apps.use_android(pen, opening)
        case Kind.IOS:
            apps.use_ios(pen, opening)
        case Kind.APPLE_NEWS:
            apps.read_apple_news(pen, opening)
        case Kind.GOOGLEBOT | Kind.BOT:
            readers.crawl(pen, opening, max(3, min(rng.randint(60, 240), longest_crawl)))
        case Kind.NIGHT_OWL:
            readers.browse(pen, span.pick_dusk(rng) or opening)
        case _:
            readers.browse(pen, opening)
    return pen.events
