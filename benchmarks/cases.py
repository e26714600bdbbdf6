"""What is measured, in the order in which it is, in groups that can be run alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.data import LAKE_DAYS, NEW_HOUR, hour_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_ALL, _THREE = "all tables", "events, sessions, pageviews"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of a table.

    Attributes:
        name: by which it is asked for and kept.
        group: the cases that take turns with it.
        title: of the row.
        does: what it makes.
        bucket: what it reads.
        peer: the module that runs; the package itself where it is empty.
        one_of: a name that other formulations of the same share. Those far behind the best are run once.
        flags: of `batch`, beside those for every run.
        spark: settings of Spark.
        lake_days: the lake that a run begins with, a copy of its own each; an empty one where it is 0.
    """

    name: str
    group: str
    title: str
    bucket: str
    does: str = _THREE
    peer: str = ""
    one_of: str = ""
    flags: tuple[str, ...] = ()
    spark: Mapping[str, str] = field(default_factory=dict)
    lake_days: int = 0

    @property
    def is_first_load(self) -> bool:
        """Whether it makes events, sessions and pageviews of nothing, so that they can be compared with others'."""
        return not self.lake_days and self.peer != "floor"


@dataclass(frozen=True)
class Group:
    """Cases that take turns.

    Attributes:
        title: above its table.
        minutes: about how long three repeats take on two cores that nobody else uses, data and lakes made before; that
            of a package that reaches what it must.
        ratio_to: the case, or `one_of`, that the others are compared with.
    """

    title: str
    minutes: int
    ratio_to: str


GROUPS = {
    "peers-1m": Group("1 million events into nothing", 18, "duckdb-1m"),
    "peers-4m": Group("4 million events into nothing", 18, "duckdb-4m"),
    "sizes": Group("Fewer events, and the same in ten times as many files", 3, "batch-250k"),
    "growth": Group("One new hour, by the age of the lake", 5, "hour-1d"),
    "executors": Group("1 million events on a cluster of executors with one core each", 8, "executors-1"),
    "parallelism": Group("250,000 events, by executors and shuffle parallelism", 9, "parallelism-1x1"),
}
_KEPT = ("--class-archives", "build/bench/class-archives")  # which the first run makes, so its time is not the middle
_DUCKDB = {
    "window": "DuckDB, a table numbered by a window",
    "rowid": "DuckDB, a table whose copies are deleted",
    "direct": "DuckDB, straight into Parquet",
}


def _duckdb(size: str, *ways: str) -> list[Case]:
    return [
        Case(
            name=f"duckdb-{way}-{size}",
            group=f"peers-{size}",
            title=title,
            bucket=size,
            peer=f"duckdb_{way}",
            one_of=f"duckdb-{size}",
        )
        for way, title in _DUCKDB.items()
        if way in ways
    ]


def _cluster(executors: int) -> dict[str, str]:
    """Spark's own cluster on this machine: a process for each executor."""
    return {
        "spark.master": f"local-cluster[{executors},1,3072]",
        "spark.executor.memory": "3g",
        "spark.driver.memory": "2g",
        # All of them before the first task, or one has done the work of two by then.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }


def all_cases() -> list[Case]:
    """Every case."""
    small = ("--tables", "sessions,pageviews")
    return [
        Case(name="batch-1m", group="peers-1m", title="parsely-spark batch", bucket="1m", does=_ALL),
        Case(name="three-1m", group="peers-1m", title="parsely-spark batch", bucket="1m", flags=small),
        *_duckdb("1m", "window", "rowid", "direct"),
        Case(name="clickhouse-1m", group="peers-1m", title="ClickHouse (chdb)", bucket="1m", peer="clickhouse"),
        Case(name="polars-1m", group="peers-1m", title="Polars", bucket="1m", peer="polars_"),
        Case(name="plain-1m", group="peers-1m", title="Spark as in tutorials", bucket="1m", peer="plain_spark"),
        Case(name="floor-1m", group="peers-1m", title="igzip and simdjson", bucket="1m", peer="floor", does="nothing"),
        Case(name="batch-4m", group="peers-4m", title="parsely-spark batch", bucket="4m", does=_ALL),
        *_duckdb("4m", "rowid", "direct"),  # a window holds all columns of all rows at once
        Case(name="batch-250k", group="sizes", title="250,000 events", bucket="250k", does=_ALL),
        Case(name="split-250k", group="sizes", title="in 10 times the files", bucket="250k-split", does=_ALL),
        *(
            Case(
                name=f"hour-{days}d",
                group="growth",
                title=f"one new hour, lake of {days} day{'s' if days > 1 else ''}",
                does=_ALL,
                bucket=f"days-{days}",
                lake_days=days,
            )
            for days in LAKE_DAYS
        ),
        *(
            Case(
                name=f"nothing-30d{name}",
                group="growth",
                title=f"nothing new, lake of 30 days{words}",
                does="nothing",
                bucket="days-30",
                lake_days=30,
                flags=("--until", hour_of(NEW_HOUR), *flags),
            )
            for name, words, flags in (("", "", ()), ("-kept", ", Java's classes kept", _KEPT))
        ),
        *(
            Case(
                name=f"executors-{executors}",
                group="executors",
                title=f"{executors} executor{'s' if executors > 1 else ''}",
                bucket="1m",
                does=_ALL,
                spark=_cluster(executors),
            )
            for executors in (1, 2)
        ),
        *(
            Case(
                name=f"parallelism-{executors}x{partitions}",
                group="parallelism",
                title=f"{executors} executor{'s' if executors > 1 else ''}, shuffles in {partitions}",
                bucket="250k",
                flags=small,
                spark=_cluster(executors) | {"spark.sql.shuffle.partitions": str(partitions)},
            )
            for partitions in (1, 2, 4)
            for executors in (1, 2)
        ),
    ]


def chosen(groups: Collection[str], names: Collection[str]) -> dict[str, list[Case]]:
    """The cases that were asked for, by group; all of them where nothing was."""
    asked = [case for case in all_cases() if case.group in groups or case.name in names or not (groups or names)]
    return {group: [case for case in asked if case.group == group] for group in GROUPS}
