"""Raw events in files become events and the tables folded from them."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from parsely_spark import __version__
from parsely_spark.crash import may_crash
from parsely_spark.errors import BrokenFileError, LakeError, ParselySparkError, SourceError, VanishedFileError
from parsely_spark.ingest import Ingested, ingest_slice
from parsely_spark.privacy_settings import KEEP_ALL, PrivacySettings
from parsely_spark.reading import MOST_NAMED
from parsely_spark.small_work import MOST_LISTED_FILES, MOST_READ_GZ_BYTES, small_work
from parsely_spark.sources.s3 import list_files, slices_of
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.folding import fold_new_events
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of, with_followed
from parsely_spark.tables.ledger import ingested_versions, record_files, record_run
from parsely_spark.tables.news import News
from parsely_spark.tables.write import create_missing_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.schema import Field
    from parsely_spark.sources.s3 import RawFile
    from parsely_spark.tables.catalog import Lake

_MOST_CHANGES = 3  # of one object during one run
# More than this is no accident of a few uploads, and is better looked at than left out.
_MOST_BROKEN = 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Which objects a run takes, how much of them at once, and what it makes of them.

    Attributes:
        begin: the first hour, as `YYYY/MM/DD/HH`.
        end: the first hour that is left out, likewise.
        slice_bytes: of compressed bytes that are read before what was read is committed.
        slice_files: of objects, likewise.
        file_hours: that the events of one object may be of. Each is a partition, and a broken clock knows many.
        retry: whether to take those again that earlier runs left out.
        tables: the derived tables to bring up to date, with those that they follow; none means all.
        depths: what counts as reading and watching in them.
        extra: fields that events have beside those of the schema; the lake knows those that it has.
        partition: of a new lake, hour or date; None takes any lake as it is.
        privacy: what of a line is not stored.
    """

    begin: str | None = None
    end: str | None = None
    slice_bytes: int = 256 * 2**20
    slice_files: int = 5_000
    file_hours: int = 1_000
    retry: bool = False
    tables: tuple[str, ...] = ()
    depths: DepthSettings = USUAL_DEPTHS
    extra: tuple[Field, ...] = ()
    partition: str | None = None
    privacy: PrivacySettings = KEEP_ALL


@dataclass(kw_only=True)
class Summary:
    """What one run did. ``lines = inserted + duplicate + rejected + blank``."""

    run_id: str
    files: int = 0  # read
    known: int = 0  # left alone, because a run is through with them
    others: int = 0  # objects under the source that are no chunks of raw events
    quarantined: dict[str, str] = field(default_factory=dict)  # left out, by path: why they cannot be read
    lines: int = 0
    inserted: int = 0
    duplicate: int = 0
    rejected: int = 0
    blank: int = 0
    unknown_fields: list[str] = field(default_factory=list)  # that the schema does not know; their values are rescued
    rows_touched: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def run_batch(lake: Lake, sources: Sequence[str], progress: Progress, limits: Limits | None = None) -> Summary:
    """Read what is new under *sources* and bring every table of *lake* up to date.

    Args:
        lake: where the tables are; missing ones are created.
        sources: URIs of the `events/` prefix of raw events, of the bucket above it, or of a file of CSV.
        progress: is told what goes on.
        limits: which objects, and how many at once.

    Returns:
        The counts of the run. An object that is no whole gzip file, or no CSV, is named in them and left out.

    Raises:
        SourceError: if the raw events cannot be listed or read.
        LakeError: if the tables cannot be read, written or continued from.
    """
    run = _Run(lake, sources, progress, limits or Limits())
    try:
        run.ingest_what_is_new()
        run.bring_folds_up_to_date()
    except ParselySparkError as error:
        run.record("failed", str(error))
        raise
    run.record("incomplete" if run.summary.quarantined else "done")
    return run.summary


