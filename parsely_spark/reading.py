"""Lines parsed: every one a row, kept while it is asked for counts, for events and for what is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from parsely_spark.errors import BrokenFileError
from parsely_spark.keeping import kept
from parsely_spark.transforms.dedupe import number_copies
from parsely_spark.transforms.forgetting import set_aside
from parsely_spark.transforms.parse import is_event, parse, parse_again
from parsely_spark.transforms.privacy import without_private
from parsely_spark.transforms.retention import set_old_aside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from pyspark.sql import DataFrame

    from parsely_spark.privacy_settings import PrivacySettings
    from parsely_spark.tables.known import Known

    Counts = Mapping[str, Mapping[str, Any]]  # by path of the object

MOST_NAMED = 100  # of fields that the schema does not know, in what a slice tells


class Rules(NamedTuple):
    """What of the lines is stored, and where."""

    known: Known  # when they were read
    privacy: PrivacySettings


@dataclass(frozen=True)
class Read:
    """Every line of a slice as a row: those that were read at once, and those that took a second look."""

    all_lines: DataFrame  # before the second look
    parts: list[DataFrame]
    counts: list[Counts]  # of the parts
    bytes: Mapping[str, int]  # by path
    rules: Rules

    @property
    def rejecting_parts(self) -> list[DataFrame]:
        """The parts with lines that are no events."""
        return self._parts_with("rejected")

    def unknown(self) -> frozenset[str]:
        """The commonest fields that the schema does not know, `MOST_NAMED` at most."""
        names: set[str] = set()
        for part in self._parts_with("drifted"):
            each = part.select(F.explode("_unknown").alias("name")).groupBy("name").count()
            names |= {row["name"] for row in each.orderBy(F.desc("count"), "name").limit(MOST_NAMED).collect()}
        return frozenset(names)

    def _parts_with(self, what: str) -> list[DataFrame]:
        both = zip(self.parts, self.counts, strict=True)
        return [part for part, counts in both if any(count[what] for count in counts.values())]


def parsed(read: DataFrame, ingested_at: datetime, rules: Rules, *, spread: int, until_done: ExitStack) -> Read:
    """Parse the lines that *read* gives, and those that want it once more.

    Args:
        read: ``value``, ``source`` and ``bytes``.
        ingested_at: when it began.
        rules: what is stored.
        spread: how many tasks share an hour of events.
        until_done: for how long the rows are kept.
    """
    known = rules.known

    def keep(rows: DataFrame) -> DataFrame:
        wanted = set_old_aside(set_aside(rows, known.gone), known.oldest)
        cut = without_private(wanted, rules.privacy, known.extra)
        # Read several times: for the counts, for the cells, for the events and for the rejected lines.
        return until_done.enter_context(kept(number_copies(cut, spread=spread)))

    lines = keep(parse(read, ingested_at=ingested_at, extra=known.extra))
    counts = _count(lines)
    sizes = {path: count["bytes"] for path, count in counts.items()}
    if not any(count["refused"] for count in counts.values()):
        return Read(lines, [lines], [counts], sizes, rules)
    is_refused = F.coalesce(F.col("_reason") == "not_an_object", F.lit(False))
    refused = lines.where(is_refused).select(F.col("_line").alias("value"), "source", "bytes")
    again = keep(parse_again(refused, ingested_at=ingested_at, extra=known.extra))
    parts = [lines.where(~is_refused), again]
    return Read(lines, parts, [_count(part) for part in parts], sizes, rules)


def _count(lines: DataFrame) -> Counts:
    """What the lines of each object are, by its path."""
    rows = lines.groupBy("source").agg(
        F.count("bytes").alias("lines"),
        F.sum("bytes").alias("bytes"),
        F.count_if(F.col("_is_blank") & F.col("bytes").isNotNull()).alias("blank"),
        F.count_if(F.col("_reason").isNotNull()).alias("rejected"),
        F.count_if(F.col("_reason") == "not_an_object").alias("refused"),
        F.count_if(is_event() & (F.col("_copy") == 1)).alias("kept"),
        F.count_if(is_event() & F.col("_unknown").isNotNull()).alias("drifted"),
        F.collect_set(F.when(is_event(), F.unix_date("date") * 24 + F.col("hour"))).alias("hours"),
    )
    return {row["source"]: row.asDict() for row in rows.collect()}


def check_hours(parts: Sequence[Counts], most: int) -> None:
    """Refuse a file that would make a partition of each of very many hours."""
    hours: dict[str, set[int]] = {}
    for counts in parts:
        for path, count in counts.items():
            hours.setdefault(path, set()).update(count["hours"])
    for path, of in hours.items():
        if len(of) > most:
            first, last = (datetime.fromtimestamp(hour * 3600, UTC).date() for hour in (min(of), max(of)))
            error = BrokenFileError(
                f"{path}: its events are of {len(of):,} different hours between {first} and {last}, at most {most:,} "
                f"were expected; if they are right, run again with --retry --file-hours {len(of)}."
            )
            error.path = path
            raise error
