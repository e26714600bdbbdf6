"""Fields that the table ``events`` has beside those of the schema. Its columns alone say which there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parsely_spark.errors import LakeError
from parsely_spark.extra_fields import EXTRA_TYPES, can_be_extra, extra_field
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.spec import TableColumn

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import types as T

    from parsely_spark.schema import Field
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.spec import TableSpec


def extra_fields(lake: Lake) -> tuple[Field, ...]:
    """The extra fields that *lake* has now."""
    return extras_in(lake.read(EVENTS.name).schema)


def extras_in(schema: T.StructType) -> tuple[Field, ...]:
    """The extra fields among the columns of ``events``; one of another name or type is somebody's own."""
    found = [(column.name, column.dataType.simpleString()) for column in schema]
    return tuple(extra_field(name, of) for name, of in found if can_be_extra(name) and of in EXTRA_TYPES)


def with_extras(fields: Collection[Field]) -> TableSpec:
    """The table ``events`` with *fields* as well."""
    return replace(EVENTS, columns=(*EVENTS.columns, *columns_of(fields)))


def columns_of(fields: Collection[Field]) -> tuple[TableColumn, ...]:
    """*fields* as columns of the table."""
    return tuple(TableColumn(f.name, f.spark_type.simpleString(), f.comment) for f in fields)


def check_types(lake: Lake, schema: T.StructType, wanted: Collection[Field]) -> None:
    """Refuse extra fields that are *wanted* and are there with another type.

    Raises:
        LakeError: if there is one.
    """
    for column in columns_of(wanted):
        if column.name in schema.names and (found := schema[column.name].dataType.simpleString()) != column.type:
            raise LakeError(
                f"{lake.name_of(EVENTS.name)} has {column.name} as {found}, not as the {column.type} of "
                f"--extra-field {column.name}:{column.type}; leave that out, or name the type that it has."
            )


def require_extras(lake: Lake, wanted: Collection[Field]) -> None:
    """Refuse extra fields that are *wanted* and that ``events``, which is there, does not have.

    Raises:
        LakeError: if there is one.
    """
    schema = lake.read(EVENTS.name).schema
    check_types(lake, schema, wanted)
    missing = [column for column in columns_of(wanted) if column.name not in schema.names]
    if missing:
        flags = " ".join(f"--extra-field '{column.name}:{column.type}'" for column in missing)
        raise LakeError(
            f"{lake.name_of(EVENTS.name)} is there without {', '.join(c.name for c in missing)}; run `parsely-spark "
            f"migrate {flags}`, which adds it and moves the values there that were rescued."
        )
