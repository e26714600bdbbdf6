"""Checks of one DataFrame's columns, said before Spark plans anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.errors import MissingColumnsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import DataFrame


def require_columns(df: DataFrame, names: Iterable[str], *, step: str) -> None:
    """Refuse *df* unless it has all of *names*.

    Args:
        df: any DataFrame.
        names: columns that *step* reads.
        step: the transform that asks, for the message.

    Raises:
        MissingColumnsError: names every missing column at once, and the columns that are there.
    """
    missing = [name for name in names if name not in df.columns]
    if missing:
        raise MissingColumnsError(
            f"{step} reads {', '.join(missing)}, but the DataFrame has only {', '.join(df.columns)}; "
            "give it the rows of the table that it is documented for."
        )
