"""Journeys of people with a mobile app, whose trackers send less than the one in the browser."""

from __future__ import annotations

from . import extras, fragments, tracker
from .fragments import NO_METADATA, NO_SESSION
from .pen import Pen, View, uuid_id
from .records import NULL
from .sites import HOUR, Page

_PAUSE_S = 31 * 60


def use_android(pen: Pen, opening: float) -> None:
    """Play an Android app: no session fields, UUIDs, no metadata on heartbeats; offline, events wait."""
    rng, at = pen.rng, opening
    while at < pen.end_s:
        offline, noted = at > opening and rng.random() < 0.4, len(pen.events)
        at = _use(pen, at, 1 + min(int(rng.expovariate(0.6)), 12), NO_SESSION)
        if offline:
            pen.send_as_batch(noted, at + rng.expovariate(1 / 600))
        if rng.random() < 0.4:
            return
        # A pause of less than 30 minutes does not end a session.
        is_short = rng.random() < 0.4
        at += rng.uniform(60, _PAUSE_S - 120) if is_short else _PAUSE_S + rng.expovariate(1 / (3 * HOUR))


def use_ios(pen: Pen, opening: float) -> None:
    """Play an iOS app: sessions, no pageview and videostart ids, engaged seconds cut to whole ones."""
    rng, at = pen.rng, opening
    number, previous_ms = pen.visits_before(opening)
    while at < pen.end_s:
        started_ms = pen.client_ms(at)
        session = fragments.session(number, started_ms, previous_ms, pen.visitor.site.home.url, "", "direct")
        at = _use(pen, at, 1 + min(int(rng.expovariate(0.6)), 12), session)
        number, previous_ms = number + 1, started_ms
        if rng.random() < 0.55:
            return
        at += _PAUSE_S + rng.expovariate(1 / (4 * HOUR))


def read_apple_news(pen: Pen, opening: float) -> None:
    """Play articles in Apple News: a channel of its own, no sessions, details in ``extra_data.apln``."""
    rng, at = pen.rng, opening
    for _ in range(rng.randint(1, 4)):
        page = pen.visitor.site.pick_post(rng, at)
        view = _screen(page, page.metadata_at(at), NO_SESSION)
        view.extra = extras.apple_news(rng, pen.visitor.site.profile.voice.sections[0])
        view.pageview_id = uuid_id(rng)
        pen.note_pageview(at, view)
        at += rng.uniform(10, 400)


def _use(pen: Pen, at: float, screens: int, session: str) -> float:
    """Play *screens* screens of an app and give the end, epoch seconds."""
    rng, site = pen.rng, pen.visitor.site
    android = session is NO_SESSION
    for _ in range(screens):
        page = site.home if rng.random() < 0.2 else site.pick_post(rng, at)
        view = _screen(page, page.metadata_android if android else page.metadata_at(at), session)
        if android:
            view.pageview_id = uuid_id(rng)
        pen.note_pageview(at, view)
        stay_s = min(rng.lognormvariate(3.2, 1.1), 2400)
        if rng.random() < site.profile.video_share:
            stay_s += _watch(pen, at + 1, view, android=android)
        pen.note_heartbeats(at, view, tracker.ANDROID if android else tracker.IOS, stay_s)
        if rng.random() < extras.CONVERSION_SHARE:
            pen.note(at + stay_s / 2, "conversion", view, metadata=NO_METADATA, extra=extras.conversion(rng))
        at += stay_s + rng.random() * 3
    return at


def _screen(page: Page, metadata: str, session: str) -> View:
    return View(
        url=page.url,
        came_from="",
        category="direct",
        address=fragments.page_address(page.url),
        referrer=fragments.referrer("", "direct"),
        session=session,
        metadata=metadata,
    )


def _watch(pen: Pen, at: float, view: View, *, android: bool) -> float:
    video = pen.rng.choice(pen.visitor.site.videos)
    if not android:
        return pen.note_video(at, view, video, schedule=tracker.IOS, start_id=NULL, metadata=video.metadata)
    start_id = uuid_id(pen.rng)
    return pen.note_video(at, view, video, schedule=tracker.ANDROID, start_id=start_id, metadata=video.metadata_android)
