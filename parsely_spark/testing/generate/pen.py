"""Writing down what one visitor does, as the tracker on the page and the collector would."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

from . import tracker
from .audience import Visitor
from .fragments import NO_METADATA
from .records import NULL, Event
from .sites import DAY, HOUR, Video


@dataclass(slots=True, kw_only=True)
class View:
    """One pageview: what its own event, its heartbeats and its videos have in common."""

    url: str
    came_from: str
    category: str
    address: str  # fragments
    referrer: str
    session: str
    metadata: str = NO_METADATA
    heartbeat_metadata: str = NO_METADATA
    pageload_id: str = NULL  # JSON
    pageview_id: str = NULL
    extra: str = NULL


class Pen:
    """Collects the events of one visitor and drops those that the collector would receive after the end."""

    def __init__(self, rng: random.Random, visitor: Visitor, end_s: int) -> None:
        self.rng = rng
        self.visitor = visitor
        self.end_s = end_s
        self.events: list[Event] = []

    def client_ms(self, at: float) -> int:
        """Read the clock of the client at epoch second *at*."""
        return int(at * 1000) + self.visitor.skew_ms

    def visits_before(self, at: float) -> tuple[int, int]:
        """Draw the past of a visitor who is first seen at *at*.

        Returns:
            The ordinal of the session that starts now, and the start of the one before, client clock in ms:
            (1, 0) for a visitor who was never here.
        """
        if self.rng.random() < 0.6:
            return 1, 0
        away_ms = self.rng.randint(2 * HOUR, 20 * DAY) * 1000 + self.rng.randrange(1000)
        return self.rng.randint(2, 40), self.client_ms(at) - away_ms

    def note(
        self,
        at: float,
        action: str,
        view: View,
        *,
        metadata: str,
        engaged_s: int | None = None,
        extra: str = NULL,
        pageview_id: str = NULL,
        videostart_id: str = NULL,
    ) -> None:
        """Write down one event of *view* that happens at epoch second *at*."""
        server_s = int(at + self._latency())
        if server_s >= self.end_s:
            return
        self.events.append(
            Event(
                server_s=server_s,
                sent_ms=self.client_ms(at),
                override_ms=None,
                lie_s=0,
                action=action,
                event_id=f"0x{self.rng.getrandbits(128):032x}",
                engaged_s=engaged_s,
                extra=extra,
                pageload_id=view.pageload_id,
                pageview_id=pageview_id,
                videostart_id=videostart_id,
                visitor=self.visitor.fragment,
                session=view.session,
                address=view.address,
                referrer=view.referrer,
                metadata=metadata,
            )
        )

    def send_as_batch(self, first: int, at: float) -> None:
        """Send the events from the *first* on together at epoch second *at*, each with its own time."""
        batch = self.events[first:]
        del self.events[first:]
        if at < self.end_s:
            server_s, sent_ms = int(at), self.client_ms(at)
            self.events += (
                event._replace(server_s=server_s, sent_ms=sent_ms, override_ms=event.sent_ms) for event in batch
            )

    def note_pageview(self, at: float, view: View) -> None:
        """Write down that the page is seen."""
        pageview_id = view.pageview_id
        self.note(at, "pageview", view, metadata=view.metadata, extra=view.extra, pageview_id=pageview_id)

    def note_heartbeats(self, at: float, view: View, schedule: tracker.Schedule, stay_s: float) -> None:
        """Write down the engaged seconds of a stay on the page from epoch second *at*."""
        attention = self.rng.uniform(0.35, 0.98)
        for offset, engaged_s in tracker.heartbeats(self.rng, schedule, stay_s, attention):
            self.note(
                at + offset,
                "heartbeat",
                view,
                metadata=view.heartbeat_metadata,
                engaged_s=engaged_s,
                pageview_id=view.pageview_id,
            )

    def note_video(
        self,
        at: float,
        view: View,
        video: Video,
        *,
        schedule: tracker.Schedule,
        start_id: str,
        metadata: str,
    ) -> float:
        """Write down a video that plays on the page from epoch second *at*; give the seconds watched."""
        watched_s = min(video.duration_s, self.rng.lognormvariate(3.6, 1.1))
        self.note(at, "videostart", view, metadata=metadata, videostart_id=start_id)
        for offset, engaged_s in tracker.heartbeats(self.rng, schedule, watched_s, 1.0):
            self.note(
                at + offset,
                "vheartbeat",
                view,
                metadata=metadata,
                engaged_s=engaged_s,
                videostart_id=start_id,
            )
        return watched_s

    def _latency(self) -> float:
        """Draw the seconds from sending to receiving; one connection in a hundred is slow."""
        chance = self.rng.random()
        return 0.05 + chance * 0.8 if chance < 0.99 else 2 + (chance - 0.99) * 1500


def number_id(rng: random.Random) -> str:
    """Write the 8-digit id of a browser tracker, as JSON."""
    return f'"{rng.randrange(10_000_000, 100_000_000)}"'


def uuid_id(rng: random.Random) -> str:
    """Write the UUID of a mobile tracker, as JSON."""
    return f'"{uuid.UUID(int=rng.getrandbits(128), version=4)}"'
