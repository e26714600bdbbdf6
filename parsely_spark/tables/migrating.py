"""What a table of an older lake lacks, and how it comes to it. Whatever is added leaves its rows as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parsely_spark.tables.commits import until_nobody_was_quicker
from parsely_spark.tables.formats import is_older
from parsely_spark.tables.spec import FORMAT, FORMAT_PROPERTY, in_words, properties_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.spec import TableColumn, TableSpec


@dataclass(frozen=True)
class Lack:
    """What a table lacks of its declaration.

    Attributes:
        columns: that it has not.
        properties: that are not set; one that is set, to whatever, is its owner's.
        is_older: whether its format is.
    """

    columns: tuple[TableColumn, ...]
    properties: Mapping[str, str]
    is_older: bool


def lack_of(lake: Lake, spec: TableSpec) -> Lack:
    """What the table of *spec*, which is there, lacks of it."""
    found, properties = lake.read(spec.name).columns, lake.properties_of(spec.name)
    declared = {key: value for key, value in spec.all_properties.items() if key != FORMAT_PROPERTY}
    return Lack(
        columns=tuple(column for column in spec.columns if column.name not in found),
        properties={key: value for key, value in declared.items() if key not in properties},
        is_older=is_older(properties),
    )


def add_columns(lake: Lake, spec: TableSpec) -> None:
    """Add the columns of *spec* that its table lacks; in the rows that are there they are null."""

    def attempt() -> int:
        if columns := lack_of(lake, spec).columns:
            lake.spark.sql(f"ALTER TABLE {lake.name_of(spec.name)} ADD COLUMNS ({in_words(columns)})")
        return 0

    until_nobody_was_quicker(lake, spec.name, attempt)


def set_properties(lake: Lake, spec: TableSpec) -> None:
    """Set the properties of *spec* that its table lacks, and the format."""

    def attempt() -> int:
        lack = lack_of(lake, spec)
        missing = {**lack.properties, **({FORMAT_PROPERTY: str(FORMAT)} if lack.is_older else {})}
        if missing:
            properties = properties_in_words(missing)
            lake.spark.sql(f"ALTER TABLE {lake.name_of(spec.name)} SET TBLPROPERTIES ({properties})")
        return 0

    until_nobody_was_quicker(lake, spec.name, attempt)
