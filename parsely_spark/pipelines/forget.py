"""Visitors deleted from every table, and kept from coming in again.

Each step can be repeated: a run that dies is made good by the next one with the same visitors, and what the derived
tables lack by whichever run folds next.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import __version__, columns
from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError, ParselySparkError
from parsely_spark.jvm import require_driver
from parsely_spark.proof import LOG_KEPT, Proof, TableProof
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS, REJECTED_LINES, RUNS, TABLES
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.compaction import purge
from parsely_spark.tables.erasure import (
    JOB,
    Visitors,
    erase_events,
    erase_lines,
    erase_rescued,
    erase_rows,
    note_erasures_of_the_dead,
)
from parsely_spark.tables.folding import fold_new_events, state_of
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of
from parsely_spark.tables.forgotten import remember
from parsely_spark.tables.gaps import bucket_of
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.news import News
from parsely_spark.tables.retention import oldest_day
from parsely_spark.tables.spec import VISITOR
from parsely_spark.tables.vacuum import kept_for, vacuum

if TYPE_CHECKING:
    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.tables.catalog import Lake


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Who is to be forgotten, and how.

    Attributes:
        visitors: their ``visitor_site_id``.
        apikey: of the one site that is meant; None for all.
        retain_days: for how long files that are no longer part of a table stay at least.
        depths: what counts as reading and watching in tables that are brought up to date.
    """

    visitors: tuple[str, ...]
    apikey: str | None = None
    retain_days: int = 7
    depths: DepthSettings = USUAL_DEPTHS


def run_forget(lake: Lake, progress: Progress, wish: Wish) -> Proof:
    """Delete all that is stored of visitors, and tell what was found and what is left.

    Args:
        lake: where the tables are.
        progress: is told what goes on.
        wish: who, and how.

    Raises:
        LakeError: if the tables cannot be read or written.
    """
    require_driver(lake.spark, "forget")
    run = _Run(lake, progress, wish)
    with storage_errors(LakeError, lake.place):
        lake.look()
        for table in (EVENTS, REJECTED_LINES, RUNS):
            lake.require(table.name)
    try:
        with storage_errors(LakeError, lake.place):
            run.forget()
    except ParselySparkError as error:
        run.record("failed", str(error))
        raise
    run.record("done")
    return run.proof


