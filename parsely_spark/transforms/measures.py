"""The kinds of measures: columns that combine associatively and commutatively.

A measure says what one event contributes (``of``), how a group of events becomes one value (``collect``) and how
two such values become one (``merge``). The laws that make every table independent of order, split and lateness:

- identity: ``merge(x, null) = merge(null, x) = x``
- commutativity: ``merge(x, y) = merge(y, x)``
- associativity: ``merge(x, merge(y, z)) = merge(merge(x, y), z)``
- homomorphism: ``collect(A + B) = merge(collect(A), collect(B))``

``gather`` is ``merge`` of any number of values, as an aggregate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import Column


@dataclass(frozen=True)
class Measure(ABC):
    """One combinable column of a fold."""

    combines: ClassVar[str]  # for the documentation of the table
    name: str
    meaning: str
    of: Callable[[], Column]  # called late, because a Column needs a running session

    @property
    @abstractmethod
    def type(self) -> str:
        """The column's type in Spark DDL."""

    @abstractmethod
    def collect(self) -> Column:
        """Aggregate over the events of one group."""

    @abstractmethod
    def merge(self, left: Column, right: Column) -> Column:
        """Combine two collected values; null is the identity on either side."""

    @abstractmethod
    def gather(self, values: Column) -> Column:
        """Aggregate over collected values; null where there is none."""

    def comparable(self, value: Column) -> Column:
        """What the same events always give, however they came together: for most kinds the *value* itself."""
        return value


@dataclass(frozen=True)
class Sum(Measure):
    """A total (bigint); ``of`` is a number or a boolean that counts as 0 or 1."""

    combines: ClassVar[str] = "sum"

    @property
    def type(self) -> str:
        return "bigint"

    def collect(self) -> Column:
        return F.sum(self.of().cast("bigint"))

    def merge(self, left: Column, right: Column) -> Column:
        return F.coalesce(left + right, left, right)

    def gather(self, values: Column) -> Column:
        return F.sum(values)


@dataclass(frozen=True)
class Min(Measure):
    """The least value; nulls are passed over."""

    combines: ClassVar[str] = "least"
    value_type: str

    @property
    def type(self) -> str:
        return self.value_type

    def collect(self) -> Column:
        return self.gather(self.of())

    def merge(self, left: Column, right: Column) -> Column:
        return F.least(left, right)

    def gather(self, values: Column) -> Column:
        return F.min(values)


@dataclass(frozen=True)
class Max(Measure):
    """The greatest value; nulls are passed over."""

    combines: ClassVar[str] = "greatest"
    value_type: str

    @property
    def type(self) -> str:
        return self.value_type

    def collect(self) -> Column:
        return self.gather(self.of())

    def merge(self, left: Column, right: Column) -> Column:
        return F.greatest(left, right)

    def gather(self, values: Column) -> Column:
        return F.max(values)


@dataclass(frozen=True)
class Any(Measure):
    """Whether it holds for at least one event."""

    combines: ClassVar[str] = "any"

    @property
    def type(self) -> str:
        return "boolean"

    def collect(self) -> Column:
        return self.gather(self.of())

    def merge(self, left: Column, right: Column) -> Column:
        return F.greatest(left, right)

    def gather(self, values: Column) -> Column:
        return F.max(values)


@dataclass(frozen=True)
class Only(Min):
    """The value of the one event that makes the row."""

    combines: ClassVar[str] = "of the one event"


# Names the order by which `First` and `Last` choose, and its two columns inside their structs: an event id breaks
# ties of one second, so that the choice does not depend on the order of arrival.
ORDER = ("event_at", "event_id")


