"""Which dates and sites a report is about, where it is not told both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.report.figures import Period
from parsely_spark.reporting import MOST_SITES, check_period
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.views import scope_of
from parsely_spark.tables.views.view import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.settings import ReportSettings
    from parsely_spark.tables.catalog import Lake

USUAL_DAYS = 28  # four of each day of the week


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report shall be about.

    Attributes:
        reporting: the time zone, and what counts as loyal or as a cause.
        since: the first local date.
        until: the first local date that does not count any more.
        sites: the sites; none means all, of which the largest are shown.
        now: when it is made, with its zone.
    """

    reporting: ReportingSettings
    since: date | None
    until: date | None
    sites: tuple[str, ...]
    now: datetime

    @classmethod
    def of(cls, settings: ReportSettings, *, now: datetime) -> Asked:
        """What the command is told."""
        return cls(
            reporting=settings.reporting, since=settings.since, until=settings.end, sites=settings.apikey, now=now
        )


def find_period(lake: Lake, asked: Asked) -> Period:
    """The period that is asked for; by default the four weeks that end with the newest event.

    Raises:
        LakeError: if there are no events.
        SettingsError: if the period is empty or too long.
    """
    since, until = asked.since, asked.until
    if since is None or until is None:
        first, newest = _first_and_newest(lake, asked.reporting)
        until = until or newest + timedelta(days=1)
        since = since or max(first, until - timedelta(days=USUAL_DAYS))
    check_period(since, until)
    hours = _hours(lake, asked.reporting, since, until)
    return Period(
        since=since, until=until, timezone=asked.reporting.timezone, hours=hours, now=asked.now.astimezone(UTC)
    )


def find_sites(lake: Lake, asked: Asked, period: Period) -> tuple[list[tuple[str, datetime]], list[str], int]:
    """The sites that are shown, each with the time of its newest event, the largest first; names of others; all events.

    Raises:
        LakeError: if one that is asked for has no events in the period.
    """
    scope = scope_of(lake, asked.reporting, since=period.since, until=period.until)
    rows = (
        lake.read(EVENTS.name)
        .where(scope.is_in_period("event_at", "date"))
        .groupBy("apikey")
        .agg(F.count("*").alias("events"), F.max(F.unix_millis("event_at")).alias("newest_ms"))
        .orderBy(F.desc("events"), "apikey")
        .collect()
    )
    there = {row["apikey"]: datetime.fromtimestamp(row["newest_ms"] / 1000, UTC) for row in rows}
    for apikey in asked.sites:
        if apikey not in there:
            raise LakeError(
                f"{lake.place}: the site {apikey!r} has no events from {period.since} until {period.until} "
                f"({period.timezone}); {_those(list(there))}."
            )
    shown = [apikey for apikey in there if not asked.sites or apikey in asked.sites][:MOST_SITES]
    return (
        [(apikey, there[apikey]) for apikey in shown],
        [name for name in there if name not in shown],
        sum(row["events"] for row in rows),
    )


def _those(sites: Sequence[str]) -> str:
    if not sites:
        return "no site has any"
    more = f" and {len(sites) - MOST_SITES:,} more" if len(sites) > MOST_SITES else ""
    return f"those that have are {', '.join(sites[:MOST_SITES])}{more}"


def _first_and_newest(lake: Lake, reporting: ReportingSettings) -> tuple[date, date]:
    """The local dates of the first and the newest event; by partitions first, to open few files."""
    events = lake.read(EVENTS.name)
    ends = events.agg(F.min("date").alias("first"), F.max("date").alias("newest")).collect()[0]
    if ends["newest"] is None:
        raise LakeError(f"{lake.place}: it has no events; `parsely-spark batch` or `stream` brings them in.")
    local_date = F.expr(scope_of(lake, reporting).local_date("event_at"))
    row = (
        events.where(F.col("date").isin(ends["first"], ends["newest"]))
        .agg(F.min(local_date).alias("first"), F.max(local_date).alias("newest"))
        .collect()[0]
    )
    return row["first"], row["newest"]


def _hours(lake: Lake, reporting: ReportingSettings, since: date, until: date) -> tuple[int, ...]:
    scope = scope_of(lake, reporting)
    begin, end = scope.midnight(literal(since)), scope.midnight(literal(until))
    # Quarters of an hour, because clocks are changed by them, too, and zones begin with them.
    rows = lake.spark.sql(
        f"""select distinct {scope.local_hour("at")} as hour
            from (select explode(sequence({begin}, {end} - interval 15 minutes, interval 15 minutes)) as at)
            order by hour"""
    ).collect()
    return tuple(row["hour"] for row in rows)
