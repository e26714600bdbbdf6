"""Fields that Parse.ly has added to its events since this release: named by a user, then columns of ``events``."""

from __future__ import annotations

from dataclasses import dataclass

from parsely_spark.declaration import Settings, setting
from parsely_spark.errors import SettingsError
from parsely_spark.schema import COMPUTED, EVENT_FIELDS, NAME, Field

# What may be asked for, as a column has it, and what the schema calls it. JSON is not here: a column could not tell it
# from text, and the columns alone say which extra fields there are.
EXTRA_TYPES = {
    "string": "string",
    "bigint": "long",
    "double": "double",
    "boolean": "boolean",
    "array<string>": "array<string>",
}
# Names that lines have beside their fields on the way to the table.
ON_THE_WAY = ("value", "source", "bytes", "shard", "arrived_at", "behind_ms", "gap_since", "gap_until")
_TAKEN = {*(field.name for field in EVENT_FIELDS), *(name for name, _, _ in COMPUTED)}
_OURS = "parsely_spark"


def extra_field(name: str, type_: str) -> Field:
    """The field *name* of *type_*, one of `EXTRA_TYPES`."""
    return Field(
        name=name,
        group="extra",
        type=EXTRA_TYPES[type_],
        since="",
        unit="",
        gate="",
        required=False,
        meaning="Field that Parse.ly has added to its events, made a column by --extra-field.",
    )


def can_be_extra(name: str) -> bool:
    """Whether a field that events may have can be called *name*, and is none that they have already."""
    return bool(NAME.fullmatch(name)) and name not in {*_TAKEN, *ON_THE_WAY} and not name.startswith(_OURS)


def check_extra_field(where: str, text: str) -> None:
    """Refuse what is no name and type of an extra field."""
    name, _, type_ = text.partition(":")
    if not name or type_ not in EXTRA_TYPES:
        raise SettingsError(
            f"{where}={text!r} is no field and type; write NAME:TYPE, TYPE one of {', '.join(EXTRA_TYPES)}."
        )
    if name in _TAKEN:
        raise SettingsError(f"{where}={text!r}: events has a column {name} already; leave this one out.")
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{where}={text!r}: {name!r} is no name of a field; write small letters, digits and _, a letter first."
        )
    if not can_be_extra(name):
        raise SettingsError(
            f"{where}={text!r}: {name} is what this program calls something of its own; leave it out, its values stay "
            "in _rescued."
        )


@dataclass(frozen=True, kw_only=True)
class ExtraFieldSettings(Settings):
    """Which fields become columns of ``events`` beside those that the schema has."""

    extra_field: tuple[str, ...] = setting(
        "a field that Parse.ly has added since this release, to be a column of events, and its type: string, bigint, "
        "double, boolean or `array<string>`; repeatable. The lake remembers it; to one that has events already, "
        "`migrate` adds it",
        default=(),
        metavar="NAME:TYPE",
        example=("reader_mood:string",),
        check=check_extra_field,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        types: dict[str, str] = {}
        for text in self.extra_field:
            name, _, type_ = text.partition(":")
            if types.setdefault(name, type_) != type_:
                raise SettingsError(f"extra_field gives {name} as {types[name]} and as {type_}; give one of them.")

    @property
    def extra_fields(self) -> tuple[Field, ...]:
        """The fields, each once."""
        return tuple(extra_field(*text.split(":", 1)) for text in dict.fromkeys(self.extra_field))
