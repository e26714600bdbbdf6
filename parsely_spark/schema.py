"""The event contract: the fields of one Parse.ly event, read from the one place that declares them.

``data/event_fields.csv`` is that place. The Spark schema, the column comments, ``docs/events.md`` and the
report on unknown fields all come from it, so a new field is one new line there.

Importing this module needs neither a JVM nor pyspark: commands such as ``--help`` and ``generate`` only want
the names.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import types as T

TYPES = ("string", "long", "double", "boolean", "array<string>", "json")

# What the table `events` has beside the fields, computed from them: name, type as Spark's DDL has it, meaning.
COMPUTED = (
    ("event_at", "timestamp", "ts_action where it agrees with the server's clock, else server time; UTC"),
    ("session_key", "string", "The tracker session it belongs to, as in sessions; null without one"),
    ("is_bot", "boolean", "Whether the user agent is a bot's"),
    ("_rescued", "string", "JSON of values that the schema has no field or no type for"),
    ("date", "date", "UTC date of event_at"),
    ("hour", "int", "UTC hour of event_at, 0-23"),
)

NAME = re.compile(r"[a-z][a-z0-9_]*")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an event, as Parse.ly delivers it."""

    name: str
    group: str  # the fields that belong together, such as "ip" or "session"
    type: str  # one of TYPES; "json" is a JSON object kept as JSON text
    since: str  # first version of the record layout that has the field; empty for one that a user has named
    unit: str  # empty where there is none
    gate: str  # the field without which (false, empty or null) this one is null; empty where there is none
    required: bool  # by Parse.ly's schema; a line can break that promise, so the column is nullable all the same
    meaning: str  # one sentence for the analyst

    @property
    def comment(self) -> str:
        """The column comment: the meaning, then unit, gate and first version where they say something."""
        unit = f" Unit: {self.unit}." if self.unit else ""
        gate = f" Null without {self.gate}." if self.gate else ""
        since = f" Since {self.since}." if self.since else ""
        return f"{self.meaning}{unit}{gate}{since}"

    @property
    def spark_type(self) -> T.DataType:
        """The Spark type of the column."""
        # Imported here because importing pyspark takes half a second (see the module's docstring).
        from pyspark.sql import types as T

        spark_types: dict[str, T.DataType] = {
            "string": T.StringType(),
            "long": T.LongType(),
            "double": T.DoubleType(),
            "boolean": T.BooleanType(),
            "array<string>": T.ArrayType(T.StringType()),
            "json": T.StringType(),
        }
        return spark_types[self.type]


# The columns of the declaration, in this order.
COLUMNS = tuple(attribute.name for attribute in dataclasses.fields(Field))


def read_fields(lines: Iterable[str]) -> tuple[Field, ...]:
    """Read a declaration of fields and check that it makes sense.

    Args:
        lines: the lines of a CSV file with the columns of ``COLUMNS``.

    Returns:
        The fields in the order of the declaration.

    Raises:
        ValueError: if the declaration is wrong; the message names the field.
    """
    rows = csv.DictReader(lines)
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise ValueError(f"The event fields are declared with {rows.fieldnames}; wanted the columns {list(COLUMNS)}.")
    fields: dict[str, Field] = {}
    for row in rows:
        field = _field(row, line=rows.line_num)
        if field.name in fields:
            raise ValueError(f"Event field {field.name!r} is declared twice (again in line {rows.line_num}).")
        fields[field.name] = field
    for field in fields.values():
        if field.gate and field.gate not in fields:
            raise ValueError(f"Event field {field.name!r} has the gate {field.gate!r}, which is no event field.")
    return tuple(fields.values())


def _field(row: Mapping[str, str], *, line: int) -> Field:
    # DictReader files surplus values under the key None and fills missing ones with None.
    if set(row) != set(COLUMNS) or None in row.values():
        raise ValueError(
            f"Line {line} of the event fields does not have {len(COLUMNS)} values; quote those with a comma."
        )
    name = row["name"]
    if not NAME.fullmatch(name):
        raise ValueError(f"Event field {name!r} (line {line}) needs a name of small letters, digits and _.")
    if row["type"] not in TYPES:
        raise ValueError(f"Event field {name!r} has an unknown type, {row['type']!r}; wanted one of {TYPES}.")
    if row["required"] not in _BOOLEANS:
        raise ValueError(f"Event field {name!r} has required={row['required']!r}; wanted true or false.")
    if not re.fullmatch(r"\d+\.\d+\.\d+", row["since"]):
        raise ValueError(f"Event field {name!r} has since={row['since']!r}; wanted a version such as 2.3.0.")
    for column in ("group", "meaning"):
        if not row[column].strip():
            raise ValueError(f"Event field {name!r} has no {column}.")
    return Field(
        name=name,
        group=row["group"],
        type=row["type"],
        since=row["since"],
        unit=row["unit"],
        gate=row["gate"],
        required=_BOOLEANS[row["required"]],
        meaning=row["meaning"],
    )


def _declared_fields() -> tuple[Field, ...]:
    # Not a path beside __file__: with `spark-submit --py-files` the package is read from inside a zip.
    declaration = resources.files("parsely_spark").joinpath("data", "event_fields.csv")
    with declaration.open(encoding="utf-8") as lines:
        return read_fields(lines)


EVENT_FIELDS: tuple[Field, ...] = _declared_fields()

_BY_NAME: Mapping[str, Field] = {field.name: field for field in EVENT_FIELDS}


def event_field(name: str) -> Field:
    """Look up one field of the event.

    Raises:
        KeyError: if no field has that name.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise KeyError(f"An event has no field {name!r}; the fields are listed in docs/events.md.") from None


def event_struct(fields: Iterable[Field] = EVENT_FIELDS) -> T.StructType:
    """Build the Spark schema of an event: every field, nullable, with its comment in the metadata."""
    from pyspark.sql import types as T  # late for the same reason as in Field.spark_type

    return T.StructType(
        [T.StructField(f.name, f.spark_type, nullable=True, metadata={"comment": f.comment}) for f in fields]
    )