class _Run:
    def __init__(self, lake: Lake, progress: Progress, wish: Wish) -> None:
        self.lake, self.progress, self.wish = lake, progress, wish
        self.visitors = Visitors(wish.visitors, wish.apikey)
        self.proof = Proof(run_id=str(uuid.uuid4()), visitors=len(set(wish.visitors)))
        self.started_at = datetime.now(UTC)
        self._start = time.monotonic()

    def forget(self) -> None:
        """Do it, in the order in which a run may die between two steps: first of all nothing more comes in."""
        run_id, tables = self.proof.run_id, self.proof.tables
        with self.progress.step("look") as step:
            for table in [table for table in TABLES if self.lake.checked(table, is_one_of_all=True)]:
                tables[table] = TableProof(found=self._count(table))
            self.proof.sources, self.proof.folders = self._sources(), self._folders()
            step.note(f"{sum(of.found for of in tables.values()):,} rows found")
        with self.progress.step("remember"):
            self.proof.listed = remember(self.lake, self.wish.visitors, self.wish.apikey, run_id=run_id)
        may_crash("remembered")
        with self.progress.step("delete") as step:
            tables[REJECTED_LINES.name].touched = erase_lines(self.lake, self.visitors, run_id=run_id)
            may_crash("erased lines")
            erase_rescued(self.lake, self.visitors, run_id=run_id)
            tables[EVENTS.name].touched = erase_events(self.lake, self.visitors, run_id=run_id)
            may_crash("erased events")
            step.note(f"{tables[EVENTS.name].touched:,} events")
        self._fold()
        with self.progress.step("purge") as step:
            for table, of in tables.items():
                of.purged = purge(self.lake, table, run_id=run_id)
            step.note(f"{sum(of.purged for of in tables.values()):,} files written again")
        may_crash("purged")
        self._vacuum()

    def record(self, outcome: str, error: str | None = None) -> None:
        """Note in the lake how the run went, and what runs that have died had deleted."""
        self.proof.seconds = round(time.monotonic() - self._start, 1)
        usual = {"job": JOB, "started_at": self.started_at, "ended_at": datetime.now(UTC), "version": __version__}
        touched = {name: of.touched for name, of in self.proof.tables.items()}
        with storage_errors(LakeError, self.lake.place):
            usual["events_version"] = version_of(self.lake, EVENTS.name)
            own = {"run_id": self.proof.run_id, "outcome": outcome, "error": error, "rows_touched": touched}
            record_run(self.lake, usual | own)
            note_erasures_of_the_dead(self.lake, usual | own)

    def _fold(self) -> None:
        news = News(self.lake)
        has_lost_days = oldest_day(self.lake.properties_of(EVENTS.name)) is not None
        for fold in folds_of((), self.wish.depths):
            # One that was never filled holds nothing of anybody.
            if fold.name not in self.proof.tables or not state_of(self.lake, fold.name, news).folded:
                continue
            with self.progress.step(fold.name) as step:
                touched = fold_new_events(self.lake, fold, run_id=self.proof.run_id, news=news)
                # Of days whose events have gone for their age, there are rows of theirs that no fold finds.
                if has_lost_days and self._names_visitors(fold.name):
                    touched += erase_rows(self.lake, fold.name, self.visitors, run_id=self.proof.run_id)
                self.proof.tables[fold.name].touched = touched
                step.note(f"{touched:,} rows touched")
            if fold.name == "sessions":
                may_crash("folded sessions")

    def _vacuum(self) -> None:
        with self.progress.step("vacuum") as step:
            kept = kept_for(self.lake, timedelta(days=self.wish.retain_days), now=datetime.now(UTC))
            for table, of in self.proof.tables.items():
                of.deleted = vacuum(self.lake, table, hours=kept.hours)
                of.remaining = self._count(table)
            self.proof.at = datetime.now(UTC)
            self.proof.kept_until = self.proof.at + timedelta(hours=kept.hours)
            self.proof.kept_because = kept.because
            self.proof.log_until = self.proof.at + LOG_KEPT
            step.note(f"{self.proof.remaining:,} rows remain")

    def _count(self, table: str) -> int:
        """The rows of *table* that are theirs, or name them."""
        if table == REJECTED_LINES.name:
            are_theirs = self.visitors.is_in_line()
        elif table == EVENTS.name:
            are_theirs = self.visitors.is_of_row() | self.visitors.is_rescued()
        elif self._names_visitors(table):
            are_theirs = self.visitors.is_of_row()
        else:
            return 0
        return self.lake.read(table).where(are_theirs).count()

    @staticmethod
    def _names_visitors(table: str) -> bool:
        return any(column.name == VISITOR for column in TABLES[table].columns)

    def _sources(self) -> list[str]:
        listed = self.lake.read(RUNS.name).select(F.explode("listed.sources").alias("source")).distinct().collect()
        return sorted({bucket_of(row["source"]) for row in listed})

    def _folders(self) -> list[str]:
        """The hours of the server's clock, by which the folders of raw events are named."""
        server_ms = F.coalesce("timestamp_info_nginx_ms", columns.utc_ms("ts_action"))
        events = self.lake.read(EVENTS.name).where(self.visitors.is_of_row() | self.visitors.is_rescued())
        hours = events.select(F.floor(server_ms / 3_600_000).alias("hour")).where("hour is not null").distinct()
        rows = hours.orderBy("hour").collect()
        return [f"{datetime.fromtimestamp(row['hour'] * 3600, UTC):%Y/%m/%d/%H}" for row in rows]
