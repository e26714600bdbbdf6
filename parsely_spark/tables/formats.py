"""Whether this release can do with a table as it is: a newer format it leaves alone, an older one may lack columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark import __version__
from parsely_spark.errors import LakeError
from parsely_spark.tables.spec import FORMAT, FORMAT_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from parsely_spark.tables.spec import TableSpec

_FIRST = "1"  # of tables that do not say which


def format_of(properties: Mapping[str, str]) -> str:
    """The format of a table, by its *properties*; a number, as far as this release can know."""
    return properties.get(FORMAT_PROPERTY, _FIRST)


def is_older(properties: Mapping[str, str]) -> bool:
    """Whether a table is of an older format than this release makes."""
    return int(format_of(properties)) < FORMAT


def check_format(name: str, properties: Mapping[str, str]) -> None:
    """Refuse the table *name* if it is of a format that this release does not know.

    Raises:
        LakeError: if it is.
    """
    found = format_of(properties)
    if not found.isdecimal() or int(found) > FORMAT:
        raise LakeError(
            f"{name} is of format {found}, and parsely_spark {__version__} knows none above {FORMAT}; install the "
            "release that wrote it, or a newer one."
        )


def check_ours(name: str, spec: TableSpec, columns: Collection[str]) -> None:
    """Refuse the table *name* if it is somebody else's: without what each of ours has had from the first release on.

    Raises:
        LakeError: if it is.
    """
    if not {*spec.partition_by, spec.prune_by[0]}.issubset(columns):
        raise LakeError(f"{name} is a table, but not one of this program; give the tables a folder of their own.")


def check_columns(name: str, spec: TableSpec, columns: Collection[str]) -> None:
    """Refuse the table *name* if it lacks a column.

    Raises:
        LakeError: if it does.
    """
    check_ours(name, spec, columns)
    if missing := [column.name for column in spec.columns if column.name not in columns]:
        raise LakeError(
            f"{name} was made by an older release and has no column {', '.join(missing)}; run `parsely-spark migrate`, "
            "which adds what is missing."
        )
