"""What is new in ``events``, looked up once for all the tables that are folded from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.small_work import MOST_FOLDED_EVENTS, looking
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import changes, history, inserted_by, said, version_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

    from parsely_spark.tables.catalog import Lake

# In a commit of `events` that deletes what is stored of a visitor: what of it.
ERASED = "erased"
# In one that deletes events for their age: the first day that stays.
EXPIRED = "expired"
# In one that moves what was rescued into columns that have been added: which. No fold reads those.
MOVED = "moved"
_COMMITS = 20  # whose events are counted; what is new is mostly of one


class News:
    """The table ``events`` as it is when this is made.

    Attributes:
        events_id: which table it is.
        version: its newest version.
        size_bytes: of its files.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        with looking(lake.spark):
            detail = lake.detail(EVENTS.name).select("id", "sizeInBytes").collect()[0]
        self.events_id, self.size_bytes = str(detail["id"]), int(detail["sizeInBytes"])
        self._commits = history(lake, EVENTS.name, _COMMITS)
        self.version = int(self._commits[0]["version"])
        self._between: dict[tuple[int, int], DataFrame] = {}

    def are_few(self, folded: int) -> bool:
        """Whether few events are new since the version *folded*, as far as the newest commits tell."""
        since = [commit for commit in self._commits if commit["version"] > folded]
        return len(since) == self.version - folded and sum(map(inserted_by, since)) <= MOST_FOLDED_EVENTS

    def erased_after(self, folded: int, until: int) -> tuple[int, str] | None:
        """The first version after *folded*, and not after *until*, that has deleted events, and how it says so."""
        erased = [(version, ERASED) for version in self._versions_that_say(ERASED, folded, until)]
        expired = [(version, EXPIRED) for version in self._versions_that_say(EXPIRED, folded, until)]
        return min(erased + expired, default=None)

    def _versions_that_say(self, word: str, folded: int, until: int) -> list[int]:
        return [int(commit["version"]) for commit in self._commits_of(folded, until) if word in said(commit)]

    def _commits_of(self, folded: int, until: int) -> list[Row]:
        """The commits after *folded*, and not after *until*."""
        if self._commits[-1]["version"] > folded + 1:
            # Others may have committed since, and the newest are counted.
            newest = version_of(self._lake, EVENTS.name)
            commits = history(self._lake, EVENTS.name, newest - folded)
            self._commits = [commit for commit in commits if commit["version"] <= self.version]
        return [commit for commit in self._commits if folded < commit["version"] <= until]

    def between(self, folded: int, until: int) -> DataFrame:
        """The events that are new since the version *folded* of the table, by that of *until*; all of them since 0.

        Raises:
            LakeError: if they can no longer be told apart.
        """
        if (folded, until) not in self._between:
            new = self._added(folded, until) if folded else rows_at(self._lake, EVENTS.name, until)
            self._between[folded, until] = new
        return self._between[folded, until]

    def _added(self, folded: int, until: int) -> DataFrame:
        name = self._lake.name_of(EVENTS.name)
        try:
            new = changes(self._lake, EVENTS.name, folded + 1, until)
            if moved := self._versions_that_say(MOVED, folded, until):
                new = new.where(~F.col("_commit_version").isin(*moved))
            # What a RESTORE brings back was folded before it had gone.
            is_restored = any(commit["operation"] == "RESTORE" for commit in self._commits_of(folded, until))
            is_only_added_to = not is_restored and new.where("_change_type <> 'insert'").isEmpty()
        except AnalysisException as error:
            raise LakeError(
                f"The changes of {name} from version {folded + 1} to {until} cannot be read any more "
                f"({error.getCondition()}), so the derived tables cannot go on from there; run `parsely-spark rebuild`."
            ) from error
        if not is_only_added_to:
            raise LakeError(
                f"Between versions {folded} and {until} of {name} events were deleted, changed or restored, which the "
                "derived tables cannot follow; run `parsely-spark rebuild`."
            )
        return new


def rows_at(lake: Lake, table: str, version: int) -> DataFrame:
    """The rows of *table* as of a version of it."""
    return lake.spark.read.option("versionAsOf", version).table(lake.name_of(table))
