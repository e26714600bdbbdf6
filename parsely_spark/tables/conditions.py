"""Conditions of merges: which row of the target (`t`) is that of the source (`s`), and where it can be."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def same(names: tuple[str, ...]) -> Column:
    """Whether the rows of `t` and `s` have the same values, or none, in the columns *names*."""
    return reduce(and_, (F.col(f"t.{name}").eqNullSafe(F.col(f"s.{name}")) for name in names))


def in_cells(rows: DataFrame, cell: tuple[str, ...]) -> Column:
    """A condition on the target with the cells of *rows* as literals, by which Delta reads and locks only those."""
    if not cell:
        return F.lit(True)
    *outer, inner = cell
    values: dict[tuple[object, ...], list[object]] = {}
    for row in rows.select(*cell).distinct().collect():
        *path, value = row
        values.setdefault(tuple(path), []).append(value)
    of_each = [
        reduce(and_, (F.col(f"t.{name}") == F.lit(at) for name, at in zip(outer, path, strict=True)), F.lit(True))
        & F.col(f"t.{inner}").isin(sorted(of))
        for path, of in sorted(values.items())
    ]
    return reduce(or_, of_each, F.lit(False))
