"""The generated range of time and the daily curve of its load."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from .sites import DAY, HOUR

# Relative load of the 24 hours of a day, UTC, for an audience mostly in the Americas.
_LOAD: Final = (
    62, 55, 46, 36, 27, 20, 17, 19, 26, 35, 46, 62, 80, 92, 97, 98, 100, 98, 94, 90, 86, 82, 77, 70,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Whole hours of server time, from ``start_s`` (epoch seconds) to before ``end_s``."""

    start_s: int
    hours: int

    @property
    def end_s(self) -> int:
        """The first second after the range."""
        return self.start_s + self.hours * HOUR

    def curve(self) -> tuple[int, ...]:
        """Cumulative load of the hours of the range."""
        return tuple(accumulate(_LOAD[(self.start_s // HOUR + hour) % 24] for hour in range(self.hours)))

    def pick_opening(self, rng: random.Random, curve: tuple[int, ...]) -> float:
        """Draw the second at which a visitor comes first, by the load *curve* of this range."""
        hour: int = rng.choices(range(self.hours), cum_weights=curve)[0]
        # Not in the very last second: the collector needs a moment to receive the event.
        return self.start_s + hour * HOUR + rng.random() * (HOUR - 2)

    def pick_dusk(self, rng: random.Random) -> float | None:
        """Draw a second shortly before a midnight of the range, else before an hour, else None."""
        for period in (DAY, HOUR):
            first = (self.start_s // period + 1) * period
            midnights = range(first, self.end_s, period)
            if midnights:
                return rng.choice(midnights) - 30 - rng.random() * 150
        return None
