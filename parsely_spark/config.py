"""Reads settings: flags over environment over a TOML file, over what the declarations in `settings` default to."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from parsely_spark.errors import SettingsError
from parsely_spark.settings import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    Field = dataclasses.Field[Any]

Settings = TypeVar("Settings")
ENVIRONMENT_PREFIX = "PARSELY_SPARK_"
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def declared(kind: type) -> dict[str, Field]:
    """The settings of the dataclass *kind* that have a flag, by name."""
    return {f.name: f for f in dataclasses.fields(kind) if "meaning" in f.metadata}


def type_of(kind: type, name: str) -> type:
    """What a setting holds: str, int or bool; tuple for a repeatable one."""
    hint = typing.get_type_hints(kind)[name]
    if typing.get_origin(hint) is tuple:
        return tuple
    return next(of for of in (bool, int, str) if hint is of or of in typing.get_args(hint))


def load(
    kind: type[Settings],
    flags: Mapping[str, Any],
    *,
    command: str,
    config: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Build the settings of one command.

    Args:
        kind: the command's dataclass.
        flags: values given on the command line, by name; None means not given.
        command: its table in the file overrides the file's top level.
        config: path of the TOML file.
        environment: in place of the process's own.

    Raises:
        SettingsError: names the file and key, the variable or the flag that is wrong.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    if config is not None:
        values |= _from_file(kind, Path(config), command, environment)
    for name in declared(kind):
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        if variable in environment:
            values[name] = _from_text(type_of(kind, name), environment[variable], of=variable)
    values |= {name: value for name, value in flags.items() if value is not None}
    for name, field in declared(kind).items():
        if field.default is dataclasses.MISSING and name not in values:
            raise SettingsError(f"no --{name} given; see `parsely-spark {command} --help`.")
    return kind(**values)


def _from_text(wanted: type, text: str, *, of: str) -> Any:
    if wanted is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise SettingsError(f"{of}={text!r} is neither true nor false; write one of them.")
        return text.lower() in _TRUE
    if wanted is int:
        if not re.fullmatch(r"-?\d+", text):
            raise SettingsError(f"{of}={text!r} is not a whole number; write digits only.")
        return int(text)
    return (text,) if wanted is tuple else text


def _from_file(kind: type, path: Path, command: str, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"--config {path} does not exist; conf/parsely.toml is an example.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"--config {path} cannot be read as TOML: {error}; mend it there.") from error
    spark = content.pop("spark", {})
    common = {key: value for key, value in content.items() if not isinstance(value, dict)}
    own = content.get(command, {})
    values: dict[str, Any] = {}
    for key, value in common.items():
        # The top level serves every command, so it may hold what this one does not have.
        if key in declared(kind):
            values[key] = _checked(kind, key, value, where=f"{path}: {key}")
        elif key not in _known_anywhere():
            raise SettingsError(f"{path}: {key} is no setting; see docs/settings.md.")
    for key, value in own.items():
        if key not in declared(kind):
            raise SettingsError(f"{path}: {command}.{key} is no setting of {command}; see docs/settings.md.")
        values[key] = _checked(kind, key, value, where=f"{path}: {command}.{key}")
    if "spark" in {f.name for f in dataclasses.fields(kind)}:
        values["spark"] = tuple(_spark_entry(path, key, value, environment) for key, value in spark.items())
    return values


def _known_anywhere() -> set[str]:
    return {name for kind in COMMANDS.values() for name in declared(kind)}


def _checked(kind: type, key: str, value: Any, *, where: str) -> Any:
    wanted = type_of(kind, key)
    if wanted is tuple:
        value = tuple(value) if isinstance(value, list) else (value,)
        if all(isinstance(item, str) for item in value):
            return value
    elif type(value) is wanted:
        return value
    names = {str: "a text", int: "a whole number", bool: "true or false", tuple: "a text or a list of texts"}
    raise SettingsError(f"{where} is {value!r}, but {names[wanted]} is wanted.")


def _spark_entry(path: Path, key: str, value: Any, environment: Mapping[str, str]) -> tuple[str, str]:
    """One entry of the table [spark]; ``${env:NAME}`` in it keeps secrets out of the file."""
    if isinstance(value, dict | list):
        raise SettingsError(f'{path}: spark.{key} is a table; quote the whole key: "spark.{key}…" = "value".')

    def variable(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SettingsError(f"{path}: spark.{key} wants the environment variable {match[1]}, which is not set.")
        return environment[match[1]]

    text = str(value).lower() if isinstance(value, bool) else str(value)
    return key, re.sub(r"\$\{env:(\w+)\}", variable, text)
