"""One engine for every derived table: a fold is declared, ``summarize`` and ``combine`` read the declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pyspark.sql import functions as F

from parsely_spark.checks import require_columns
from parsely_spark.transforms.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame

    Row = Callable[[str], Column]  # gives a column of the row at hand by its name


@dataclass(frozen=True)
class Grouping:
    """A column that every event of one row agrees on, computed from the event alone."""

    combines: ClassVar[str]  # for the documentation of the table, as in measures
    name: str
    type: str
    meaning: str
    of: Callable[[], Column]


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
    """

    name: str
    grain: str
    of: Callable[[], Column]
    columns: tuple[Grouping | Measure | Derived, ...]

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """The columns by which events are gathered into rows."""
        return tuple(c for c in self.columns if isinstance(c, Grouping))

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
        Keys, cell and measures of *fold*; no derived columns, which only a combined row can have.
    """
    require_columns(events, ("event_id", "event_at"), step=f"the fold of {fold.name}")
    # Keys may be computed from columns of their own name, so they are renamed only after the aggregation.
    keys = [column.of().cast(column.type).alias(f"_by_{column.name}") for column in fold.groupings]
    collected = [measure.collect().alias(measure.name) for measure in fold.measures]
    partials = events.where(fold.of()).groupBy(*keys).agg(*collected)
    return partials.withColumnsRenamed({f"_by_{column.name}": column.name for column in fold.groupings})


def combine(left: DataFrame, right: DataFrame, fold: Fold) -> DataFrame:
    """Merge two sets of partial rows of *fold* into one, whichever holds a row.

    Args:
        left: partial rows as `summarize` returns them, at most one for a key.
        right: the same.
        fold: the declaration of the table.

    Returns:
        Partial rows, one for each key of either side.
    """
    names = [column.name for column in fold.groupings]
    same = [F.col(f"l.{name}").eqNullSafe(F.col(f"r.{name}")) for name in names]
    keys = [F.coalesce(f"l.{name}", f"r.{name}").alias(name) for name in names]
    merged = [m.merge(F.col(f"l.{m.name}"), F.col(f"r.{m.name}")).alias(m.name) for m in fold.measures]
    return left.alias("l").join(right.alias("r"), same, "full_outer").select(*keys, *merged)


def finish(partials: DataFrame, fold: Fold) -> DataFrame:
    """Turn partial rows that nothing more joins into rows of the table: all columns, in their order."""
    return partials.select(*[column.alias(name) for name, column in finished(fold, F.col).items()])


def finished(fold: Fold, row: Row) -> dict[str, Column]:
    """Every column of the table, in its order, for a row whose groupings and measures *row* gives."""
    return {
        column.name: column.of(row).cast(column.type) if isinstance(column, Derived) else row(column.name)
        for column in fold.columns
    }
