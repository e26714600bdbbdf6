"""Conditions of merges: which row of the target (`t`) is that of the source (`s`), and where it can be."""

from __future__ import annotations

from datetime import date
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import Column, DataFrame


def same(names: tuple[str, ...], *, of: str = "t") -> Column:
    """Whether the rows of *of* and `s` have the same values, or none, in the columns *names*."""
    return reduce(and_, (F.col(f"{of}.{name}").eqNullSafe(F.col(f"s.{name}")) for name in names))


def cells_of(rows: DataFrame, names: tuple[str, ...]) -> set[tuple[Any, ...]]:
    """The values that *rows* have in the columns *names*: of a table without partitions, one cell."""
    if not names:
        return {()}
    return {tuple(row) for row in rows.select(*names).distinct().collect()}


def within(cells: Collection[tuple[Any, ...]], names: tuple[str, ...], *, of: str = "t") -> Column:
    """Whether a row of *of* is in one of *cells*: in literals, by which Delta reads and locks only those."""
    if not names:
        return F.lit(True)
    *outer, inner = names
    values: dict[tuple[object, ...], list[Any]] = {}
    for *path, value in sorted(cells):
        values.setdefault(tuple(path), []).append(value)
    of_each = [
        reduce(and_, (F.col(f"{of}.{name}") == F.lit(at) for name, at in zip(outer, path, strict=True)), F.lit(True))
        & F.col(f"{of}.{inner}").isin(inside)
        for path, inside in values.items()
    ]
    return reduce(or_, of_each, F.lit(False))


def within_sql(cells: Collection[tuple[Any, ...]], names: tuple[str, ...]) -> str | None:
    """`within` as SQL; None for a table without partitions, in which all rows are."""
    if not names:
        return None
    each = (
        " AND ".join(f"{name} = {_literal(at)}" for name, at in zip(names, cell, strict=True)) for cell in sorted(cells)
    )
    return " OR ".join(f"({cell})" for cell in each) or "false"


def _literal(value: date | int) -> str:
    return f"DATE'{value}'" if isinstance(value, date) else str(value)
