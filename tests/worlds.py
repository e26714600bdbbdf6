"""Small made-up worlds of events for property tests: each is a site of its own, so that one lake holds many."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

RUNS = 4 if "PARSELY_SPARK_SOAK" in os.environ else 2
DAY_MS = 1_768_348_800_000  # 2026-01-14 00:00 UTC
TEN_MINUTES_MS = 600_000
IN_DOUBT = "user_agent"  # no other column depends on what it says here; conflicting copies differ in it alone
VISITORS = ("v0", "v1", "v1", "OPTOUT", "", None)
KINDS = ("tracked", "tracked", "skewed", "idle", "idle", "idle", "no session")
ACTIONS = ("pageview", "heartbeat", "videostart", "vheartbeat", "conversion", "vote", None)


@dataclass(frozen=True)
class Happening:
    """An event of a world, and how it is delivered.

    Attributes:
        slot: when, in steps of ten minutes; neighbours are often exactly the longest silence apart.
        nothing: what stands in text fields where there is nothing, if anything does.
        late_ms: a second or a millisecond more.
        deliveries: the runs in which a copy arrives, and in which of their files.
        conflicts: whether the copies differ.
    """

    visitor: str | None
    kind: str
    action: str | None
    slot: int
    late_ms: int
    lag: int
    page: int
    nothing: str | None
    seconds: int
    deliveries: list[tuple[int, int]]
    conflicts: bool

    def lines(self, site: str, number: int) -> list[tuple[int, int, str]]:
        """The copies as lines, each with its run and file."""
        at_ms = DAY_MS + 20 * 3_600_000 + self.slot * TEN_MINUTES_MS + self.late_ms
        event: dict[str, Any] = {
            "apikey": site,
            "event_id": f"{site}-{number}",
            "action": self.action,
            "visitor_site_id": self.visitor,
            "timestamp_info_nginx_ms": at_ms,
            "url_clean": f"http://{site}/{self.page}" if self.page else self.nothing,
            "referrer": self.nothing,
            "utm_source": self.nothing,
            "pageview_id": self.nothing,
            "engaged_time_inc": self.seconds,
            **self._session(at_ms),
        }
        if self.lag:  # the client's clock, as far behind as is just believed, or a second more
            event["timestamp_info_nginx_ms"] = at_ms + 7 * 86_400_000 + (self.lag - 1) * 1000
            event["ts_action"] = _text_of(at_ms // 1000)
        copies = []
        for copy, (run, file) in enumerate(self.deliveries):
            event[IN_DOUBT] = f"copy {copy}" if self.conflicts else "same"
            copies.append((run, file, json.dumps(event)))
        return copies

    def _session(self, at_ms: int) -> dict[str, object]:
        if self.kind == "idle":
            return {"session": False}
        if self.kind == "no session":
            return {"session": True, "session_id": 3, "session_timestamp": 0}
        start = at_ms - at_ms % (3 * 3_600_000) if self.kind == "tracked" else DAY_MS - 50 * 86_400_000
        return {"session": True, "session_id": 1 + self.slot // 18, "session_timestamp": start}


def _text_of(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def worlds_of(seed: int) -> list[list[Happening]]:
    """Thirty worlds that follow from the seed: a run over them costs as much as one over one of them."""
    chance = Random(seed)
    return [[_happening(chance) for _ in range(chance.randint(1, 12))] for _ in range(30)]


def _happening(chance: Random) -> Happening:
    return Happening(
        visitor=chance.choice(VISITORS),
        kind=chance.choice(KINDS),
        action=chance.choice(ACTIONS),
        slot=chance.randint(0, 40),
        late_ms=chance.choice([0, 0, 1, 1000]),
        lag=chance.choice([0, 0, 0, 1, 2]),
        page=chance.randint(0, 2),
        nothing=chance.choice(["", None]),
        seconds=chance.choice([0, 5, 15, 86_400, 86_401, -1]),
        deliveries=[(chance.randrange(RUNS), chance.randrange(2)) for _ in range(chance.randint(1, 3))],
        conflicts=chance.random() < 0.3,
    )
