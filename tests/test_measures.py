"""The laws by which every measure kind makes its table independent of order, split and lateness."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from parsely_spark.transforms.measures import Any as AnyOf
from parsely_spark.transforms.measures import Distinct, First, Last, Max, Min, Sketch, Sum, Texts, estimated

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

SOAK = int(os.environ.get("PARSELY_SPARK_SOAK", "1"))
EVENTS = "event_at timestamp, event_id string, amount bigint, word string, flag boolean"

KINDS = {
    "sum": Sum("m", "", lambda: F.col("amount")),
    "sum of a flag": Sum("m", "", lambda: F.col("flag")),
    "min": Min("m", "", lambda: F.col("event_at"), "timestamp"),
    "max": Max("m", "", lambda: F.col("event_at"), "timestamp"),
    "any": AnyOf("m", "", lambda: F.col("flag")),
    "first": First("m", "", lambda: F.col("flag"), {"word": lambda: F.col("word")}),
    "last": Last("m", "", lambda: F.col("flag"), {"word": lambda: F.col("word")}),
    "first, some before others": First(
        "m",
        "",
        lambda: F.col("word").isNotNull(),
        {"word": lambda: F.col("word"), "words": lambda: F.array("word")},
        types={"words": "array<string>"},
        prefers=lambda: F.coalesce(F.col("flag"), F.lit(False)),
    ),
    "texts": Texts("m", "", lambda: F.col("word"), 3),
    "distinct": Distinct("m", "", lambda: F.col("word"), 3),
    "sketch": Sketch("m", "", lambda: F.col("word")),
}

# Small ranges, so that ties, repeats and nulls are common. An event id names one event: copies are equal.
ids = st.integers(0, 40)
groups_of_events = st.lists(st.tuples(*[st.sets(ids, max_size=6)] * 3), min_size=1, max_size=60)


def event(number: int) -> tuple[Any, ...]:
    """The event with this id; its values follow from the id."""
    from datetime import UTC, datetime

    at = datetime(2026, 1, 14, 12, 0, number % 7, tzinfo=UTC)
    amount = None if number % 5 == 0 else number * number - 300
    word = None if number % 4 == 0 else f"w{number % 9}"
    return at, f"id{number:02d}", amount, word, None if number % 11 == 0 else number % 3 > 0


PARTS = ("a", "b", "c", "ab", "abc")


def collected(spark: SparkSession, samples: list[tuple[set[int], ...]]) -> DataFrame:
    """One row for each sample: each measure of its groups a, b, c, of a+b, of all, and gathered from the three."""
    rows = []
    for number, (a, b, c) in enumerate(samples):
        # Disjoint groups, because the engine is only ever given events that are new.
        b, c = b - a, c - b - a
        for name, group in {"a": a, "b": b, "c": c, "ab": a | b, "abc": a | b | c}.items():
            rows += [(number, name, *event(one)) for one in sorted(group)]
    frame = spark.createDataFrame(rows, f"sample int, part string, {EVENTS}")
    each = frame.groupBy("sample", "part").agg(*[measure.collect().alias(kind) for kind, measure in KINDS.items()])
    structs = [
        F.any_value(F.when(F.col("part") == part, F.struct(*[F.col(f"`{kind}`") for kind in KINDS])), True).alias(part)
        for part in PARTS
    ]
    # A sample whose groups are all empty has no rows.
    numbers = spark.range(len(samples)).select(F.col("id").cast("int").alias("sample"))
    wide = numbers.join(each.groupBy("sample").agg(*structs), "sample", "left")
    values = wide.select("sample", F.explode(F.array("a", "b", "c")).alias("m"))
    gathered = [measure.gather(F.col("m")[kind]).alias(kind) for kind, measure in KINDS.items()]
    return wide.join(values.groupBy("sample").agg(*gathered), "sample")


@settings(max_examples=4 * SOAK, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=groups_of_events)
def test_each_measure_is_a_commutative_monoid_and_collecting_is_a_homomorphism(
    spark: SparkSession, samples: list[tuple[set[int], ...]]
) -> None:
    """Identity, commutativity, associativity, and collect(A + B) = merge(collect(A), collect(B))."""
    laws = {f"{kind}: {law}": broken for kind in KINDS for law, broken in laws_of(kind).items()}
    counts = [F.count_if(broken).alias(law) for law, broken in laws.items()]
    assert collected(spark, samples).agg(*counts).first().asDict() == dict.fromkeys(laws, 0)


def laws_of(kind: str) -> dict[str, Column]:
    """Whether a sample breaks a law of the measure."""
    measure = KINDS[kind]
    a, b, c, ab, abc = (F.col(part)[kind] for part in PARTS)
    none: Column = F.lit(None).cast(measure.type)
    laws = {
        "left identity": (measure.merge(none, a), a),
        "right identity": (measure.merge(a, none), a),
        "commutative": (measure.merge(a, b), measure.merge(b, a)),
        "associative": (measure.merge(a, measure.merge(b, c)), measure.merge(measure.merge(a, b), c)),
        "homomorphism": (measure.merge(a, b), ab),
        "homomorphism of three": (measure.merge(measure.merge(a, b), c), abc),
        "gather": (F.col(f"`{kind}`"), abc),
    }
    # Of a sketch, what it says counts: its bytes may depend on the order.
    shown = measure.comparable
    return {law: ~shown(left).eqNullSafe(shown(right)) for law, (left, right) in laws.items()}


def test_what_a_sketch_says_does_not_depend_on_how_it_was_made(spark: SparkSession) -> None:
    """Of many values, at once in any order or in parts, it says the same, near the truth."""
    sketch = Sketch("m", "", lambda: F.concat(F.lit("visitor "), F.col("id").cast("string")))
    for visitors in (200, 20_000):
        ids = spark.range(visitors)
        said = set()
        for order, parts in ((F.col("id"), 1), (F.desc("id"), 1), (F.xxhash64("id"), 7)):
            ordered = ids.orderBy(order).coalesce(1)
            by_part = ordered.groupBy((F.col("id") % parts).alias("part")).agg(sketch.collect().alias("m"))
            said.add(by_part.agg(sketch.gather(F.col("m")).alias("m")).select(estimated(F.col("m"))).first()[0])
        assert len(said) == 1
        assert abs(said.pop() - visitors) <= 0.05 * visitors


@pytest.mark.parametrize("kind", KINDS)
def test_a_collected_measure_has_its_declared_type(spark: SparkSession, kind: str) -> None:
    """The type that the table is created with is the type that Spark computes."""
    frame = spark.createDataFrame([event(1)], EVENTS).agg(KINDS[kind].collect().alias("m"))
    assert frame.schema["m"].dataType.simpleString() == KINDS[kind].type
