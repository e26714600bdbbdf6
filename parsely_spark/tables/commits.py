"""What the commits of a table say, and commits that can be repeated without doing their work twice."""

from __future__ import annotations

import json
import random
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.small_work import looking
from parsely_spark.tables.lease import turn_to_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyspark.sql import Column, DataFrame, Row

    from parsely_spark.tables.catalog import Lake


class Work(NamedTuple):
    """A piece of work that a table may have once.

    To Delta, an application and its version: it skips a commit whose version is not higher than that of the last one of
    the application, and lets only one of two at the same time through.

    Attributes:
        on: what is worked on.
        number: at least 1; the same for every repetition, higher for what follows.
    """

    on: str
    number: int

    @property
    def app(self) -> str:
        """The application id."""
        return f"parsely_spark {self.on}"


RUN = "run_id"  # what every commit of ours says of itself

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_APP_ID, _APP_VERSION = "spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion"
_GATHERS = "spark.databricks.delta.merge.repartitionBeforeWrite.enabled"

# The conditions of an insert, as Delta's history repeats them, and in them the words of `as_condition`.
_CONDITIONS = "operationParameters.notMatchedPredicates"
_WORDS = re.compile(r"parsely_spark says ([0-9a-f]+)")

# What Delta says when another writer was quicker. It has changed nothing then.
_CONFLICTS = (
    "DELTA_CONCURRENT_",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",
    "ConcurrentModificationException",
)
_TRIES, _FIRST_WAIT_S, _LONGEST_WAIT_S = 12, 0.2, 10.0


def version_of(lake: Lake, table: str) -> int:
    """The newest version of *table*."""
    return int(history(lake, table, 1)[0]["version"])


def history(lake: Lake, table: str, newest: int | None) -> list[Row]:
    """The *newest* commits of *table*, newest first, or all of them: version, operation, metrics and message."""
    limit = f" LIMIT {newest}" if newest else ""
    with looking(lake.spark):
        commits = lake.spark.sql(f"DESCRIBE HISTORY {lake.name_of(table)}{limit}")
        conditions = F.col(_CONDITIONS).alias("conditions")
        rows = commits.select("version", "operation", "operationMetrics", "userMetadata", conditions).collect()
    return sorted(rows, key=lambda row: row["version"], reverse=True)  # Spark would take two jobs for it


def said(commit: Row) -> dict[str, Any]:
    """What one of our commits says of itself; nothing for somebody else's."""
    in_words = _WORDS.search(commit["conditions"] or "")
    try:
        words = json.loads(bytes.fromhex(in_words[1]) if in_words else commit["userMetadata"] or "{}")
    except ValueError:  # a text of their own
        return {}
    return words if isinstance(words, dict) else {}


def as_condition(says: Mapping[str, object], column: Column) -> Column:
    """A condition by which a commit can say *says* where nothing else can: that *column* is not this very text."""
    return ~column.eqNullSafe(F.lit(f"parsely_spark says {json.dumps(dict(says)).encode().hex()}"))


def made_commit(lake: Lake, table: str, says: Mapping[str, object]) -> Row | None:
    """The commit that was made just now and *says* this of itself; None if none was."""
    return next((commit for commit in history(lake, table, 20) if said(commit) == dict(says)), None)


def inserted_by(commit: Row) -> int:
    """How many rows a commit has brought; Delta counts those of a merge apart, and none where it only moves them."""
    counts = commit["operationMetrics"] or {}  # a writer that is not ours may tell nothing
    name = {"WRITE": "numOutputRows", "MERGE": "numTargetRowsInserted"}.get(commit["operation"])
    return int(counts.get(name, 0)) if name else 0


def version_that(lake: Lake, table: str, *, says: Mapping[str, object]) -> int:
    """The version of *table* that the commit made which *says* this of itself.

    Raises:
        LakeError: if there is none.
    """
    commit = commit_that(lake, table, says=says)
    if commit is None:
        raise LakeError(f"{lake.name_of(table)} has no commit that says {dict(says)}; somebody has removed it.")
    return int(commit["version"])


def commit_that(lake: Lake, table: str, *, says: Mapping[str, object]) -> Row | None:
    """The commit of *table* that *says* this of itself, looked for among the newest first; None if none does."""
    for newest in (20, None):
        for commit in history(lake, table, newest):
            if said(commit) == dict(says):
                return commit
    return None


