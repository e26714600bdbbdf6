"""One engine for every derived table: a fold is declared, ``summarize`` and ``combine`` read the declaration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from pyspark.sql import functions as F

from parsely_spark.checks import require_columns
from parsely_spark.transforms.measures import Measure, Sum
from parsely_spark.transforms.sessionize import MAKES_ROW, join_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame

    from parsely_spark.transforms.sessionize import Runs

    Row = Callable[[str], Column]  # gives a column of the row at hand by its name


@dataclass(frozen=True)
class Grouping:
    """A column that every event of one row agrees on, computed from the event alone."""

    combines: ClassVar[str]  # for the documentation of the table, as in measures
    name: str
    type: str
    meaning: str
    of: Callable[[], Column]
    of_run: Callable[[Row], Column] | None = None  # where it follows from a run as a whole, not from each event


class Key(Grouping):
    """A column that identifies the row."""

    combines = "key"


class Attribute(Grouping):
    """A column that follows from the key."""

    combines = "follows from the key"


class Cell(Grouping):
    """A partition column: a function of the event alone, so that an update touches few partitions."""

    combines = "partition"


@dataclass(frozen=True)
class Derived:
    """A column computed from the other columns of a combined row."""

    combines: ClassVar[str] = "derived"
    name: str
    type: str
    meaning: str
    of: Callable[[Row], Column]


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The declaration of one derived table.

    Attributes:
        name: the table.
        grain: what one row is, as a sentence.
        of: which events take part.
        columns: the columns of the table in their order. Those whose names start with an underscore are what later
            merges need.
        runs: the rows that form by closeness in time, where the table has such.
        follows: the fold that knows when those runs were, where the rows of this one do not tell.
        prune_by: names of the columns whose file statistics are worth keeping, beside those of the key.
        leaves_out: of the events that add to a sum, those that may make no row: the table's promise that totals are
            conserved, which `verify` holds it to. None where *of* is meant to take a part of them.
    """

    name: str
    grain: str
    of: Callable[[], Column]
    columns: tuple[Grouping | Measure | Derived, ...]
    runs: Runs | None = None
    follows: Fold | None = None
    prune_by: tuple[str, ...] = ()
    leaves_out: Callable[[], Column] | None = None

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """The columns by which events are gathered into rows."""
        return tuple(c for c in self.columns if isinstance(c, Grouping))

    @property
    def grouping_names(self) -> tuple[str, ...]:
        """The names of `groupings`."""
        return tuple(c.name for c in self.groupings)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The columns that combine."""
        return tuple(c for c in self.columns if isinstance(c, Measure))

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return tuple(c.name for c in self.columns if isinstance(c, Key))

    @property
    def cell_names(self) -> tuple[str, ...]:
        """The partition columns."""
        return tuple(c.name for c in self.columns if isinstance(c, Cell))


def summarize(events: DataFrame, fold: Fold) -> DataFrame:
    """Fold *events* into partial rows: one per row of the table that they touch.

    Args:
        events: unique events as in the table ``events``.
        fold: the declaration of the table.

    Returns:
        Keys, cell and measures of *fold*; no derived columns, which only a combined row can have. Pieces of runs have
        no key and no cell: only `combine` knows which of them are one row.
    """
    require_columns(events, ("event_id", "event_at"), step=f"the fold of {fold.name}")
    # Keys may be computed from columns of their own name, so they are renamed only after the aggregation.
    keys = {f"_by_{column.name}": _of_event(column, fold).cast(column.type) for column in fold.groupings}
    collected = [measure.collect().alias(measure.name) for measure in fold.measures]
    if fold.runs is None:
        read = events.where(fold.of())
    else:
        keys |= {"_window": F.when(~fold.of(), fold.runs.window()), MAKES_ROW: takes(fold)}
        read = events.where(fold.of() | fold.runs.of())
    partials = read.groupBy(*[key.alias(name) for name, key in keys.items()]).agg(*collected)
    return partials.drop("_window").withColumnsRenamed({f"_by_{name}": name for name in fold.grouping_names})


def takes(fold: Fold) -> Column:
    """Whether an event takes part in a row of *fold*."""
    if fold.runs is None:
        return fold.of()
    in_run = fold.runs.of() if fold.runs.rows_of is None else fold.runs.of() & fold.runs.rows_of()
    return fold.of() | in_run


def totals(events: DataFrame, *folds: Fold) -> DataFrame:
    """The sums of *folds* without their rows, in one pass.

    Returns:
        ``table``, ``measure``, ``taken`` (what the events add up to that take part in a row), ``rest`` (the others) and
        ``lost`` (of the rest, those that the fold promises not to leave out).
    """
    added, of_each = [], []
    for fold in folds:
        taken = F.coalesce(takes(fold), F.lit(False))
        may_be_left_out = F.lit(True) if fold.leaves_out is None else F.coalesce(fold.leaves_out(), F.lit(False))
        sides = {"taken": taken, "rest": ~taken, "lost": ~taken & ~may_be_left_out}
        for m in (measure for measure in fold.measures if isinstance(measure, Sum)):
            names = {side: f"{fold.name} {m.name} {side}" for side in sides}
            added += [
                F.coalesce(F.sum(F.when(sides[side], m.of().cast("bigint"))), F.lit(0)).alias(name)
                for side, name in names.items()
            ]
            columns = [F.col(f"`{name}`").alias(side) for side, name in names.items()]
            of_each.append(F.struct(F.lit(fold.name).alias("table"), F.lit(m.name).alias("measure"), *columns))
    return events.agg(*added).select(F.inline(F.array(*of_each)))


def _of_event(column: Grouping, fold: Fold) -> Column:
    """The value of *column* for an event; null where only its run has one, or it makes no row that could need it."""
    if column.of_run is not None:
        return F.when(fold.of(), column.of())
    is_of_row = fold.runs is not None and column.name not in fold.runs.by
    return F.when(takes(fold), column.of()) if is_of_row else column.of()


def is_piece(fold: Fold) -> Column:
    """Whether a partial row is a piece of a run, which has no key yet."""
    return F.col(fold.key_names[0]).isNull() if fold.runs is not None else F.lit(False)


def combine(partials: DataFrame, fold: Fold) -> DataFrame:
    """Merge partial rows of *fold* of which several may be for one key.

    Args:
        partials: as `summarize` returns them, of one or of several sets of events.
        fold: the declaration of the table.

    Returns:
        Partial rows, one for each key; pieces of runs have become rows, which have keys.
    """
    gathered = [m.gather(F.col(m.name)).alias(m.name) for m in fold.measures]
    named = partials.where(~is_piece(fold)).groupBy(*fold.grouping_names).agg(*gathered)
    return named.unionByName(join(partials.where(is_piece(fold)), fold)) if fold.runs is not None else named


def join(pieces: DataFrame, fold: Fold, *more: Column) -> DataFrame:
    """Make rows of *pieces*, which may be rows of *fold* already: what lies close enough is of one run.

    Args:
        pieces: with `MAKES_ROW`, measures, and the groupings that do not follow from a whole run.
        fold: the declaration of the table.
        more: aggregates over the pieces of a row.

    Returns:
        Groupings, measures and *more*.
    """
    assert fold.runs is not None
    within = [c.name for c in fold.groupings if c.of_run is None and c.name not in fold.runs.by]
    names = {c.name: c.of_run(F.col).cast(c.type) for c in fold.groupings if c.of_run is not None}
    gathered = [m.gather(F.col(m.name)).alias(m.name) for m in fold.measures]
    return join_runs(pieces, fold.runs, within=within, names=names, collected=[*gathered, *more])


def finish(partials: DataFrame, fold: Fold) -> DataFrame:
    """Turn partial rows that nothing more joins into rows of the table: all columns, in their order."""
    return partials.select(*[column.alias(name) for name, column in finished(fold, F.col).items()])


def finished(fold: Fold, row: Row) -> dict[str, Column]:
    """Every column of the table, in its order, for a row whose groupings and measures *row* gives."""
    once = cache(row)  # derived columns ask for the same ones again and again
    return {
        column.name: column.of(once).cast(column.type) if isinstance(column, Derived) else once(column.name)
        for column in fold.columns
    }
