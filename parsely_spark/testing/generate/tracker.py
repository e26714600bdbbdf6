"""When the trackers send heartbeats, and how many engaged seconds each one carries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The timing of one tracker: a first interval, then intervals that grow with the time since the start."""

    first_s: float
    jitter_s: float
    longest_s: float
    truncates: bool = False  # engaged seconds are cut, so 0 can be sent; otherwise rounded, and 0 is not sent


WEB: Final = Schedule(first_s=150, jitter_s=2.5, longest_s=3600)
ANDROID: Final = Schedule(first_s=10.5, jitter_s=0, longest_s=900)
IOS: Final = Schedule(first_s=10.5, jitter_s=0, longest_s=900, truncates=True)


def heartbeats(rng: random.Random, schedule: Schedule, stay_s: float, attention: float) -> list[tuple[float, int]]:
    """List the heartbeats of one page or video.

    Args:
        rng: source of chance.
        schedule: timing of the tracker.
        stay_s: seconds from the start until the page is left or the video stops.
        attention: share of that time that counts as engaged, 0 to 1.

    Returns:
        Pairs (seconds since the start, engaged seconds since the pair before), in order.
    """
    sent: list[tuple[float, int]] = []
    last = 0.0
    for moment in _moments(rng, schedule, stay_s):
        engaged = (moment - last) * attention
        whole = int(engaged) if schedule.truncates else round(engaged)
        if whole > 0 or schedule.truncates:
            sent.append((moment, min(whole, 3600)))
            last = moment
    return sent


def _moments(rng: random.Random, schedule: Schedule, stay_s: float) -> list[float]:
    """List the seconds at which the tracker looks: by its clock, and each time the page becomes hidden."""
    moments = []
    elapsed = schedule.first_s + rng.uniform(-schedule.jitter_s, schedule.jitter_s)
    while elapsed < stay_s:
        moments.append(elapsed)
        elapsed += min(0.3 * (elapsed + 35), schedule.longest_s)
    hides = rng.choices((0, 1, 2), cum_weights=(70, 92, 100))[0] if stay_s > 20 else 0
    moments.extend(rng.uniform(5, stay_s) for _ in range(hides))
    # The last flush, on leaving, is lost now and then.
    if rng.random() < 0.93:
        moments.append(stay_s)
    return sorted(moments)
