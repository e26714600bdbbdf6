"""Journeys of people with a browser: sessions, the pages in them, what happens on each page."""

from __future__ import annotations

import random
from typing import Final

from . import extras, fragments, tracker
from .arrivals import Arrival, arrive
from .audience import Kind
from .fragments import NO_METADATA
from .pen import Pen, View, number_id
from .sites import DAY, HOUR, Page

SESSION_TIMEOUT_S: Final = 30 * 60
LONGEST_STAY_S: Final = 90 * 60  # until here heartbeats come often enough to keep a session alive
_SEARCHES: Final = ("harbor+levy", "river+otters", "stra%C3%9Fe", "snow%20day", "lemon+tart")


def browse(pen: Pen, opening: float) -> None:
    """Play all sessions of a visitor who comes first at epoch second *opening*."""
    rng = pen.rng
    number, previous_ms = pen.visits_before(opening)
    at = opening
    for _ in range(rng.choices((1, 2, 3, 5), cum_weights=(62, 84, 95, 100))[0]):
        started_ms = pen.client_ms(at)
        is_long = at == opening and pen.visitor.kind is Kind.NIGHT_OWL
        at, last = _visit(pen, at, number, previous_ms, long=is_long)
        number, previous_ms = number + 1, started_ms
        if rng.random() < 0.03 and not _forgets(pen):
            at += SESSION_TIMEOUT_S + 60 + rng.expovariate(1 / HOUR)
            _resume(pen, at, last, number, previous_ms)
            number, previous_ms = number + 1, pen.client_ms(at)
        mean_pause_s = 5 * HOUR if rng.random() < 0.8 else 4 * DAY
        at += SESSION_TIMEOUT_S + 60 + rng.expovariate(1 / mean_pause_s)
        if at >= pen.end_s:
            return


def _visit(pen: Pen, at: float, number: int, previous_ms: int, *, long: bool) -> tuple[float, View]:
    """Play one session; give its end (epoch seconds) and the page it ended on."""
    rng, site = pen.rng, pen.visitor.site
    arrival = arrive(rng, site.home.url)
    page = site.home if rng.random() < 0.22 else site.pick_post(rng, at)
    url = _link(rng, pen, page, arrival.query)
    category, came_from = arrival.category, arrival.referrer
    session = fragments.session(number, pen.client_ms(at), previous_ms, url, came_from, category)
    pageload_id = number_id(rng)
    pages = 1 + min(int(rng.expovariate(0.75)), 14)
    for step in range(pages):
        if _forgets(pen):
            session = fragments.session(1, pen.client_ms(at), 0, url, came_from, category)
        view = _view(pen, at, page, url, Arrival(came_from, category, ""), session, pageload_id)
        at = _read(pen, at, view, at_least_s=300 if long and step == 0 else 0)
        if at >= pen.end_s:
            break
        category, came_from = "internal", url
        page = _next_page(pen, at)
        url = _link(rng, pen, page, "")
        # In a single-page app the tracker loads once and tracks many pages.
        pageload_id = pageload_id if site.profile.single_page_app else number_id(rng)
    return at, view


def _forgets(pen: Pen) -> bool:
    """Tell whether the browser keeps no state, so that each load is a first session."""
    return pen.visitor.kind in (Kind.OPT_OUT, Kind.NOBODY)


def _next_page(pen: Pen, at: float) -> Page:
    site, chance = pen.visitor.site, pen.rng.random()
    if chance < 0.04:
        # A search page: nothing that a crawler would describe.
        query = pen.rng.choice(_SEARCHES)
        return Page(url=f"{site.home.url}search?q={query}", published_s=0, metadata=NO_METADATA)
    if chance < 0.2:
        return pen.rng.choice((site.home, *site.fronts))
    return site.pick_post(pen.rng, at)


