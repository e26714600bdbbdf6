"""Upkeep of the tables: small files put together, files that nobody needs any more deleted, old notes summed up."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from parsely_spark import __version__
from parsely_spark.errors import LakeError, ParselySparkError
from parsely_spark.jvm import require_driver
from parsely_spark.small_work import looking
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import ALL_TABLES, EVENTS, INGESTED_FILES, RUNS
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.compaction import compact
from parsely_spark.tables.erasure import note_erasures_of_the_dead
from parsely_spark.tables.expiry import expire_events, expire_rows
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.trimming import trim_ledger, trim_runs
from parsely_spark.tables.vacuum import TIMES_LONGEST, kept_for, longest_run, vacuum
from parsely_spark.upkeep import Maintained, TableUpkeep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parsely_spark.progress import Progress
    from parsely_spark.tables.catalog import Lake


_LEAST_NOTICE = timedelta(hours=20)  # less than a night after the other


@dataclass(frozen=True, kw_only=True)
class Care:
    """What to do.

    Attributes:
        optimizes: whether to put small files together.
        vacuums: whether to delete files that are no longer part of a table.
        retain_days: for how long those stay at least.
        open_hours: a partition that ended no longer before the newest one of its table is left to the writers.
        run_days: for how long the rows of `runs` that a stream writes each minute stay as they are.
        ledger_days: likewise those of `ingested_files`; None is for ever.
        keep_days: by table, how many days of it are kept; of others all.
    """

    optimizes: bool = True
    vacuums: bool = True
    retain_days: int = 7
    open_hours: int = 48
    run_days: int = 90
    ledger_days: int | None = None
    keep_days: Mapping[str, int] = field(default_factory=dict)


def run_maintain(lake: Lake, progress: Progress, care: Care) -> Maintained:
    """Look after the tables of *lake*, beside whatever else runs on it.

    Args:
        lake: where the tables are.
        progress: is told what goes on.
        care: what to do.

    Raises:
        LakeError: if the tables cannot be read or written.
    """
    require_driver(lake.spark, "maintain")
    started_at, start = datetime.now(UTC), time.monotonic()
    done = Maintained(run_id=str(uuid.uuid4()))
    with storage_errors(LakeError, lake.place):
        lake.look()
        for table in (EVENTS, RUNS):
            lake.require(table.name)
    error = None
    try:
        with storage_errors(LakeError, lake.place):
            _look_after(lake, progress, care, done, started_at)
    except ParselySparkError as failed:
        error = str(failed)
        raise
    finally:
        done.seconds = round(time.monotonic() - start, 1)
        times = {"started_at": started_at, "ended_at": datetime.now(UTC), "version": __version__}
        outcome = {"outcome": "failed" if error else "done", "error": error}
        with storage_errors(LakeError, lake.place):
            of_events = {"events_version": version_of(lake, EVENTS.name), "rows_touched": done.expired}
            run = {"run_id": done.run_id, "job": "maintain", **outcome, **times, **of_events}
            record_run(lake, run)
            if care.keep_days:
                note_erasures_of_the_dead(lake, run)
    return done


def _look_after(lake: Lake, progress: Progress, care: Care, done: Maintained, now: datetime) -> None:
    tables = [table for table in ALL_TABLES if lake.has(table)]
    for table in tables:
        with progress.step(table) as step:
            files, size = _extent(lake, table)
            upkeep = done.tables[table] = TableUpkeep(files_before=files, bytes_before=size)
            if table in care.keep_days:
                _expire(lake, table, care, done, now)
            upkeep.trimmed = _trim(lake, table, care, now, done.run_id)
            if care.optimizes:
                upkeep.rewritten = compact(lake, table, open_hours=care.open_hours, run_id=done.run_id)
            upkeep.files, upkeep.bytes = _extent(lake, table)
            step.note(f"{upkeep.files_before:,} files before, {upkeep.files:,} after")
    if not care.vacuums:
        return
    with progress.step("vacuum") as step:
        kept = kept_for(lake, timedelta(days=care.retain_days), now=now)
        done.kept_hours, done.kept_because, done.lost = kept.hours, kept.because, list(kept.lost)
        for table in tables:
            done.tables[table].deleted = vacuum(lake, table, hours=kept.hours)
        told = [upkeep.deleted for upkeep in done.tables.values() if upkeep.deleted is not None]
        step.note(f"{sum(told):,} files deleted" if told else "done")


def _expire(lake: Lake, table: str, care: Care, done: Maintained, now: datetime) -> None:
    oldest = now.date() - timedelta(days=care.keep_days[table])
    if table == EVENTS.name:
        after = max(_LEAST_NOTICE, TIMES_LONGEST * longest_run(lake, now))
        oldest, expired = expire_events(lake, oldest=oldest, now=now, after=after, run_id=done.run_id)
    else:
        expired = expire_rows(lake, table, oldest=oldest, now=now, run_id=done.run_id)
    done.kept_since[table], done.expired[table] = oldest.isoformat(), expired


def _trim(lake: Lake, table: str, care: Care, now: datetime, run_id: str) -> int:
    if table == RUNS.name:
        return trim_runs(lake, before=(now - timedelta(days=care.run_days)).date(), run_id=run_id)
    if table == INGESTED_FILES.name and care.ledger_days is not None:
        return trim_ledger(lake, before=(now - timedelta(days=care.ledger_days)).date(), run_id=run_id)
    return 0


def _extent(lake: Lake, table: str) -> tuple[int, int]:
    """How many files are part of *table*, and their bytes."""
    with looking(lake.spark):
        row = lake.detail(table).select("numFiles", "sizeInBytes").collect()[0]
    return int(row["numFiles"]), int(row["sizeInBytes"])
