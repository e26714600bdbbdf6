"""Raw events, from their bytes to rows of ``events`` and ``rejected_lines``: of a slice of files, or of a stream."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError
from parsely_spark.jvm import is_driver
from parsely_spark.reading import Rules, check_hours, parsed
from parsely_spark.small_work import MOST_MERGED_AT_ONCE
from parsely_spark.sources.kinesis.sentences import errors_of_reading
from parsely_spark.sources.lines import hold_longer_lines, read_lines, tasks_per_cell
from parsely_spark.sources.s3 import changed_since
from parsely_spark.tables.catalog import EVENTS, REJECTED_LINES
from parsely_spark.tables.commits import RUN
from parsely_spark.tables.erasure import erase_listed
from parsely_spark.tables.known import known_to
from parsely_spark.tables.ledger import record_files
from parsely_spark.tables.rejects import rejected_rows, too_long_rows
from parsely_spark.tables.rescued import Rescued
from parsely_spark.tables.write import insert_events, insert_rows, inserted_since
from parsely_spark.transforms.dedupe import EVENT_KEY
from parsely_spark.transforms.parse import is_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyspark.sql import DataFrame

    from parsely_spark.privacy_settings import PrivacySettings
    from parsely_spark.reading import Counts, Read
    from parsely_spark.schema import Field
    from parsely_spark.sources.s3 import RawFile
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.write import Insertion

_Seen = TypeVar("_Seen")


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What came of a slice: counts, and the objects because of which it was put back."""

    files: int = 0
    lines: int = 0
    inserted: int = 0
    rejected: int = 0
    blank: int = 0
    changed: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()  # fields that the schema does not know

    @property
    def duplicate(self) -> int:
        """Events that were there already, in the slice or in the table."""
        return self.lines - self.inserted - self.rejected - self.blank

    @property
    def note(self) -> str:
        """The counts in words."""
        if self.changed:
            return f"put back: {self.changed[0]} changed meanwhile"
        return f"{self.lines:,} lines: {self.inserted:,} new, {self.duplicate:,} duplicate"


def ingest_slice(
    lake: Lake, files: Sequence[RawFile], *, run_id: str, number: int, file_hours: int, privacy: PrivacySettings
) -> Ingested:
    """Read *files* and insert what is new.

    Each step can be repeated: after a run that dies in between, the next one finds the events of the slice there.

    Args:
        lake: where the tables are.
        files: the slice.
        run_id: names the run in the commits.
        number: of the slice in the run.
        file_hours: of how many different hours the events of one file may be.
        privacy: what of a line is not stored.

    Raises:
        BrokenFileError: if the events of a file are of more.
    """
    ingested_at = datetime.now(UTC)
    with ExitStack() as until_done:
        rules, tasks = Rules(known_to(lake), privacy), tasks_per_cell(files)
        read = parsed(read_lines(lake.spark, files), ingested_at, rules, spread=tasks, until_done=until_done)
        may_crash("parsed")
        # A gzip file that grew after it was listed is read up to its former size, and nobody says so.
        if changed := changed_since(lake.spark, files):
            return Ingested(changed=changed)
        check_hours(read.counts, file_hours)
        too_long = hold_longer_lines(lake.spark, files, read.bytes)
        more_rejected = [too_long_rows(lake, too_long, ingested_at)] if too_long else []
        inserted = _keep(lake, read, {RUN: run_id, "slice": number}, ingested_at, more_rejected)
        unknown = read.unknown()
        # Where nothing can be kept, the files have been read again since.
        if not is_driver(lake.spark) and (changed := changed_since(lake.spark, files)):
            return Ingested(changed=changed)
    ledger = [_ledger_row(file, read.counts, inserted[file.path], file in too_long, ingested_at) for file in files]
    record_files(lake, ledger, run_id=run_id)
    may_crash("recorded files")
    totals = {name: sum(row[name] for row in ledger) for name in ("lines", "inserted", "rejected", "blank")}
    return Ingested(files=len(files), unknown=unknown, **totals)


