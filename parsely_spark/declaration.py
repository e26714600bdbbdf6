"""What a setting is: a field of a frozen dataclass that says its meaning, its default and how it is checked."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parsely_spark.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[str, Any], None]
    Field = dataclasses.Field[Any]

_TYPES = {str: "a text", int: "a whole number", bool: "true or false", tuple: "a text or a list of texts"}


def setting(
    meaning: str,
    *,
    default: Any = dataclasses.MISSING,
    metavar: str | None = None,
    example: Any = None,
    check: Check | None = None,
    instead_of: str | None = None,
) -> Any:
    """Declare one setting.

    Args:
        meaning: as the help and the documentation show it.
        default: the value when none is given; without it the setting is required.
        metavar: how its value is called in the usage line.
        example: of a value, where there is no default to show.
        check: refuses a wrong value; is given what the setting is called where the value comes from, and
            the value, or each value of a repeatable one.
        instead_of: the one other setting that is given where this one is not.
    """
    metadata = {"meaning": meaning, "metavar": metavar, "example": example, "table": None}
    return field(default=default, metadata={**metadata, "check": check, "instead_of": instead_of})


def borrowed(kind: type, name: str, *, table: str, check: Check | None = None) -> Any:
    """Declare a setting as *kind* has it, for a command that can do without.

    Args:
        kind: whose declaration it is.
        name: of the setting.
        table: of the command in the file that gives it to this one, too.
        check: in the place of the declaration's.
    """
    lent = declared(kind)[name]
    nothing = () if type_of(kind, name) is tuple else None
    default = nothing if lent.default is dataclasses.MISSING else lent.default
    return field(default=default, metadata={**lent.metadata, "table": table, "check": check or lent.metadata["check"]})


def declared(kind: type) -> dict[str, Field]:
    """The settings of the dataclass *kind* by name, its own before those that it shares.

    The field of a setting whose name is a word of Python, such as `from`, has a _ behind it.
    """
    fields = {f.name: f for f in dataclasses.fields(kind) if "meaning" in f.metadata}
    names = [name for of in kind.__mro__ for name in inspect.get_annotations(of) if name in fields]
    return {name.removesuffix("_"): fields[name] for name in names}


def type_of(kind: type, name: str) -> type:
    """What a setting holds: str, int or bool; tuple, of str, for a repeatable one."""
    hint = typing.get_type_hints(kind)[declared(kind)[name].name]
    if typing.get_origin(hint) is tuple:
        return tuple
    return next(of for of in (bool, int, str) if hint is of or of in typing.get_args(hint))


def typed(kind: type, name: str, value: Any, *, where: str) -> Any:
    """The *value* of the setting *name*, which is called *where* in the place it comes from, as what the setting holds.

    Raises:
        SettingsError: if it is none; a repeatable setting takes a list of texts or one.
    """
    wanted = type_of(kind, name)
    if wanted is tuple:
        texts = tuple(value) if isinstance(value, list | tuple) else (value,)
        if all(isinstance(text, str) for text in texts):
            return texts
    elif type(value) is wanted:  # to isinstance, true is a whole number
        return value
    raise SettingsError(f"{where} is {value!r}, but {_TYPES[wanted]} is wanted.")


def check_value(kind: type, name: str, value: Any, *, where: str) -> None:
    """Refuse a wrong *value* of the setting *name*, which is called *where* in the place it comes from."""
    check = declared(kind)[name].metadata["check"]
    values = value if isinstance(value, tuple) else (value,)
    if not values and declared(kind)[name].default != ():
        raise SettingsError(f"{where} is empty; give at least one value.")
    for one in values:
        if isinstance(one, str) and (not one or one != one.strip()):
            raise SettingsError(f"{where}={one!r} is empty or has white space around it; write the value alone.")
        if check is not None and one is not None:
            check(where, one)


def check_share(where: str, text: str) -> None:
    """Refuse what is no share of a whole."""
    if not re.fullmatch(r"0?\.\d{1,6}|1(\.0*)?", text) or float(text) == 0:
        raise SettingsError(f"{where}={text!r} is no share; write a number above 0 and up to 1, such as 0.05.")


def between(least: int, most: int | None = None) -> Check:
    """A check that a whole number is at least *least* and at most *most*."""

    def check(where: str, value: int) -> None:
        if value < least:
            raise SettingsError(f"{where}={value} is less than {least}; give a whole number of {least} or more.")
        if most is not None and value > most:
            raise SettingsError(f"{where}={value} is more than {most}; give a whole number up to that.")

    return check


def one_of(*words: str) -> Check:
    """A check that a text is one of *words*."""

    def check(where: str, text: str) -> None:
        if text not in words:
            raise SettingsError(f"{where}={text!r} is none of {', '.join(words)}; give one of them.")

    return check


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all: every value is checked, however the settings are made."""

    def __post_init__(self) -> None:
        for name, setting in declared(type(self)).items():
            value = getattr(self, setting.name)
            if value != setting.default:
                value = typed(type(self), name, value, where=name)
                object.__setattr__(self, setting.name, value)  # of a repeatable one, a list or a single text is taken
            check_value(type(self), name, value, where=name)
