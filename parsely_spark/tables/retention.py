"""Which days are kept, and what can be said of derived tables whose events are gone.

A derived table may be kept for longer than the events that it was made of. Its rows of that time stay as they are:
events of a day that is gone are not taken in any more, so nothing can change them, and nothing can make them again.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.columns import ACTION_MAY_TRAIL_SERVER, SESSION_MAY_LEAD_SERVER
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import until_nobody_was_quicker
from parsely_spark.tables.conditions import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.fold import Fold

_ANNOUNCED = "parsely_spark.oldest_days"
# How long before the day of its session's cell the first event of a row can be: a session's clock may be ahead of the
# server's by the one, and the server's of the event's by the other.
_EVENTS_LEAD_CELL_DAYS = math.ceil((ACTION_MAY_TRAIL_SERVER + SESSION_MAY_LEAD_SERVER) / timedelta(days=1))
FIRST_SEEN = "first_seen_at"  # the column that tells how old the events of a row without a cell may be


@dataclass(frozen=True)
class Announcement:
    """From *at* on, nothing is taken in that is of a day before *day*."""

    day: date
    at: datetime


def announced(properties: Mapping[str, str]) -> tuple[Announcement, ...]:
    """What was announced of a table with these *properties*, the oldest first."""
    pairs = json.loads(properties.get(_ANNOUNCED, "[]"))
    return tuple(Announcement(date.fromisoformat(day), datetime.fromisoformat(at)) for day, at in pairs)


def oldest_day(properties: Mapping[str, str]) -> date | None:
    """The first day whose rows a table with these *properties* keeps; None where it keeps all."""
    return max((said.day for said in announced(properties)), default=None)


def announce(lake: Lake, table: str, new: Announcement, *, after: timedelta) -> None:
    """Say of *table* that no older day is kept, unless it says so; what is older than *after* is said once more."""

    def attempt() -> int:
        before = announced(lake.properties_of(table))
        if any(one.day >= new.day for one in before):
            return 0
        due = [one for one in before if new.at - one.at >= after]
        kept = [*due[-1:], *(one for one in before if one not in due), new]
        text = json.dumps([(one.day.isoformat(), one.at.isoformat()) for one in kept])
        lake.spark.sql(f"ALTER TABLE {lake.name_of(table)} SET TBLPROPERTIES ('{_ANNOUNCED}' = '{text}')")
        return 0

    until_nobody_was_quicker(lake, table, attempt)


@dataclass(frozen=True)
class Whole:
    """Which rows of a derived table rest on events that are all there, so that they can be made again and compared.

    Attributes:
        fold: the declaration of the table.
        since: the first day of such rows, by their cell, or by when their first event was.
    """

    fold: Fold
    since: date

    @property
    def is_by_event(self) -> bool:
        """Whether a row is of the day of its events, and neither of that in which a session began nor of none."""
        return bool(self.fold.cell_names) and not _is_by_session(self.fold)

    def of_stored(self) -> Column:
        """Whether a stored row is one."""
        if self.fold.cell_names:
            return F.col("date") >= F.lit(self.since)
        if FIRST_SEEN in {column.name for column in self.fold.columns}:
            return F.col(FIRST_SEEN) >= F.lit(datetime.combine(self.since, datetime.min.time(), UTC))
        return F.lit(False)

    def of_made(self, rows: DataFrame, stored: DataFrame) -> DataFrame:
        """Those of *rows*, made of the events that are left, that are whole as far as the *stored* ones tell."""
        if self.fold.cell_names:
            return rows.where(self.of_stored())
        return self.without_older(rows, stored)

    def without_older(self, rows: DataFrame, stored: DataFrame) -> DataFrame:
        """Those of *rows*, which have the keys of the table, of which no *stored* one rests on events that are gone."""
        older = stored.where(~self.of_stored()).alias("s")
        return rows.alias("t").join(older, same(self.fold.grouping_names), "left_anti")


def _is_by_session(fold: Fold) -> bool:
    return any(column.of_run is not None for column in fold.groupings if column.name in fold.cell_names)


def whole_of(lake: Lake, fold: Fold) -> Whole | None:
    """Which rows of the table of *fold* are whole; None where all are."""
    of_events = oldest_day(lake.properties_of(EVENTS.name))
    own = oldest_day(lake.properties_of(fold.name))
    if of_events is not None and _is_by_session(fold):
        of_events += timedelta(days=_EVENTS_LEAD_CELL_DAYS)
    days = [day for day in (of_events, own) if day is not None]
    return Whole(fold, max(days)) if days else None
