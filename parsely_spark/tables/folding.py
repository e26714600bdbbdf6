"""Derived tables kept up to date with ``events``. Every write can be repeated."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.keeping import kept
from parsely_spark.small_work import small_work
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import (
    RUN,
    Work,
    append_once,
    history,
    overwrite,
    said,
    until_nobody_was_quicker,
    version_of,
)
from parsely_spark.tables.merge import merge_fold
from parsely_spark.tables.news import EXPIRED, News, rows_at
from parsely_spark.tables.refolding import fold_erasure, note_progress
from parsely_spark.tables.retention import whole_of
from parsely_spark.tables.runs import ADD, WHAT, changed_runs
from parsely_spark.transforms.fold import combine, finish, is_piece, summarize
from parsely_spark.transforms.sessionize import MAKES_ROW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.retention import Whole
    from parsely_spark.transforms.fold import Fold

# In a commit: the version of events up to which a derived table holds everything, and which table that is.
FOLDED, FOLDED_OF = "events_version", "events_id"
_SESSIONS_BEGIN_BEFORE = timedelta(days=3)  # at most two days before their first event, and the hour of a clock


class State(NamedTuple):
    """How far a derived table and the events are.

    Attributes:
        news: the events there are.
        events: the version of them that the derived table can be brought to; the newest.
        folded: the version of them up to which it holds everything; 0 where it was never written.
        version: the newest version of the derived table.
        folded_in: the version of the derived table that brought it there; upkeep may have written newer ones.
    """

    news: News
    events: int
    folded: int
    version: int
    folded_in: int

    @property
    def work(self) -> Work:
        """A commit that starts from this state, which no second one can: the number rises with every one that does.

        It is not that of the events, because a table can be made again from the same events, and a fold that began
        before must not be added to it. Nor does it rise with upkeep: two that start before and after it fold the same.
        """
        return Work(self.news.events_id, self.folded_in + 1)

    def says(self, run_id: str) -> dict[str, object]:
        """What the commit tells of itself."""
        return {RUN: run_id, FOLDED: self.events, FOLDED_OF: self.news.events_id}


def fold_new_events(lake: Lake, fold: Fold, *, run_id: str, news: News | None = None) -> int:
    """Bring the table of *fold* up to the newest version of ``events``; return how many rows were touched.

    The commit names the version it brings the table to, and is taken only if nobody has written to the table from the
    same state before: a crash, a repeat or a second run at the same time cannot count an event twice.

    Args:
        lake: where the tables are.
        fold: the declaration of the table.
        run_id: names the run in the commit.
        news: the events there are, where they have been looked at for another table.

    Raises:
        LakeError: if the events since the last fold can no longer be told apart.
    """
    touched, is_there = 0, False

    def attempt() -> int | None:
        nonlocal is_there
        rows, is_there = _fold_once(lake, fold, news, run_id)
        return rows

    while not is_there:
        touched += until_nobody_was_quicker(lake, fold.name, attempt)
    return touched


def _fold_once(lake: Lake, fold: Fold, news: News | None, run_id: str) -> tuple[int | None, bool]:
    """Fold up to the newest events, or to the next that were deleted, or over those; and whether that is all."""
    state = state_of(lake, fold.name, news)
    followed = None
    if fold.follows is not None:
        # The runs have to be those of the same events, so it goes as far as the table that knows them.
        ahead = state_of(lake, fold.follows.name, state.news)
        state = state._replace(news=ahead.news, events=ahead.folded)
        followed = rows_at(lake, fold.follows.name, ahead.version)
    if state.folded >= state.events:
        return 0, True
    erased = state.news.erased_after(state.folded, state.events) if state.folded else None
    if erased is None:
        return _fold_added(lake, fold, state, followed, run_id), True
    version, what = erased
    if version > state.folded + 1:
        before = state._replace(events=version - 1)
        rows = _fold_added(lake, fold, before, followed, run_id)
        return rows or note_progress(lake, fold, work=before.work, says=before.says(run_id)), False
    over = state._replace(events=version)
    # What was made of events that went for their age stays, for as long as its own table keeps it.
    step_over = note_progress if what == EXPIRED else partial(fold_erasure, version=version)
    return step_over(lake, fold, work=over.work, says=over.says(run_id)), version == state.events


def _fold_added(lake: Lake, fold: Fold, state: State, followed: DataFrame | None, run_id: str) -> int | None:
    are_few = state.news.are_few(state.folded)
    with (
        small_work(lake.spark, is_small=are_few, stored_bytes=state.news.size_bytes),
        kept(summarize(state.news.between(state.folded, state.events), fold)) as partials,
    ):
        if state.folded == 0:
            rows = finish(combine(partials, fold), fold)
            return append_once(lake, fold.name, rows, work=state.work, says=state.says(run_id))
        return _merge(lake, fold, partials, followed, work=state.work, says=state.says(run_id))


def rebuild_fold(lake: Lake, fold: Fold, *, run_id: str, adds_columns: bool = False) -> int:
    """Make the table of *fold* again from all events, in one commit; return how many rows were written.

    Rows of a time of which events are gone stay as they are. For them, what is new is folded first, if it can be.

    Args:
        lake: where the tables are.
        fold: the declaration of the table.
        run_id: names the run in the commit.
        adds_columns: whether the commit also adds the columns that the table lacks; where rows stay, they are there.

    Raises:
        LakeError: if there are rows of days before all events, and nobody has said that such are kept.
    """
    whole = whole_of(lake, fold)
    if whole is not None:
        return _rebuild_whole(lake, whole, run_id)
    _check_nothing_is_lost(lake, fold)

    def attempt() -> int | None:
        state = _from_the_start(lake, fold)
        rows = from_nothing(lake, fold, version=state.events)
        if adds_columns:
            rows = rows.select(*[F.col(c.name).alias(c.name, metadata={"comment": c.meaning}) for c in fold.columns])
        work, says = state.work, state.says(run_id)
        return overwrite(lake, fold.name, rows, work=work, says=says, adds_columns=adds_columns)

    return until_nobody_was_quicker(lake, fold.name, attempt)


def _from_the_start(lake: Lake, fold: Fold) -> State:
    news, newest = News(lake), version_of(lake, fold.name)
    return State(news, news.version, 0, newest, newest)


def _check_nothing_is_lost(lake: Lake, fold: Fold) -> None:
    if not fold.cell_names:
        return
    first, stored = (lake.read(table).agg(F.min("date")).collect()[0][0] for table in (EVENTS.name, fold.name))
    if first is not None and stored is not None and stored < first - _SESSIONS_BEGIN_BEFORE:
        raise LakeError(
            f"{lake.name_of(fold.name)} has rows from {stored} on, and the events that are there begin with {first}: "
            "older rows could not be made again; read the events of that time, or drop the table if they may go."
        )


def _rebuild_whole(lake: Lake, whole: Whole, run_id: str) -> int:
    fold, goes_on = whole.fold, True
    try:
        fold_new_events(lake, fold, run_id=run_id)
    except LakeError:  # what else is a rebuild for; rows that stay then lack what they lacked
        goes_on = False

    def attempt() -> int | None:
        state = state_of(lake, fold.name) if goes_on else _from_the_start(lake, fold)
        state = state._replace(events=state.folded) if goes_on else state  # as far as the rows that stay
        stored = rows_at(lake, fold.name, state.version)
        rows = whole.of_made(from_nothing(lake, fold, version=state.events), stored)
        where = f"date >= DATE'{whole.since}'" if fold.cell_names else None
        rows = rows if where else rows.unionByName(stored.where(~whole.of_stored()))
        return overwrite(lake, fold.name, rows, work=state.work, says=state.says(run_id), where=where)

    return until_nobody_was_quicker(lake, fold.name, attempt)


def from_nothing(lake: Lake, fold: Fold, *, version: int) -> DataFrame:
    """The rows that *fold* has by *version* of ``events``, from those events alone."""
    return finish(combine(summarize(rows_at(lake, EVENTS.name, version), fold), fold), fold)


def _merge(
    lake: Lake, fold: Fold, partials: DataFrame, followed: DataFrame | None, *, work: Work, says: Mapping[str, object]
) -> int | None:
    pieces = partials.where(is_piece(fold))
    if fold.runs is None or pieces.isEmpty():
        return merge_fold(lake, fold, partials.withColumn(WHAT, F.lit(ADD)), work=work, says=says)
    named = partials.where(~is_piece(fold)).withColumn(WHAT, F.lit(ADD)).drop(MAKES_ROW)
    with kept(named.unionByName(changed_runs(lake.read(fold.name), pieces, fold, followed))) as rows:
        return merge_fold(lake, fold, rows, work=work, says=says)


def state_of(lake: Lake, table: str, news: News | None = None) -> State:
    """How far the derived *table* and the events are.

    Args:
        lake: where the tables are.
        table: its name.
        news: the events, as they were seen a while ago; else they are looked at now.

    Raises:
        LakeError: if the table has rows but no commit says of which events, or of others than those that are there.
    """
    # Nearly always the newest commit tells; upkeep may have written a few since.
    for newest_commits in (5, None):
        commits = history(lake, table, newest_commits)
        seen = news or News(lake)
        newest = int(commits[0]["version"])
        state = State(seen, seen.version, 0, newest, newest)
        if state.version == 0:
            return state
        for commit in commits:
            folded = said(commit)
            if FOLDED in folded:
                if folded.get(FOLDED_OF) == seen.events_id and folded[FOLDED] <= seen.version:
                    return state._replace(folded=int(folded[FOLDED]), folded_in=int(commit["version"]))
                if news is not None:  # another run has gone on from newer events
                    return state_of(lake, table)
                raise LakeError(
                    f"{lake.name_of(table)} was made from another table `events` than the one that is there; run "
                    "`parsely-spark rebuild`."
                )
            if commit["operation"] == "RESTORE":
                break
    if lake.read(table).isEmpty():
        return state
    raise LakeError(
        f"{lake.name_of(table)} has rows, but no commit since it was made or restored says which events it "
        f"holds; run `parsely-spark rebuild --tables {table}`."
    )