def _link(rng: random.Random, pen: Pen, page: Page, query: str) -> str:
    """Write the URL under which *page* is opened."""
    url = page.url.replace("//www.", "//amp.") if pen.visitor.kind is Kind.AMP else page.url
    if query:
        return f"{url}{'&' if '?' in url else '?'}{query}"
    return f"{url}#comments" if rng.random() < 0.02 else url


def _view(pen: Pen, at: float, page: Page, url: str, arrival: Arrival, session: str, pageload_id: str) -> View:
    rng = pen.rng
    metadata = page.metadata_at(at) if rng.random() < 0.985 else NO_METADATA  # not crawled yet
    joined = rng.random() < pen.visitor.site.profile.joins_heartbeats
    return View(
        url=url,
        came_from=arrival.referrer,
        category=arrival.category,
        address=fragments.page_address(url),
        referrer=fragments.referrer(arrival.referrer, arrival.category),
        session=session,
        metadata=metadata,
        heartbeat_metadata=metadata if joined else NO_METADATA,
        pageload_id=pageload_id,
        pageview_id=number_id(rng),
        extra=pen.visitor.standing,
    )


def _read(pen: Pen, at: float, view: View, *, at_least_s: float) -> float:
    """Play one pageview and give its end, epoch seconds."""
    rng = pen.rng
    if rng.random() < 0.996:  # a lost pageview leaves heartbeats behind that no pageview explains
        pen.note_pageview(at, view)
    if at_least_s == 0 and rng.random() < 0.27:  # gone before the first heartbeat, often within the second
        return at + rng.expovariate(1 / 4)
    stay_s = max(at_least_s, min(rng.lognormvariate(3.75, 1.15), LONGEST_STAY_S))
    if rng.random() < pen.visitor.site.profile.video_share:
        video = rng.choice(pen.visitor.site.videos)
        delay = rng.uniform(1, 15)
        watched_s = pen.note_video(
            at + delay, view, video, schedule=tracker.WEB, start_id=number_id(rng), metadata=video.metadata
        )
        stay_s = max(stay_s, delay + watched_s)
    pen.note_heartbeats(at, view, tracker.WEB, stay_s)
    _act(pen, at, view, stay_s)
    return at + stay_s + rng.random()


def _act(pen: Pen, at: float, view: View, stay_s: float) -> None:
    """Convert, scroll, share, vote, now and then."""
    rng = pen.rng
    if rng.random() < extras.CUSTOM_SHARE:
        action, extra = extras.custom(rng)
        pen.note(
            at + rng.random() * stay_s, action, view,
            metadata=view.metadata, extra=extra, pageview_id=view.pageview_id,
        )  # fmt: skip
    if rng.random() < extras.CONVERSION_SHARE:
        pen.note(
            at + rng.random() * stay_s, "conversion", view,
            metadata=view.metadata, extra=extras.conversion(rng), pageview_id=view.pageview_id,
        )  # fmt: skip


def _resume(pen: Pen, at: float, view: View, number: int, previous_ms: int) -> None:
    """Come back to a sleeping tab: its heartbeats go on under the old pageview, in a new session."""
    category, came_from = view.category, view.came_from
    view.session = fragments.session(number, pen.client_ms(at), previous_ms, view.url, came_from, category)
    pen.note_heartbeats(at, view, tracker.WEB, pen.rng.lognormvariate(3.5, 0.8))


def crawl(pen: Pen, opening: float, pages: int) -> None:
    """Play a bot that opens *pages* pages in a row, a few seconds apart, and engages with none."""
    rng, site, at = pen.rng, pen.visitor.site, opening
    session = fragments.session(1, pen.client_ms(at), 0, site.home.url, "", "direct")
    for _ in range(pages):
        page = rng.choice(site.posts[: len(site.posts) // 2])
        if page.published_s <= at:
            view = _view(pen, at, page, page.url, Arrival("", "direct", ""), session, number_id(rng))
            pen.note_pageview(at, view)
        at += rng.uniform(0.4, 12)
