"""What the report shows, as data: small, collected, without Spark and without HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from parsely_spark.tables.gaps import OpenGap

Counts = dict[str, float]  # what is counted, by the names of the tables' columns → how many


@dataclass(frozen=True, kw_only=True)
class Period:
    """What the report is about.

    Attributes:
        since: the first local date.
        until: the first local date that does not count any more.
        timezone: of these dates and of every hour that is shown.
        hours: the hours that the clocks of that zone show in it, each as whole hours since the epoch of that clock. One
            that a change of clocks leaves out is not there; one that comes twice is there once, with both.
        now: when the report is made, UTC.
    """

    since: date
    until: date
    timezone: str
    hours: tuple[int, ...]
    now: datetime

    @property
    def days(self) -> tuple[int, ...]:
        """Its dates, as days since the epoch."""
        return tuple(sorted({hour // 24 for hour in self.hours}))


@dataclass(frozen=True, kw_only=True)
class Item:
    """One value of a dimension: a post, a country, a length of sessions.

    Attributes:
        name: the value; None where it is not known.
        counts: what there is of it.
        apikey: the site that it belongs to.
        title: what a reader knows it by, where that is not the name.
    """

    name: str | None
    counts: Counts
    apikey: str | None = None
    title: str | None = None


@dataclass(kw_only=True)
class Site:
    """What is known of one site, or of all together.

    Attributes:
        apikey: the site; None for all of them.
        hours: by hour, as in `Period`.
        days: by day, likewise; what cannot be added up from hours, such as visitors.
        totals: of the whole period.
        by: the values of each dimension, the largest first.
        newest_at: ``event_at`` of the newest event of the period, UTC.
    """

    apikey: str | None
    hours: dict[int, Counts] = field(default_factory=dict)
    days: dict[int, Counts] = field(default_factory=dict)
    totals: Counts = field(default_factory=dict)
    by: dict[str, list[Item]] = field(default_factory=dict)
    newest_at: datetime | None = None

    def series(self, name: str, hours: Iterable[int]) -> list[float]:
        """How many *name* each of *hours* has."""
        return [self.hours.get(hour, {}).get(name, 0) for hour in hours]

    def daily(self, name: str, days: Iterable[int]) -> list[float]:
        """How many *name* each of *days* has."""
        return [self.days.get(day, {}).get(name, 0) for day in days]

    def total(self, name: str) -> float:
        """How many *name* there are in the period."""
        return self.totals.get(name, 0)

    def add(self, where: dict[int, Counts], key: int, counts: Counts) -> None:
        """Add *counts* to those of an hour or a day."""
        where[key] = added(where.get(key, {}), counts)


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """The account of one run of ``batch`` or ``stream``, as ``runs`` has it."""

    job: str
    run_id: str
    ended_at: datetime
    outcome: str
    error: str | None
    counts: Counts
    unknown_fields: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """How many lines the account does not explain; 0 where it is right."""
        return unexplained(self.counts)


@dataclass(frozen=True, kw_only=True)
class Rejects:
    """The rejected lines of one reason, with an example of which the beginning is there."""

    reason: str
    lines: int
    newest_at: datetime
    example: str | None
    source: str | None


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The sum of a measure in one table, beside that of the events which it has to hold.

    Attributes:
        table: the derived table.
        measure: the column.
        stored: its sum in the table.
        expected: its sum in the events that the table holds, of those that take part.
        rest: its sum in the events that the table leaves out, such as those of nobody in sessions.
        behind: how many versions of events the table does not hold yet; then the sums need not be equal.
    """

    table: str
    measure: str
    stored: int
    expected: int
    rest: int
    behind: int

    @property
    def is_right(self) -> bool:
        """Whether the sums are equal, or cannot be compared yet."""
        return self.stored == self.expected or self.behind > 0


@dataclass(kw_only=True)
class LakeFigures:
    """What is known of the lake as a whole, whatever the period."""

    runs: list[RunFigures] = field(default_factory=list)
    account: Counts = field(default_factory=dict)  # of all runs that the table still has
    files: Counts = field(default_factory=dict)
    rejected: list[Rejects] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    gaps: list[OpenGap] = field(default_factory=list)


@dataclass(kw_only=True)
class Figures:
    """All of the report.

    Attributes:
        period: what it is about.
        place: of the lake.
        sites: the sites, the largest first.
        more_sites: others that have events in the period and are not shown.
        all_sites: the sites that are shown, together.
        lake: what is about no site.
        missing: derived tables that the lake has not; what needs them is not known.
    """

    period: Period
    place: str
    sites: list[Site]
    more_sites: list[str]
    all_sites: Site
    lake: LakeFigures
    missing: frozenset[str]


def added(*all_counts: Counts) -> Counts:
    """The sum of *all_counts*, name by name."""
    total: Counts = {}
    for counts in all_counts:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def unexplained(counts: Counts) -> int:
    """How many lines are neither inserted, nor duplicate, rejected or blank."""
    explained = sum(counts.get(name, 0) for name in ("inserted", "duplicate", "rejected", "blank"))
    return round(counts.get("lines", 0) - explained)
