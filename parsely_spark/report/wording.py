"""Numbers, times and names as a reader wants them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from parsely_spark.report.figures import Period

LONGEST_NAME = 90
NOT_KNOWN = "not known"
_EPOCH_DAY = date(1970, 1, 1)


def number(value: float) -> str:
    """A count: whole, in groups of three."""
    return f"{round(value):,}"


def short_number(value: float) -> str:
    """A count where there is little room, as on an axis."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def decimal(value: float) -> str:
    """A number that is not whole, such as credit."""
    return f"{value:,.1f}"


def percent(part: float, whole: float) -> str:
    """A share of a whole; nothing where there is none."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return "<0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


def duration(seconds: float) -> str:
    """A time in two units at most."""
    whole = round(seconds)
    for size, unit, part_size, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part_size
            return f"{whole // size:,} {unit} {rest} {part}" if rest else f"{whole // size:,} {unit}"
    return f"{whole} s"


def hours(seconds: float) -> str:
    """Much time, such as that of all readers together."""
    return f"{seconds / 3600:,.0f} h" if seconds >= 36_000 else f"{seconds / 3600:,.1f} h"


def day(of: int, *, weekday: bool = False) -> str:
    """A day since the epoch."""
    when = _EPOCH_DAY + timedelta(days=of)
    return f"{when:%a} {when.day} {when:%b}" if weekday else f"{when.day} {when:%b}"


def hour(of: int) -> str:
    """An hour since the epoch, by the clock that counts."""
    return f"{day(of // 24, weekday=True)}, {of % 24:02d}:00"


def dates(period: Period) -> str:
    """The dates of a period, both ends included."""
    first, last = period.since, period.until - timedelta(days=1)
    end = f"{last.day} {last:%B %Y}"
    if first == last:
        return end
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{end}"
    begin = f"{first.day} {first:%B}" if first.year == last.year else f"{first.day} {first:%B %Y}"
    return f"{begin} – {end}"


def instant(at: datetime, timezone: str) -> str:
    """An instant in the reporting time zone; in UTC where this machine does not know that zone."""
    there, note = _there(at, timezone)
    return f"{there:%Y-%m-%d %H:%M}{note}"


def short_instant(at: datetime, timezone: str) -> str:
    """Likewise, without the year."""
    there, note = _there(at, timezone)
    return f"{there.day} {there:%b, %H:%M}{note}"


def _there(at: datetime, timezone: str) -> tuple[datetime, str]:
    try:
        return at.astimezone(ZoneInfo(timezone)), ""
    except (ZoneInfoNotFoundError, OSError):  # no list of zones here; Spark's Java has its own
        return at.astimezone(UTC), " UTC"


def named(name: str | None, *, longest: int = LONGEST_NAME) -> str:
    """A name of any length, from anywhere."""
    if name is None or not name.strip():
        return NOT_KNOWN
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def address(url: str | None) -> str:
    """A URL as it is read, without its scheme."""
    return named(None if url is None else re.sub(r"^https?://(www\.)?", "", url))
