"""What is stored of visitors deleted from the tables that hold lines and events.

The folds go by what is added to ``events``. A commit that deletes says that it is an `ERASED` one: then they take the
rows of those visitors out, and make those again that the events were a part of (`tables/refolding.py`), in the same job
or, if that has died, in whichever run folds next.
"""

from __future__ import annotations

from collections import Counter
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import functions as F

from parsely_spark.tables.catalog import EVENTS, REJECTED_LINES, RUNS
from parsely_spark.tables.commits import RUN, commit_that, history, said, saying, until_nobody_was_quicker
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.news import ERASED, EXPIRED
from parsely_spark.transforms.forgetting import is_listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.forgetting import Listed

JOB = "forget"  # in runs


class Visitors(NamedTuple):
    """Whose traces are looked for.

    Attributes:
        ids: their ``visitor_site_id``.
        apikey: of the one site that is meant; None for all.
    """

    ids: tuple[str, ...]
    apikey: str | None

    def is_of_row(self) -> Column:
        """Whether a row, of any table that has ``visitor_site_id``, is of one of them."""
        return F.col("visitor_site_id").isin(*self.ids) & self._is_of_site()

    def is_rescued(self) -> Column:
        """Whether a row of ``events`` of somebody else, or of nobody, names one in what was rescued."""
        is_theirs = F.coalesce(self.is_of_row(), F.lit(False))
        return _holds(F.col("_rescued"), self.ids) & self._is_of_site() & ~is_theirs

    def is_in_line(self) -> Column:
        """Whether a row of ``rejected_lines`` names one."""
        # Bytes that are no UTF-8 are kept as base64; as Latin-1, each of them is one letter.
        line = F.when(
            F.col("reason") == "not_utf8", F.decode(F.try_to_binary("line", F.lit("base64")), "ISO-8859-1")
        ).otherwise(F.col("line"))
        is_of_site = F.lit(True) if self.apikey is None else F.contains(line, F.lit(self.apikey))
        as_letters = [of.encode().decode("latin-1") for of in self.ids]
        return _holds(line, {*self.ids, *as_letters}) & is_of_site

    def _is_of_site(self) -> Column:
        return F.lit(True) if self.apikey is None else F.col("apikey") == self.apikey


def erase_lines(lake: Lake, visitors: Visitors, *, run_id: str) -> int:
    """Delete the rejected lines that name one of *visitors*; return how many."""
    return change(lake, REJECTED_LINES.name, visitors.is_in_line(), {RUN: run_id})


def erase_rescued(lake: Lake, visitors: Visitors, *, run_id: str) -> int:
    """Empty what was rescued of events of others, where it names one of *visitors*; return of how many."""
    nothing = {"_rescued": F.lit(None).cast("string")}
    return change(lake, EVENTS.name, visitors.is_rescued(), {RUN: run_id, ERASED: "rescued"}, set_to=nothing)


def erase_events(lake: Lake, visitors: Visitors, *, run_id: str) -> int:
    """Delete the events of *visitors*; return how many."""
    return change(lake, EVENTS.name, visitors.is_of_row(), {RUN: run_id, ERASED: "events"})


def erase_rows(lake: Lake, table: str, visitors: Visitors, *, run_id: str) -> int:
    """Delete the rows of *visitors* in a derived *table*, of which no event is left; return how many."""
    return change(lake, table, visitors.is_of_row(), {RUN: run_id})


def erase_listed(lake: Lake, gone: Listed, *, run_id: str) -> int:
    """Delete the events of those who are on the list, by their hashes; return how many."""
    return change(lake, EVENTS.name, is_listed(gone, F.col), {RUN: run_id, ERASED: "events"})


def erased_events(lake: Lake) -> dict[str, int]:
    """How many events were deleted, for whomever or for their age, by run: as it has noted, or as commits say more."""
    by_run = Counter[str]()
    for commit in history(lake, EVENTS.name, None):
        says = said(commit)
        if says.get(ERASED) == "events" or EXPIRED in says:
            by_run[says[RUN]] += int(commit["operationMetrics"].get("numDeletedRows", 0))
    return dict(by_run | Counter(_noted_erasures(lake)))


def note_erasures_of_the_dead(lake: Lake, run: Mapping[str, object]) -> None:
    """Note what runs have deleted that died before they noted it: Delta's log knows of it for a month.

    Args:
        lake: where the tables are.
        run: the row of ``runs`` of the one that notes it; times and versions are taken from it.
    """
    noted = _noted_erasures(lake)
    for run_id, deleted in erased_events(lake).items():
        if noted.get(run_id, 0) < deleted:
            died = {"run_id": run_id, "outcome": "failed", "error": "It has noted nothing of what it deleted."}
            record_run(lake, {**run, **died, "rows_touched": {EVENTS.name: deleted}})


def _noted_erasures(lake: Lake) -> dict[str, int]:
    """How many events were deleted, by the run that has noted it."""
    deleted = F.coalesce(F.col("rows_touched")[EVENTS.name], F.lit(0)).alias("deleted")
    runs = lake.read(RUNS.name).where(F.col("job").isin(JOB, "maintain")).select("run_id", deleted)
    return {
        row["run_id"]: row["deleted"] for row in runs.groupBy("run_id").agg(F.max("deleted").alias("deleted")).collect()
    }


def _holds(text: Column, ids: set[str] | tuple[str, ...]) -> Column:
    found = reduce(or_, (F.contains(text, F.lit(of)) for of in sorted(ids)))
    return F.coalesce(found, F.lit(False))


def change(
    lake: Lake, table: str, are_meant: Column, says: Mapping[str, object], *, set_to: Mapping[str, Column] | None = None
) -> int:
    """Delete the rows that *are_meant*, or set columns of theirs; return how many they were."""
    if lake.read(table).where(are_meant).isEmpty():
        return 0
    until_nobody_was_quicker(lake, table, partial(_change_once, lake, table, are_meant, says, set_to))
    counted = "numDeletedRows" if set_to is None else "numUpdatedRows"
    commit = commit_that(lake, table, says=says)
    if commit is None:  # another run was quicker, and left none
        return 0
    return int(commit["operationMetrics"].get(counted, 0))


def _change_once(
    lake: Lake, table: str, are_meant: Column, says: Mapping[str, object], set_to: Mapping[str, Column] | None
) -> int:
    # Written again without the rows at once: to mark them as gone would leave them to be read in the file.
    settings = {f"spark.databricks.delta.{kind}.deletionVectors.persistent": "false" for kind in ("delete", "update")}
    with saying(lake, says, settings):
        if set_to is None:
            lake.delta(table).delete(are_meant)
        else:
            lake.delta(table).update(are_meant, dict(set_to))
    return 0
