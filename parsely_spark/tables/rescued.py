"""Values that were rescued because ``events`` had no column for them, put into it once it has.

They are read by the rules by which a line is read again (`transforms/tolerant.py`), and what is of another type stays
where it is. So the rows are those of a table that had the column from the start.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.errors import LakeError
from parsely_spark.jvm import is_driver
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.commits import RUN, saying, until_nobody_was_quicker
from parsely_spark.tables.news import MOVED
from parsely_spark.transforms import tolerant
from parsely_spark.transforms.parse import JSON_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from pyspark.sql import Column

    from parsely_spark.schema import Field
    from parsely_spark.tables.catalog import Lake


class Rescued:
    """The values of *fields* that are in ``_rescued`` and are of their types.

    Attributes:
        rows: how many events have one, by date.
    """

    def __init__(self, lake: Lake, fields: Collection[Field]) -> None:
        self._lake = lake
        self.rows: dict[date, int] = {}
        # Few fields were ever rescued; only those are looked for.
        rescued = lake.read(EVENTS.name).where("_rescued is not null")
        keys = rescued.select(F.explode(F.json_object_keys("_rescued")).alias("name")).distinct() if fields else None
        names = {row["name"] for row in keys.collect()} if keys is not None else set()
        self._fields = [field for field in fields if field.name in names]
        if self._fields:
            by_date = rescued.where(self._has_any()).groupBy("date").count()
            self.rows = {row["date"]: row["count"] for row in by_date.collect()}

    @property
    def count(self) -> int:
        """Of how many events."""
        return sum(self.rows.values())

    def move(self, *, run_id: str, folds_read_them: bool = False) -> None:
        """Put them into the columns, each day in a commit of its own: other writers are in no day but the newest.

        Args:
            run_id: names the run in the commits.
            folds_read_them: whether derived tables are made of them. Then the commits do not say what they are, and a
                fold that comes to one refuses to go on from there: its table has to be made again.

        Raises:
            LakeError: if Spark's driver is out of reach.
        """
        if self.rows and not is_driver(self._lake.spark):
            raise LakeError(
                f"{self._lake.place}: a field was added to events while this run read them, which cannot be made good "
                "on Spark Connect; run `parsely-spark migrate` on a cluster."
            )
        says: dict[str, object] = {RUN: run_id}
        if not folds_read_them:
            says[MOVED] = [field.name for field in self._fields]
        for day in sorted(self.rows):
            until_nobody_was_quicker(self._lake, EVENTS.name, partial(self._move_day, day, says))

    def _move_day(self, day: date, says: Mapping[str, object]) -> int:
        values: dict[str, str | Column] = {
            f"`{f.name}`": F.coalesce(self._value(f), F.col(f"`{f.name}`")) for f in self._fields
        }
        moved = F.array_compact(
            F.array(*[F.when(self._value(field).isNotNull(), F.lit(field.name)) for field in self._fields])
        )
        values["_rescued"] = tolerant.kept_without(F.col("_rescued"), moved)
        is_meant = (F.col("date") == F.lit(day)) & F.col("_rescued").isNotNull() & self._has_any()
        with saying(self._lake, says, {}):
            self._lake.delta(EVENTS.name).update(is_meant, values)
        return 0

    def _has_any(self) -> Column:
        return reduce(or_, [self._value(field).isNotNull() for field in self._fields])

    def _value(self, field: Field) -> Column:
        texts = tolerant.texts(F.col("_rescued"), JSON_OPTIONS, self._fields)
        return tolerant.record(texts, self._fields)[field.name]