@dataclass(frozen=True)
class First(Measure):
    """The *fields* of the earliest event, by (event_at, event_id), for which ``of`` holds.

    One struct holds the order and the fields, because values that describe one event belong together and because
    the order is what a later merge needs.

    Attributes:
        fields: the values of the event by name, all of them text but for those of *types*.
        types: the types of those that are no text, in Spark DDL.
        prefers: the events of which the earliest comes before all others, where one is there.
    """

    combines: ClassVar[str] = "first by (event_at, event_id)"
    fields: Mapping[str, Callable[[], Column]]
    types: Mapping[str, str] = field(default_factory=dict)
    prefers: Callable[[], Column] | None = None

    @property
    def type(self) -> str:
        rank = "" if self.prefers is None else "rank:int,"
        fields = "".join(f",{name}:{self.types.get(name, 'string')}" for name in self.fields)
        return f"struct<{rank}event_at:timestamp,event_id:string{fields}>"

    def ordered_fields(self) -> Column:
        """The struct of one event; null where ``of`` does not hold. Structs compare field by field, order first."""
        rank = [] if self.prefers is None else [F.when(self.prefers(), 0).otherwise(1).alias("rank")]
        fields = [of().alias(name) for name, of in self.fields.items()]
        return F.when(self.of(), F.struct(*rank, *ORDER, *fields))

    def collect(self) -> Column:
        return self.gather(self.ordered_fields())

    def merge(self, left: Column, right: Column) -> Column:
        return F.least(left, right)

    def gather(self, values: Column) -> Column:
        return F.min(values)


@dataclass(frozen=True)
class Last(First):
    """The *fields* of the latest event, by (event_at, event_id), for which ``of`` holds."""

    combines: ClassVar[str] = "last by (event_at, event_id)"

    def merge(self, left: Column, right: Column) -> Column:
        return F.greatest(left, right)

    def gather(self, values: Column) -> Column:
        return F.max(values)


@dataclass(frozen=True)
class Texts(Measure):
    """The distinct values of ``of`` (text), sorted, the least *limit* of them.

    Keeping the least is what makes a bounded set associative: the least n of a union are among the least n of its
    parts.
    """

    combines: ClassVar[str] = "union of a small set"
    limit: int

    @property
    def type(self) -> str:
        return "array<string>"

    def element(self) -> Column:
        """What one event contributes to the set."""
        return self.of()

    def collect(self) -> Column:
        return self._bounded(F.collect_set(self.element()))

    def merge(self, left: Column, right: Column) -> Column:
        return F.coalesce(self._bounded(F.array_union(left, right)), left, right)

    def gather(self, values: Column) -> Column:
        return F.when(F.count(values) > 0, self._bounded(F.array_distinct(F.flatten(F.collect_list(values)))))

    def _bounded(self, values: Column) -> Column:
        return F.slice(F.array_sort(values), 1, self.limit)


@dataclass(frozen=True)
class Distinct(Texts):
    """`Texts` as 64-bit hashes, which keep the row small: at most 8 bytes x *limit*."""

    @property
    def type(self) -> str:
        return "array<bigint>"

    def element(self) -> Column:
        return F.when(self.of().isNotNull(), F.xxhash64(self.of()))


@dataclass(frozen=True)
class Sketch(Measure):
    """A HyperLogLog sketch of the distinct values of ``of`` (text), as Spark's ``hll_`` functions read it.

    Sketches of several rows become one by ``hll_union_agg``. The bytes depend on the order in which they were made;
    what `estimated` says of them does not.
    """

    combines: ClassVar[str] = "union of sketches"

    @property
    def type(self) -> str:
        return "binary"

    def comparable(self, value: Column) -> Column:
        return F.coalesce(estimated(value), F.lit(0))

    def collect(self) -> Column:
        return F.hll_sketch_agg(self.of())

    def merge(self, left: Column, right: Column) -> Column:
        return F.coalesce(F.hll_union(left, right), left, right)

    def gather(self, values: Column) -> Column:
        return F.when(F.count(values) > 0, F.hll_union_agg(values))


def estimated(sketch: Column) -> Column:
    """How many distinct values (bigint) *sketch* has seen, to 2 % at most times; exact for a few hundred.

    A sketch that was never merged estimates by the order in which it saw them, and one that was cannot; so each is
    asked as one that was.
    """
    return F.hll_sketch_estimate(F.hll_union(sketch, sketch))
