"""Rows deleted when they are so many days old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import RUN
from parsely_spark.tables.erasure import change
from parsely_spark.tables.folding import state_of
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.news import EXPIRED
from parsely_spark.tables.refolding import note_progress
from parsely_spark.tables.retention import Announcement, announce, announced

if TYPE_CHECKING:
    from datetime import date, datetime, timedelta

    from parsely_spark.tables.catalog import Lake


def expire_events(lake: Lake, *, oldest: date, now: datetime, after: timedelta, run_id: str) -> tuple[date, int]:
    """Delete the events of days before *oldest*, in two runs: one to announce it, and one to do it.

    A run that has read what is kept before the announcement may bring in an event of an older day. While that is still
    there, it is a duplicate; when it is gone, it would be counted a second time. So it goes when such runs have ended.

    Args:
        lake: where the tables are.
        oldest: the first day to keep. One before that which was announced opens no day again, and spares what is there.
        now: by which announcements are made, with its zone.
        after: how old an announcement has to be.
        run_id: names the run in the commits.

    Returns:
        The first day that is kept, and how many events were deleted.
    """
    announce(lake, EVENTS.name, Announcement(oldest, now), after=after)
    said = announced(lake.properties_of(EVENTS.name))
    due = [one.day for one in said if now - one.at >= after]
    first = min(max(due), oldest) if due else None
    says = {RUN: run_id, EXPIRED: str(first)}
    deleted = 0 if first is None else change(lake, EVENTS.name, F.col("date") < F.lit(first), says)
    return max(one.day for one in said), deleted


def expire_rows(lake: Lake, table: str, *, oldest: date, now: datetime, run_id: str) -> int:
    """Delete the rows of *table*, of any but ``events``, of days before *oldest*; return how many."""
    are_old = F.col("date") < F.lit(oldest)
    if lake.read(table).where(are_old).isEmpty():
        return 0
    fold = next((fold for fold in FOLDS if fold.name == table), None)
    if fold is not None:
        announce(lake, table, Announcement(oldest, now), after=now - now)  # `verify` has to know
    deleted = change(lake, table, are_old, {RUN: run_id})
    if fold is not None:
        # How far it is, the newest commits have to tell: Delta's log forgets the others.
        state = state_of(lake, table)
        state = state._replace(events=state.folded)
        if state.folded:
            note_progress(lake, fold, work=state.work, says=state.says(run_id))
    return deleted
