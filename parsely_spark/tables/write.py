"""The only code that changes tables. Every write can be run twice."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.tables.catalog import EVENTS, REJECTED_LINES
from parsely_spark.transforms.dedupe import EVENT_KEY
from parsely_spark.transforms.fold import finish, finished, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import Column, DataFrame, Row

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.fold import Fold

# What a commit says of itself. `FOLDED` is the version of events up to which a derived table holds everything.
RUN, FOLDED = "run_id", "events_version"
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_APP_ID, _APP_VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"
# A commit with an application id and version that the table has seen is skipped by Delta. Our ids name one piece
# of work each, so one version is enough.
ONCE = 1


# --- events -----------------------------------------------------------------------------------------------------


def insert_events(lake: Lake, events: DataFrame, *, run_id: str) -> int:
    """Add those of *events* that the table does not hold, and return how many they were.

    Args:
        lake: where the tables are.
        events: rows of ``events``, unique by (date, hour, apikey, event_id).
        run_id: names the run in the commit.
    """
    rows = events.select(*[column.name for column in EVENTS.columns])
    if version_of(lake, EVENTS.name) == 0:
        added = _append_once(lake, EVENTS.name, rows, work="first load", run_id=run_id, said={})
        if added is not None:
            return added
    return _merge_new(lake, EVENTS.name, rows, key=EVENT_KEY, cell=("date", "hour"), run_id=run_id)


def insert_rejected(lake: Lake, rejected: DataFrame, *, run_id: str) -> int:
    """Add those of *rejected* (rows of ``rejected_lines``) that the table does not hold; return how many."""
    rows = rejected.dropDuplicates(["line_sha256"])
    return _merge_new(lake, REJECTED_LINES.name, rows, key=("line_sha256",), cell=(), run_id=run_id)


def _merge_new(
    lake: Lake, table: str, rows: DataFrame, *, key: tuple[str, ...], cell: tuple[str, ...], run_id: str
) -> int:
    # The rows are read twice, for their cells and for the merge; what computes them is the expensive part of a run.
    rows = rows.persist()
    try:
        condition = _same(key) & _in_cells(rows, cell)
        merge = lake.delta(table).alias("t").merge(rows.alias("s"), condition)
        with _commit(lake, {RUN: run_id}):
            counts = merge.whenNotMatchedInsertAll().execute().collect()
    finally:
        rows.unpersist()
    return int(counts[0]["num_inserted_rows"]) if counts else 0


# --- folds ------------------------------------------------------------------------------------------------------


def fold_new_events(lake: Lake, fold: Fold, *, run_id: str) -> int:
    """Bring the table of *fold* up to the newest version of ``events``; return how many rows were touched.

    The commit names the version it brings the table to, and is taken only if nobody has folded from the same
    version before: a crash, a repeat or a second run at the same time cannot count an event twice.

    Raises:
        LakeError: if the events since the last fold can no longer be told apart.
    """
    touched = 0
    newest = version_of(lake, EVENTS.name)
    while (done := folded_version(lake, fold.name)) < newest:
        work = f"fold from {done}"
        said = {FOLDED: newest}
        partials = summarize(_events_between(lake, done, newest), fold).persist()
        try:
            if done == 0:
                touched += (
                    _append_once(lake, fold.name, finish(partials, fold), work=work, run_id=run_id, said=said) or 0
                )
            else:
                touched += _merge_partials(lake, fold, partials, work=work, said={RUN: run_id, **said})
        finally:
            partials.unpersist()
    return touched


def _merge_partials(lake: Lake, fold: Fold, partials: DataFrame, *, work: str, said: Mapping[str, object]) -> int:
    merged = {m.name: m.merge(F.col(f"t.{m.name}"), F.col(f"s.{m.name}")) for m in fold.measures}
    update = finished(fold, lambda name: merged.get(name, F.col(f"t.{name}")))
    insert = finished(fold, lambda name: F.col(f"s.{name}"))
    condition = _same((*fold.key_names, *fold.cell_names)) & _in_cells(partials, fold.cell_names)
    merge = (
        lake.delta(fold.name)
        .alias("t")
        .merge(partials.alias("s"), condition)
        .whenMatchedUpdate(set=dict(update))
        .whenNotMatchedInsert(values=dict(insert))
    )
    with _commit(lake, said, work=work):
        counts = merge.execute().collect()
    return int(counts[0]["num_affected_rows"]) if counts else 0


def _events_between(lake: Lake, done: int, newest: int) -> DataFrame:
    """The events that became new after version *done* of ``events``, up to version *newest*."""
    name = lake.name_of(EVENTS.name)
    if done == 0:
        return lake.spark.read.option("versionAsOf", newest).table(name)
    feed = lake.spark.read.option("readChangeFeed", "true")
    try:
        return feed.option("startingVersion", done + 1).option("endingVersion", newest).table(name)
    except AnalysisException as error:
        raise LakeError(
            f"The changes of {name} from version {done + 1} to {newest} cannot be read any more "
            f"({error.getCondition()}), so the derived tables cannot go on from there; run `parsely-spark rebuild`."
        ) from error


def folded_version(lake: Lake, table: str) -> int:
    """The version of ``events`` that *table* holds everything up to; 0 for a table that was never written.

    Raises:
        LakeError: if the table has rows but no commit says up to which version.
    """
    # Nearly always the newest commit tells; upkeep may have written a few since.
    for newest_commits in (5, None):
        commits = _history(lake, table, newest_commits)
        version = commits[0]["version"]
        if version == 0:
            return 0
        for commit in commits:
            said = _said(commit)
            if FOLDED in said:
                return int(said[FOLDED])
    raise LakeError(
        f"{lake.name_of(table)} is at version {version}, but no commit in its history says which events it holds; "
        f"run `parsely-spark rebuild --tables {table}`."
    )


# --- commits ----------------------------------------------------------------------------------------------------


def version_of(lake: Lake, table: str) -> int:
    """The newest version of *table*."""
    return int(_history(lake, table, 1)[0]["version"])


def _history(lake: Lake, table: str, newest: int | None) -> list[Row]:
    commits = lake.delta(table).history(newest) if newest else lake.delta(table).history()
    return commits.select("version", "operationMetrics", "userMetadata").orderBy(F.desc("version")).collect()


def _said(commit: Row) -> dict[str, Any]:
    try:
        said = json.loads(commit["userMetadata"] or "{}")
    except ValueError:  # somebody else's commit, with text of their own
        return {}
    return said if isinstance(said, dict) else {}


def _append_once(
    lake: Lake, table: str, rows: DataFrame, *, work: str, run_id: str, said: Mapping[str, object]
) -> int | None:
    """Append *rows* unless the table has had this *work*; return how many were written, None if it had it."""
    metadata = json.dumps({RUN: run_id, **said})
    writer = rows.write.format("delta").mode("append").option("userMetadata", metadata)
    writer.option("txnAppId", _app_id(work)).option("txnVersion", ONCE).saveAsTable(lake.name_of(table))
    for commit in _history(lake, table, 5):
        if commit["userMetadata"] == metadata:
            return int(commit["operationMetrics"]["numOutputRows"])
    return None


def _app_id(work: str) -> str:
    return f"parsely_spark: {work}"


@contextmanager
def _commit(lake: Lake, said: Mapping[str, object], *, work: str | None = None) -> Iterator[None]:
    """Make the commit of a merge say *said*, and be skipped if the table has had this *work*."""
    settings = {_METADATA: json.dumps(said)}
    if work is not None:
        settings |= {_APP_ID: _app_id(work), _APP_VERSION: str(ONCE)}
    for key, value in settings.items():
        lake.spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in settings:
            lake.spark.conf.unset(key)


def _same(names: tuple[str, ...]) -> Column:
    return reduce(and_, (F.col(f"t.{name}") == F.col(f"s.{name}") for name in names))


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
