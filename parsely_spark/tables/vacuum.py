"""Files that are no longer part of a table deleted, once nothing can need them any more.

Who reads an older version of a table needs its files: a run that began before, and a derived table that is behind, for
it is folded from the versions of ``events`` since its own. VACUUM knows of neither, only of hours, which are counted
here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.jvm import printing_caught
from parsely_spark.small_work import looking
from parsely_spark.tables.catalog import EVENTS, RUNS
from parsely_spark.tables.folding import state_of
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.news import News

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parsely_spark.tables.catalog import Lake

_LOOKED_AT = timedelta(days=30)  # of the runs, for the longest
TIMES_LONGEST = 2  # the next one may take longer
_MARGIN = timedelta(hours=1)  # between the clock of this machine and that of the storage
_LEAST = timedelta(days=7)  # below it, Delta wants to be told that somebody has thought about it
_LISTING_TASKS = 64
# Commits that change how rows lie, and none of them.
UPKEEP = ("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """For how long files stay that are no longer part of a table.

    Attributes:
        hours: so long.
        because: why it is longer than was asked for; nothing where it is not.
        lost: derived tables that are so far behind that the log of ``events`` no longer tells what they lack.
    """

    hours: int
    because: str = ""
    lost: tuple[str, ...] = ()


def kept_for(lake: Lake, wanted: timedelta, *, now: datetime) -> Kept:
    """How long files have to stay, at least for the time *wanted*.

    Args:
        lake: where the tables are.
        wanted: what was asked for.
        now: by which ages are counted, with its zone.

    Raises:
        LakeError: if a derived table does not tell how far it is.
    """
    longest = longest_run(lake, now)
    unfolded_at, behind, lost = _unfolded(lake)
    needs = [(wanted, ""), (TIMES_LONGEST * longest, f"the longest run of {_LOOKED_AT.days} days took {longest}")]
    if unfolded_at is not None:
        since = f"{unfolded_at:%Y-%m-%d %H:%M}"
        needs.append((now - unfolded_at + _MARGIN, f"{', '.join(behind)} lack events of {since} and later"))
    need, because = max(needs, key=lambda need: need[0])
    return Kept(hours=math.ceil(need / timedelta(hours=1)), because=because, lost=tuple(lost))


def vacuum(lake: Lake, table: str, *, hours: int) -> int | None:
    """Delete the files that have not been part of *table* for *hours*; return how many, where that is told.

    No turn is taken: it changes nothing that a commit could, and a large table takes long.
    """
    settings = {
        # Without its two commits: each would be a version of events that the derived tables have to pass over.
        "spark.databricks.delta.vacuum.logging.enabled": "false",
        # It lists folders in so many tasks, 10,000 by default, however few there are: half a minute for each table.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(_LISTING_TASKS),
    }
    if hours < _LEAST / timedelta(hours=1):
        settings["spark.databricks.delta.retentionDurationCheck.enabled"] = "false"
    before = {key: lake.spark.conf.get(key, None) for key in settings}
    for key, value in settings.items():
        lake.spark.conf.set(key, value)
    try:
        with printing_caught(lake.spark) as printed:
            lake.spark.sql(f"VACUUM {lake.name_of(table)} RETAIN {hours} HOURS").collect()
            told = re.search(r"Deleted (\d+) files", printed())
    finally:
        for key, was in before.items():
            lake.spark.conf.unset(key) if was is None else lake.spark.conf.set(key, was)
    return int(told[1]) if told else None


def longest_run(lake: Lake, now: datetime) -> timedelta:
    """How long the longest run of the last 30 days took."""
    took_ms = F.unix_millis("ended_at") - F.unix_millis("started_at")
    runs = lake.read(RUNS.name).where(F.col("date") >= (now - _LOOKED_AT).date())
    return timedelta(milliseconds=runs.agg(F.max(took_ms)).collect()[0][0] or 0)


def _unfolded(lake: Lake) -> tuple[datetime | None, Sequence[str], Sequence[str]]:
    """Since when there are events that a derived table lacks, which tables lack some, and which can get them no more.

    A table that holds none yet is folded from what ``events`` is by then.
    """
    news = News(lake)
    tables = [fold.name for fold in FOLDS if lake.has(fold.name)]
    folded = {table: state_of(lake, table, news).folded for table in tables}
    folded = {table: version for table, version in folded.items() if 0 < version < news.version}
    if not folded:
        return None, [], []
    with looking(lake.spark):
        commits = (
            lake.delta(EVENTS.name)
            .history()
            .select("version", "operation", F.unix_seconds("timestamp").alias("at"))
            .collect()
        )
    first_told = min(row["version"] for row in commits)
    lost = [table for table, version in folded.items() if version + 1 < first_told]
    new = {row["version"]: row["at"] for row in commits if row["operation"] not in UPKEEP}
    unfolded = {table: [v for v in new if v > version] for table, version in folded.items() if table not in lost}
    behind = [table for table, versions in unfolded.items() if versions]
    if not behind:
        return None, [], lost
    first_s = min(new[version] for table in behind for version in unfolded[table])
    return datetime.fromtimestamp(first_s, UTC), behind, lost