def changes(lake: Lake, table: str, first: int, last: int) -> DataFrame:
    """The rows that came in or went with the versions *first* to *last* of *table*, by its change feed."""
    feed = lake.spark.read.option("readChangeFeed", "true")
    return feed.option("startingVersion", first).option("endingVersion", last).table(lake.name_of(table))


def append(lake: Lake, table: str, rows: DataFrame, *, says: Mapping[str, object]) -> None:
    """Append *rows*, which can only get in the way of one who adds a column."""

    def attempt() -> int:
        writer = rows.write.format("delta").mode("append").option("userMetadata", json.dumps(dict(says)))
        writer.saveAsTable(lake.name_of(table))
        return 0

    until_nobody_was_quicker(lake, table, attempt)


def overwrite(
    lake: Lake,
    table: str,
    rows: DataFrame,
    *,
    work: Work,
    says: Mapping[str, object],
    where: str | None = None,
    adds_columns: bool = False,
) -> int | None:
    """Put *rows* in the place of all that is in *table*, or of what is there *where*, a condition in SQL, holds.

    Where it *adds_columns*, the table gets those of *rows* that it lacks; else that is an error. Other arguments and
    result are as of `append_once`.
    """
    options = {} if where is None else {"replaceWhere": where}
    if adds_columns:
        options["mergeSchema"] = "true"
    return _write_once(lake, table, rows, "overwrite", work, says, options)


def append_once(lake: Lake, table: str, rows: DataFrame, *, work: Work, says: Mapping[str, object]) -> int | None:
    """Append *rows* unless the table has had this *work* or a later one.

    Args:
        lake: where the table is.
        table: its name.
        rows: the rows.
        work: what the commit does.
        says: what the commit tells of itself; unlike that of any other commit.

    Returns:
        How many rows were written; None if the table had had the work.
    """
    return _write_once(lake, table, rows, "append", work, says)


def _write_once(
    lake: Lake,
    table: str,
    rows: DataFrame,
    mode: str,
    work: Work,
    says: Mapping[str, object],
    options: Mapping[str, str] | None = None,
) -> int | None:
    # Whatever the session's setting: what is put in the place of a table is all of it, not some partitions.
    writer = rows.write.format("delta").mode(mode).option("partitionOverwriteMode", "static")
    writer = writer.option("userMetadata", json.dumps(dict(says))).options(**(options or {}))
    writer.option("txnAppId", work.app).option("txnVersion", work.number).saveAsTable(lake.name_of(table))
    commit = made_commit(lake, table, says)
    # Of no rows for no cells it counts nothing.
    return int(commit["operationMetrics"].get("numOutputRows", 0)) if commit is not None else None


@contextmanager
def merging(
    lake: Lake, *, says: Mapping[str, object], work: Work | None = None, as_they_lie: bool = False
) -> Iterator[None]:
    """Make the commit of a merge in the block say *says*, and be skipped if the table has had this *work*.

    Its rows are gathered by partition before they are written, which is a second shuffle of them, unless they are to
    be written *as_they_lie*, by the tasks that have them.
    """
    settings = {_GATHERS: "false"} if as_they_lie else {}
    if work is not None:
        settings |= {_APP_ID: work.app, _APP_VERSION: str(work.number)}
    with saying(lake, says, settings):
        yield


@contextmanager
def saying(lake: Lake, says: Mapping[str, object], settings: Mapping[str, str]) -> Iterator[None]:
    """Make the commit of a statement in the block say *says*, and have Spark go by *settings* until its end."""
    settings = {_METADATA: json.dumps(dict(says)), **settings}
    for key, value in settings.items():
        lake.spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in settings:
            lake.spark.conf.unset(key)


def until_nobody_was_quicker(lake: Lake, table: str, attempt: Callable[[], int | None]) -> int:
    """Do *attempt* again, from what the table is by then, as long as other writers commit in between.

    Args:
        lake: where the table is.
        table: its name.
        attempt: looks at the table, writes and returns how many rows; None where its work had been done by another.

    Raises:
        LakeError: if others are quicker again and again.
    """
    for number in range(_TRIES):
        try:
            with turn_to_write(lake, table):
                written = attempt()
        except PySparkException as error:
            if not any(word in str(error) for word in _CONFLICTS):
                raise
        else:
            if written is not None:
                return written
        # Two that wait the same time would meet again.
        time.sleep(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**number) * random.uniform(0.5, 1.0))
    raise LakeError(
        f"{lake.name_of(table)}: {_TRIES} times another run wrote to it first; let one run at a time write, then run "
        "again: what was done stays done."
    )