def ingest_records(
    lake: Lake,
    lines: DataFrame,
    *,
    run_id: str,
    batch: int,
    look: Callable[[DataFrame], _Seen],
    privacy: PrivacySettings,
) -> tuple[Ingested, _Seen]:
    """Insert what is new of the records of a stream, which are asked for once and parsed as they come.

    Args:
        lake: where the tables are, by the session of *lines*.
        lines: ``value`` (string, the bytes of a line as they are), ``source`` (string, stream and shard) and ``bytes``;
            a row without bytes is no line.
        run_id: names the run in the commits.
        batch: its number in the run.
        look: is asked of the other columns of *lines*, when all has been read.
        privacy: what of a line is not stored.

    Returns:
        What came of the lines, and what *look* has found.

    Raises:
        SourceError: if the stream cannot be read.
    """
    ingested_at = datetime.now(UTC)
    with ExitStack() as until_done:
        with errors_of_reading():
            read = parsed(lines, ingested_at, Rules(known_to(lake), privacy), spread=1, until_done=until_done)
            seen = look(read.all_lines)
        may_crash("parsed")
        counts = [of for part in read.counts for of in part.values()]
        of_all = {name: sum(of[name] for of in counts) for name in ("lines", "rejected", "blank")}
        if not of_all["lines"]:
            return Ingested(), seen
        inserted = sum(_keep(lake, read, {RUN: run_id, "batch": batch}, ingested_at, []).values())
        return Ingested(inserted=inserted, unknown=read.unknown(), **of_all), seen


def _keep(
    lake: Lake, read: Read, says: Mapping[str, object], ingested_at: datetime, more_rejected: Sequence[DataFrame]
) -> Counter[str]:
    """Insert the events of *read*, and its lines that are none; return how many events were new, by source."""
    inserted = Counter[str]()
    for which, (part, counts) in enumerate(zip(read.parts, read.counts, strict=True)):
        inserted += _insert(lake, part, counts, read.rules.known.extra, {**says, "part": which})
    may_crash("inserted events")
    # Whoever was forgotten since the lines were read has come in with them, and fields that were added are rescued.
    now, known = known_to(lake), read.rules.known
    if now.gone != known.gone and now.gone is not None:
        erase_listed(lake, now.gone, run_id=str(says[RUN]))
    if now.extra != known.extra:
        Rescued(lake, now.extra).move(run_id=str(says[RUN]))
    once = [part.where("_copy = 1") for part in read.rejecting_parts]
    rejected = [rejected_rows(part, ingested_at, read.rules.privacy) for part in once]
    for rows in (*rejected, *more_rejected):
        insert_rows(lake, REJECTED_LINES.name, rows, key=("line_sha256",), says={RUN: says[RUN]})
    may_crash("inserted rejected lines")
    return inserted


def _insert(
    lake: Lake, lines: DataFrame, counts: Counts, extra: Sequence[Field], says: Mapping[str, object]
) -> Counter[str]:
    """Insert the events of *lines* that are new; return how many those were, by path of the object."""
    events = lines.where(is_event()).where("_copy = 1")
    are_few = sum(count["kept"] for count in counts.values()) <= MOST_MERGED_AT_ONCE
    inserted = insert_events(lake, events, extra=extra, are_few=are_few, says=says)
    by_file = _inserted_by_file(lake, events, counts, inserted)
    if sum(by_file.values()) != inserted.rows:
        raise LakeError(
            f"{lake.name_of(EVENTS.name)}: the commits inserted {inserted.rows:,} events, but "
            f"{sum(by_file.values()):,} of the slice's are in them; please report this."
        )
    return Counter(by_file)


def _inserted_by_file(lake: Lake, events: DataFrame, counts: Counts, inserted: Insertion) -> dict[str, int]:
    """How many events of each object were new, by its path."""
    if inserted.rows == 0:
        return {}
    if inserted.rows == sum(count["kept"] for count in counts.values()):
        return {path: count["kept"] for path, count in counts.items()}
    came_in = inserted_since(lake, EVENTS.name, inserted.commits).select(*EVENT_KEY)
    rows = events.select(*EVENT_KEY, "source").join(came_in, list(EVENT_KEY)).groupBy("source").count().collect()
    return {row["source"]: row["count"] for row in rows}


def _ledger_row(
    file: RawFile, parts: Sequence[Counts], inserted: int, is_too_long: bool, ingested_at: datetime
) -> dict[str, Any]:
    counts = [part[file.path] for part in parts if file.path in part]
    lines, rejected, blank = (sum(count[name] for count in counts) for name in ("lines", "rejected", "blank"))
    lines, rejected = lines + is_too_long, rejected + is_too_long
    return {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "modified_at": file.modified_at,
        "lines": lines,
        "inserted": inserted,
        "duplicate": lines - rejected - blank - inserted,
        "rejected": rejected,
        "blank": blank,
        "ingested_at": ingested_at,
    }
