"""The only code that changes tables. Every write can be run twice."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, NamedTuple

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.tables.catalog import EVENTS, TABLES
from parsely_spark.tables.commits import (
    RUN,
    Work,
    append_once,
    history,
    merging,
    overwrite,
    said,
    until_nobody_was_quicker,
    version_of,
    version_that,
)
from parsely_spark.transforms.dedupe import EVENT_KEY
from parsely_spark.transforms.fold import finish, finished, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.fold import Fold

# In a commit: the version of events up to which a derived table holds everything, and which table that is.
FOLDED, FOLDED_OF = "events_version", "events_id"
FIRST_LOAD = Work("first load", 1)


def create_missing_tables(lake: Lake) -> None:
    """Create the tables that are not there, also while another run does the same."""
    for table in TABLES:

        def attempt(table: str = table) -> int:
            lake.create_missing(table)
            return 0

        until_nobody_was_quicker(lake, table, attempt)


# --- events -----------------------------------------------------------------------------------------------------


def insert_events(lake: Lake, events: DataFrame, *, says: Mapping[str, object]) -> int:
    """Add those of *events* that the table does not hold, and return how many they were.

    Args:
        lake: where the tables are.
        events: rows of ``events``, unique by (date, hour, apikey, event_id). They are read twice, so persist them.
        says: what the commit tells of itself.
    """
    rows = events.select(*[column.name for column in EVENTS.columns])

    def attempt() -> int | None:
        if version_of(lake, EVENTS.name) == 0:
            return append_once(lake, EVENTS.name, rows, work=FIRST_LOAD, says=says)
        return _merge_new(lake, EVENTS.name, rows, key=EVENT_KEY, cell=("date", "hour"), says=says)

    return until_nobody_was_quicker(lake, EVENTS.name, attempt)


def inserted_since(lake: Lake, table: str, *, says: Mapping[str, object]) -> DataFrame:
    """The rows that came into *table* with the commit that *says* this, by its change feed."""
    version = version_that(lake, table, says=says)
    return _changes(lake, table, version, version)


def insert_rows(lake: Lake, table: str, rows: DataFrame, *, key: tuple[str, ...], says: Mapping[str, object]) -> int:
    """Add those *rows*, unique by *key*, that the small *table* does not hold; return how many they were."""
    return until_nobody_was_quicker(lake, table, lambda: _merge_new(lake, table, rows, key=key, cell=(), says=says))


def _merge_new(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    key: tuple[str, ...],
    cell: tuple[str, ...],
    says: Mapping[str, object],
) -> int:
    condition = _same(key) & _in_cells(rows, cell)
    merge = lake.delta(table).alias("t").merge(rows.alias("s"), condition)
    with merging(lake, says=says):
        counts = merge.whenNotMatchedInsertAll().execute().collect()
    return int(counts[0]["num_inserted_rows"]) if counts else 0


# --- folds ------------------------------------------------------------------------------------------------------


def fold_new_events(lake: Lake, fold: Fold, *, run_id: str) -> int:
    """Bring the table of *fold* up to the newest version of ``events``; return how many rows were touched.

    The commit names the version it brings the table to, and is taken only if nobody has folded from the same
    version before: a crash, a repeat or a second run at the same time cannot count an event twice.

    Raises:
        LakeError: if the events since the last fold can no longer be told apart.
    """

    def attempt() -> int | None:
        events = _state_of_events(lake)
        done = _folded(lake, fold.name, events)
        if done == events.version:
            return 0
        partials = summarize(_events_between(lake, done, events.version), fold).persist()
        says = {RUN: run_id, FOLDED: events.version, FOLDED_OF: events.id}
        work = Work(events.id, done + 1)
        try:
            if done == 0:
                return append_once(lake, fold.name, finish(partials, fold), work=work, says=says)
            return _merge_partials(lake, fold, partials, work=work, says=says)
        finally:
            partials.unpersist()

    return until_nobody_was_quicker(lake, fold.name, attempt)


def rebuild_fold(lake: Lake, fold: Fold, *, run_id: str) -> int:
    """Make the table of *fold* again from all events, in one commit; return how many rows it has."""

    def attempt() -> int:
        events = _state_of_events(lake)
        rows = finish(summarize(events_at(lake, events.version), fold), fold)
        says = {RUN: run_id, FOLDED: events.version, FOLDED_OF: events.id}
        return overwrite(lake, fold.name, rows, says=says)

    return until_nobody_was_quicker(lake, fold.name, attempt)


def _merge_partials(
    lake: Lake, fold: Fold, partials: DataFrame, *, work: Work, says: Mapping[str, object]
) -> int | None:
    merged = {m.name: m.merge(F.col(f"t.{m.name}"), F.col(f"s.{m.name}")) for m in fold.measures}
    update = finished(fold, lambda name: merged.get(name, F.col(f"t.{name}")))
    insert = finished(fold, lambda name: F.col(f"s.{name}"))
    # All that `summarize` groups by: the attributes follow from the key, unless two keys are of one text.
    condition = _same(tuple(c.name for c in fold.groupings)) & _in_cells(partials, fold.cell_names)
    merge = (
        lake.delta(fold.name)
        .alias("t")
        .merge(partials.alias("s"), condition)
        .whenMatchedUpdate(set=dict(update))
        .whenNotMatchedInsert(values=dict(insert))
    )
    with merging(lake, says=says, work=work):
        counts = merge.execute().collect()
    # Nothing at all is said of a merge that was skipped: somebody else has folded from the same version.
    return int(counts[0]["num_affected_rows"]) if counts else None


def _events_between(lake: Lake, done: int, newest: int) -> DataFrame:
    """The events that became new after version *done* of ``events``, up to version *newest*."""
    name = lake.name_of(EVENTS.name)
    if done == 0:
        return events_at(lake, newest)
    try:
        changes = _changes(lake, EVENTS.name, done + 1, newest)
        is_only_added_to = changes.where("_change_type <> 'insert'").isEmpty()
    except AnalysisException as error:
        raise LakeError(
            f"The changes of {name} from version {done + 1} to {newest} cannot be read any more "
            f"({error.getCondition()}), so the derived tables cannot go on from there; run `parsely-spark rebuild`."
        ) from error
    if not is_only_added_to:
        raise LakeError(
            f"Between versions {done} and {newest} of {name} events were deleted or changed, which the derived tables "
            "cannot follow; run `parsely-spark rebuild`."
        )
    return changes


def events_at(lake: Lake, version: int) -> DataFrame:
    """The events as of a *version* of the table."""
    return lake.spark.read.option("versionAsOf", version).table(lake.name_of(EVENTS.name))


def _changes(lake: Lake, table: str, first: int, last: int) -> DataFrame:
    feed = lake.spark.read.option("readChangeFeed", "true")
    return feed.option("startingVersion", first).option("endingVersion", last).table(lake.name_of(table))


class _Events(NamedTuple):
    """Which table of events there is, and how far it is."""

    id: str
    version: int


def _state_of_events(lake: Lake) -> _Events:
    detail = lake.delta(EVENTS.name).detail().select("id").collect()
    return _Events(str(detail[0]["id"]), version_of(lake, EVENTS.name))


def folded_version(lake: Lake, table: str) -> int:
    """The version of ``events`` that *table* holds everything up to; 0 for a table that was never written.

    Raises:
        LakeError: if the table has rows but no commit says of which events, or of others than those that are there.
    """
    return _folded(lake, table, _state_of_events(lake))


def _folded(lake: Lake, table: str, events: _Events) -> int:
    # Nearly always the newest commit tells; upkeep may have written a few since.
    for newest_commits in (5, None):
        commits = history(lake, table, newest_commits)
        if commits[0]["version"] == 0:
            return 0
        for commit in commits:
            folded = said(commit)
            if FOLDED in folded:
                if folded.get(FOLDED_OF) != events.id or folded[FOLDED] > events.version:
                    raise LakeError(
                        f"{lake.name_of(table)} was made from another table `events` than the one that is there; run "
                        "`parsely-spark rebuild`."
                    )
                return int(folded[FOLDED])
            if commit["operation"] == "RESTORE":
                break
    raise LakeError(
        f"{lake.name_of(table)} has rows, but no commit since it was made or restored says which events it "
        f"holds; run `parsely-spark rebuild --tables {table}`."
    )


# --- conditions -------------------------------------------------------------------------------------------------


def _same(names: tuple[str, ...]) -> Column:
    return reduce(and_, (F.col(f"t.{name}").eqNullSafe(F.col(f"s.{name}")) for name in names))


def _in_cells(rows: DataFrame, cell: tuple[str, ...]) -> Column:
    """A condition on the target with the cells of *rows* as literals, by which Delta reads and locks only those."""
    if not cell:
        return F.lit(True)
    cells = rows.select(*cell).distinct().collect()
    hours: dict[object, list[int]] = {}
    for row in cells:
        hours.setdefault(row["date"], []).append(row["hour"])
    by_date = [(F.col("t.date") == F.lit(day)) & F.col("t.hour").isin(sorted(of)) for day, of in sorted(hours.items())]
    return reduce(or_, by_date, F.lit(False))
