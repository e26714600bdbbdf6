"""How fresh a lake is, how the last runs went, and what is missing: few columns of few rows, to be quick."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.glance import HOURS, Account, Run, Site, Status
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS, INGESTED_FILES, REJECTED_LINES, RUNS
from parsely_spark.tables.folding import state_of
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.gaps import read_open_gaps
from parsely_spark.tables.news import News

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, Row

    from parsely_spark.progress import Progress
    from parsely_spark.tables.catalog import Lake

_READING = ("batch", "stream")
_JOBS = (*_READING, "maintain", "forget")
_RUNS_SHOWN = 3  # of a job
_SITE_DAYS = 7  # before the newest event; a site without one in them is not shown
_RUN_DAYS = (2, 30)  # a stream leaves a row each minute, so the longer time is looked at only if need be
_HOUR = timedelta(hours=1)
_TABLES_AT_ONCE = 4  # each answers a few small questions, mostly by waiting for the storage


def run_status(lake: Lake, progress: Progress, *, now: datetime) -> Status:
    """Look at *lake*.

    Args:
        lake: where the tables are.
        progress: is told what goes on.
        now: by which ages are counted, with its zone.

    Raises:
        LakeError: if there is nothing to look at, or the tables cannot be read.
    """
    first_hour_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * _HOUR
    status = Status(lake=_flag(lake), at=now.astimezone(UTC), first_hour_at=first_hour_at)
    with storage_errors(LakeError, lake.place), progress.step("status"):
        lake.look()
        for table in (EVENTS, RUNS):
            lake.require(table.name)
        status.sites = _sites(lake, status)
        status.runs = _runs(lake, status.at)
        status.account = _account(lake, status.at)
        if not status.sites and not status.runs:
            raise LakeError(f"{lake.place}: it is empty; `parsely-spark batch` or `stream` brings events in.")
        status.gaps = read_open_gaps(lake)
        status.behind = _behind(lake)
    return status


def _sites(lake: Lake, status: Status) -> list[Site]:
    events = lake.read(EVENTS.name)
    newest = events.agg(F.max("date").alias("date")).collect()[0]["date"]
    if newest is None:
        return []
    first = min(newest, status.at.date()) - timedelta(days=_SITE_DAYS)
    hour = (F.unix_date("date") * 24 + F.col("hour")).alias("hour")
    rows = (
        events.where(F.col("date") >= first)
        .groupBy("apikey", hour)
        .agg(F.count("*").alias("events"), F.max(F.unix_millis("event_at")).alias("newest_ms"))
        .collect()
    )
    by_site: dict[str, list[Row]] = {}
    for row in rows:
        by_site.setdefault(row["apikey"], []).append(row)
    return [_site(apikey, by_site[apikey], status) for apikey in sorted(by_site)]


def _site(apikey: str, rows: Sequence[Row], status: Status) -> Site:
    newest_at = _at(max(row["newest_ms"] for row in rows))
    counts = {row["hour"]: row["events"] for row in rows}
    first = round(status.first_hour_at.timestamp()) // 3600
    hours = tuple(counts.get(hour, 0) for hour in range(first, first + HOURS))
    return Site(apikey=apikey, newest_at=newest_at, age_s=_age_s(newest_at, status.at), hours=hours)


def _runs(lake: Lake, now: datetime) -> list[Run]:
    found: dict[str, list[Run]] = {}
    for days in _RUN_DAYS:
        missing = [job for job in _JOBS if job not in found]
        since = now.date() - timedelta(days=days)
        is_wanted = F.col("job").isin(missing) & (F.col("date") >= since)
        if missing:
            for row in _by_run(lake.read(RUNS.name).where(is_wanted)):
                found.setdefault(row["job"], []).append(_run(row, now))
    return [run for job in _JOBS for run in found.get(job, [])[:_RUNS_SHOWN]]


def _by_run(rows: DataFrame) -> list[Row]:
    """One row for each run of *rows*, the one that was heard of last first."""
    busy = F.filter("batches", lambda batch: batch.lines > 0)
    last = F.get(busy, F.size(busy) - 1)
    sums = [F.sum(name).alias(name) for name in ("files", "quarantined", "lines", "inserted", "duplicate", "rejected")]
    return (
        rows.groupBy("job", "run_id")
        .agg(
            F.min(F.unix_millis("started_at")).alias("started_ms"),
            F.max(F.unix_millis("ended_at")).alias("ended_ms"),
            F.max_by("outcome", "ended_at").alias("outcome"),
            F.max_by("error", "ended_at").alias("error"),
            F.max_by(last, F.when(last.isNotNull(), F.col("ended_at"))).alias("last"),
            *sums,
        )
        .orderBy(F.desc("ended_ms"))
        .collect()
    )


def _run(row: Row, now: datetime) -> Run:
    last, ended_at = row["last"], _at(row["ended_ms"])
    own = ("job", "run_id", "outcome", "error", "files", "quarantined", "lines", "inserted", "duplicate", "rejected")
    return Run(
        **{name: row[name] for name in own},
        started_at=_at(row["started_ms"]),
        ended_at=ended_at,
        age_s=_age_s(ended_at, now),
        lag_ms=last and last["lag_ms"],
        lines_per_s=last and last["lines"] * 1000 // max(1, last["took_ms"]),
        batch_ms=last and last["took_ms"],
    )


def _account(lake: Lake, now: datetime) -> Account | None:
    """What became of the lines of some days; None if none was read."""
    days = _RUN_DAYS[0]
    since = now.date() - timedelta(days=days)
    names = ("lines", "inserted", "duplicate", "rejected", "blank")
    recent = lake.read(RUNS.name).where(F.col("job").isin(*_READING) & (F.col("date") >= since))
    unknown = F.array_sort(F.array_distinct(F.flatten(F.collect_list("unknown_fields"))))
    row = recent.agg(*[F.sum(name).alias(name) for name in names], unknown.alias("unknown_fields")).collect()[0]
    broken = _broken(lake, now - timedelta(days=_RUN_DAYS[1]))
    if row["lines"] is None and not broken:
        return None
    rejected = lake.read(REJECTED_LINES.name).where(F.col("date") >= since).groupBy("reason").count()
    return Account(
        days=days,
        **{name: row[name] or 0 for name in names},
        reasons={r["reason"]: r["count"] for r in rejected.orderBy(F.desc("count"), "reason").collect()},
        unknown_fields=tuple(row["unknown_fields"]),
        broken=broken,
    )


def _broken(lake: Lake, since: datetime) -> dict[str, str]:
    """The objects left out since then of which the newest version could not be read, by path, the last one first."""
    ledger = lake.read(INGESTED_FILES.name)
    left_out = (
        ledger.where(F.col("error").isNotNull() & (F.col("ingested_at") >= F.lit(since))).select("path").distinct()
    )
    newest = F.max_by(F.struct("error", "modified_at"), F.struct("modified_at", "ingested_at")).alias("newest")
    of_these = ledger.join(F.broadcast(left_out), "path", "left_semi")
    by_path = of_these.groupBy("path").agg(newest).where(F.col("newest.error").isNotNull())
    rows = by_path.orderBy(F.desc("newest.modified_at"), "path").collect()
    return {row["path"]: row["newest"]["error"] for row in rows}


def _flag(lake: Lake) -> str:
    """What names it on the command line."""
    return f"--{'catalog' if lake.is_catalog else 'lake'} {shlex.quote(lake.place)}"


def _behind(lake: Lake) -> dict[str, int]:
    """Of the derived tables that there are."""
    news = News(lake)

    def versions(table: str) -> int | None:
        if not lake.has(table):
            return None
        state = state_of(lake, table, news)
        return state.events - state.folded

    names = [fold.name for fold in FOLDS]
    with ThreadPoolExecutor(_TABLES_AT_ONCE) as threads:
        by_table = zip(names, threads.map(versions, names), strict=True)
        return {table: behind for table, behind in by_table if behind is not None}


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def _age_s(at: datetime, now: datetime) -> int:
    return max(0, round((now - at).total_seconds()))  # a clock that is ahead makes no age