class _Run:
    def __init__(self, lake: Lake, sources: Sequence[str], progress: Progress, limits: Limits) -> None:
        self.lake, self.sources, self.progress, self.limits = lake, sources, progress, limits
        self.folds = with_followed(folds_of(limits.tables, limits.depths))
        self.summary = Summary(run_id=str(uuid.uuid4()))
        self.started_at = datetime.now(UTC)
        self._start = time.monotonic()
        self._has_tables = False
        self._changes: Counter[str] = Counter()
        self._slices = 0
        self._left_out: set[str] = set()  # paths

    def ingest_what_is_new(self) -> None:
        """List, and take what no run is through with, slice by slice; begin again when an object changes meanwhile."""
        while True:
            new = self._list()
            may_crash("listed")
            slices = slices_of(new, bytes_each=self.limits.slice_bytes, files_each=self.limits.slice_files)
            if all(self._take(files, f"{number}/{len(slices)}") for number, files in enumerate(slices, 1)):
                may_crash("ingested")
                return

    def bring_folds_up_to_date(self) -> None:
        """Fold the events that are new, also those of runs that did not come so far."""
        with self._errors():
            news = News(self.lake)
        for fold in self.folds:
            with self.progress.step(fold.name) as step:
                with self._errors():
                    touched = fold_new_events(self.lake, fold, run_id=self.summary.run_id, news=news)
                self.summary.rows_touched[fold.name] = touched
                step.note(f"{touched:,} rows touched")
            if fold.name in ("sessions", "pageviews"):  # the table that others follow, and one that does
                may_crash(f"folded {fold.name}")

    def record(self, outcome: str, error: str | None = None) -> None:
        """Note in the lake how the run went, where there is one."""
        self.summary.seconds = round(time.monotonic() - self._start, 1)
        if not self._has_tables:
            return
        counts = {**asdict(self.summary), "quarantined": len(self.summary.quarantined)}
        times = {"started_at": self.started_at, "ended_at": datetime.now(UTC)}
        said: dict[str, Any] = {"job": "batch", "outcome": outcome, "error": error, "version": __version__}
        since, until = _instant(self.limits.begin), _instant(self.limits.end)
        said["listed"] = (list(self.sources), since, until, sorted(self._left_out))
        with self._errors():
            said["events_version"] = version_of(self.lake, EVENTS.name)
            record_run(self.lake, {**counts, **times, **said})
        may_crash("recorded run")

    def _errors(self) -> AbstractContextManager[None]:
        return storage_errors(LakeError, self.lake.place, sources=self.sources)

    @cached_property
    def _stored_bytes(self) -> int:
        return News(self.lake).size_bytes

    def _list(self) -> list[RawFile]:
        with self.progress.step("list") as step:
            listing = list_files(self.lake.spark, self.sources, begin=self.limits.begin, end=self.limits.end)
            others = f", {listing.others:,} others left alone" if listing.others else ""
            step.note(f"{len(listing.files):,} files{others}")
        with self._errors(), self.progress.step("lake") as step:
            if not self._has_tables:
                self.lake.look()
                create_missing_tables(
                    self.lake, [fold.name for fold in self.folds], self.limits.extra, self.limits.partition
                )
                self._has_tables = True
            is_small = len(listing.files) <= MOST_LISTED_FILES
            with small_work(self.lake.spark, is_small=is_small, stored_bytes=0):
                done = ingested_versions(self.lake, [file.path for file in listing.files])
            if self.limits.retry:
                done = {version: True for version, was_read in done.items() if was_read}
            new = [file for file in listing.files if file.version not in done]
            # Those of earlier runs that are still as they were count, too: a fault elsewhere shows over many runs.
            self._left_out = {file.path for file in listing.files if not done.get(file.version, True)}
            self.summary.known, self.summary.others = len(listing.files) - len(new), listing.others
            step.note(f"{len(new):,} files are new")
        return new

    def _take(self, files: Sequence[RawFile], which: str) -> bool:
        """Ingest a slice; return whether its objects stayed as they were."""
        while files:
            is_small = sum(file.size_bytes for file in files) <= MOST_READ_GZ_BYTES
            step_name = "events" if which == "1/1" else f"events {which}"
            try:
                with (
                    self._errors(),
                    self.progress.step(step_name) as step,
                    small_work(self.lake.spark, is_small=is_small, stored_bytes=self._stored_bytes),
                ):
                    self._slices += 1
                    took = ingest_slice(
                        self.lake,
                        files,
                        run_id=self.summary.run_id,
                        number=self._slices,
                        file_hours=self.limits.file_hours,
                        privacy=self.limits.privacy,
                    )
                    self._add(took)
                    step.note(took.note)
                return self._stayed(took.changed)
            except VanishedFileError as error:
                return self._stayed([error.path])
            except BrokenFileError as error:
                files = self._leave_out(files, error)
        return True

    def _add(self, took: Ingested) -> None:
        self.summary.unknown_fields = sorted({*self.summary.unknown_fields, *took.unknown})[:MOST_NAMED]
        for name in ("files", "lines", "inserted", "duplicate", "rejected", "blank"):
            setattr(self.summary, name, getattr(self.summary, name) + getattr(took, name))

    def _stayed(self, changed: Sequence[str]) -> bool:
        self._changes.update(changed)
        for path, times in self._changes.items():
            if times > _MOST_CHANGES:
                raise SourceError(
                    f"{path}: it changed {times} times while it was read; run again when whatever writes it is done."
                )
        return not changed

    def _leave_out(self, files: Sequence[RawFile], error: BrokenFileError) -> list[RawFile]:
        (broken,) = (file for file in files if file.path == error.path)
        if len(self._left_out) >= _MOST_BROKEN:
            raise SourceError(
                f"{error} {_MOST_BROKEN} objects like that have been left out (those in ingested_files with an error), "
                "so nothing more is; look at them, and take them away or put whole ones in their place."
            )
        self._left_out.add(broken.path)
        self.summary.quarantined[broken.path] = str(error)
        row: dict[str, Any] = {"path": broken.path, "size_bytes": broken.size_bytes, "error": str(error)}
        row |= {"modified_at": broken.modified_at, "ingested_at": datetime.now(UTC)}
        record_files(self.lake, [row], run_id=self.summary.run_id)
        return [file for file in files if file is not broken]


def _instant(hour: str | None) -> datetime | None:
    return datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC) if hour else None
