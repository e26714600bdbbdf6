"""What has to be reached, and whether it is: ratios of medians."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

# By the name of a case: what its runs took, in the middle.
Medians = Mapping[str, Mapping[str, float]]


class Target(NamedTuple):
    """One line of what must be reached.

    Attributes:
        says: what is compared.
        value: the number, None where a case that it takes is not measured.
        limit: that must hold.
        aim: that would be better still; None where there is none.
        at_least: whether the limit is one from below.
        unit: of the number.
    """

    says: str
    value: Callable[[Medians], float | None]
    limit: float
    aim: float | None = None
    at_least: bool = False
    unit: str = " x"

    def holds(self, value: float) -> bool:
        """Whether *value* is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def line(self, medians: Medians) -> str | None:
        """The line with its number; None where it was not measured."""
        value = self.value(medians)
        if value is None:
            return None
        sign = "≥" if self.at_least else "≤"
        wanted = f"{sign} {self.limit:g}{self.unit}" + (f", aim {self.aim:g}{self.unit}" if self.aim else "")
        verdict = "ok" if self.holds(value) else "MISSED"
        return f"{self.says}: {value:.2f}{self.unit} ({wanted}): {verdict}"


def best(medians: Medians, prefix: str, of: str = "wall_s") -> float | None:
    """The least of the cases whose names begin with *prefix*'s engine and end with its size: `duckdb-1m`."""
    engine, _, size = prefix.partition("-")
    found = [
        took[of]
        for name, took in medians.items()
        if of in took and (name == prefix or (name.startswith(f"{engine}-") and name.endswith(f"-{size}")))
    ]
    return min(found, default=None)


def ratio(ours: str, others: str, of: str = "wall_s") -> Callable[[Medians], float | None]:
    """How many times *others* the case *ours* takes; the best of them where they are several formulations."""

    def value(medians: Medians) -> float | None:
        other = best(medians, others, of)
        return medians[ours][of] / other if ours in medians and other else None

    return value


def _alone(case: str, of: str, per: float = 1.0) -> Callable[[Medians], float | None]:
    return lambda medians: medians[case][of] / per if case in medians else None


TARGETS = (
    Target("1 M events, all tables, to the best of DuckDB", ratio("batch-1m", "duckdb-1m"), 2.0, 1.0),
    Target("4 M events, all tables, to the best of DuckDB", ratio("batch-4m", "duckdb-4m"), 1.2, 0.8),
    Target("1 M events, three tables, to Spark as in tutorials", ratio("three-1m", "plain-1m"), 0.5),
    Target("one new hour on 30 days, to that on 1 day", ratio("hour-30d", "hour-1d"), 1.2),
    Target("nothing new on 30 days, Java's classes kept", _alone("nothing-30d-kept", "wall_s"), 15, 10, unit=" s"),
    Target("largest process at 4 M events", _alone("batch-4m", "process_mib", 1024), 4, unit=" GiB"),
    # The heap is never the same twice; a process that grew with the files would be far beyond this.
    Target("largest process with ten times the files", ratio("split-250k", "batch-250k", "process_mib"), 1.15),
    Target("two executors, to one", ratio("executors-1", "executors-2"), 1.7, at_least=True),
)


def lines(medians: Medians) -> tuple[list[str], bool]:
    """A line for each target that was measured, and whether all of these hold."""
    measured = [(target, value) for target in TARGETS if (value := target.value(medians)) is not None]
    return [target.line(medians) or "" for target, _ in measured], all(
        target.holds(value) for target, value in measured
    )


def events_alone(medians: Medians) -> list[str]:
    """A line for each size: when the events were there, of the package and of the best of DuckDB."""
    said = []
    for size, words in (("1m", "1 M events"), ("4m", "4 M events")):
        ours, others = (best(medians, f"{name}-{size}", "events_s") for name in ("batch", "duckdb"))
        if ours is not None:
            beside = f", {ours / others:.2f} x the best of DuckDB" if others else ""
            said.append(f"{words}, `events` alone: {ours:.1f} s{beside}")
    return said
