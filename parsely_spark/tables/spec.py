"""What the declaration of a table is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parsely_spark.transforms.fold import Fold


@dataclass(frozen=True)
class TableColumn:
    """A column as Delta and the documentation show it."""

    name: str
    type: str  # Spark DDL
    meaning: str
    combines: str = ""  # how a fold comes to the value


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """The declaration of one table.

    Attributes:
        name: the table.
        grain: what one row is, as a sentence.
        columns: in the order of the table.
        partition_by: names of the partition columns.
        prune_by: names of the columns whose file statistics are worth keeping.
        sort_by: name of the column that rows are sorted by where files are put together; one of *prune_by*.
        properties: Delta table properties beside those that every table has.
    """

    name: str
    grain: str
    columns: tuple[TableColumn, ...]
    partition_by: tuple[str, ...]
    prune_by: tuple[str, ...]
    sort_by: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_properties(self) -> dict[str, str]:
        """The Delta table properties."""
        usual = {"delta.dataSkippingStatsColumns": ",".join(self.prune_by), FORMAT_PROPERTY: str(FORMAT)}
        return usual | dict(self.properties)

    @property
    def ddl(self) -> str:
        """The columns and their types, as `createDataFrame` takes them."""
        return ", ".join(f"{column.name} {column.type}" for column in self.columns)

    def creation(self, name: str) -> str:
        """The statement that makes the table under *name*, unless it is there."""
        partitioned = f"PARTITIONED BY ({', '.join(self.partition_by)}) " if self.partition_by else ""
        return (
            f"CREATE TABLE IF NOT EXISTS {name} ({in_words(self.columns)}) USING delta {partitioned}"
            f"COMMENT {_text(f'Grain: {self.grain}.')} TBLPROPERTIES ({properties_in_words(self.all_properties)})"
        )


def in_words(columns: Iterable[TableColumn]) -> str:
    """*columns* as SQL declares them."""
    return ", ".join(f"`{c.name}` {c.type} COMMENT {_text(c.meaning)}" for c in columns)


def properties_in_words(properties: Mapping[str, str]) -> str:
    """*properties* of a table as SQL sets them."""
    return ", ".join(f"{_text(key)} = {_text(value)}" for key, value in properties.items())


VISITOR = "visitor_site_id"

# How the tables are made, counted up by a release beside which an older one could not write; a property of each table.
# Format 1 is that of lakes that say none; from 2 on they do, and `events` may have extra fields.
FORMAT, FORMAT_PROPERTY = 2, "parsely_spark.format"


def of_fold(fold: Fold) -> TableSpec:
    """The table that *fold* declares. Deletion vectors let a merge write changed rows instead of whole files."""
    sort_by = VISITOR if VISITOR in fold.grouping_names else None
    return TableSpec(
        name=fold.name,
        grain=fold.grain,
        columns=tuple(TableColumn(c.name, c.type, c.meaning, c.combines) for c in fold.columns),
        partition_by=fold.cell_names,
        prune_by=tuple(dict.fromkeys((*fold.key_names, *fold.prune_by, *filter(None, [sort_by])))),
        sort_by=sort_by,
        properties={"delta.enableDeletionVectors": "true"},
    )


def _text(value: str) -> str:
    """*value* as a literal of SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
