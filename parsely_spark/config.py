"""Reads settings: flags over environment over a TOML file, over what the declarations in `settings` default to."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from parsely_spark.declaration import Settings, check_value, declared, type_of, typed
from parsely_spark.errors import SettingsError
from parsely_spark.places import scheme_of
from parsely_spark.settings import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Kind = TypeVar("Kind", bound=Settings)
# The settings that one place gives, by name: what each is called there, and its value.
Level = dict[str, tuple[str, Any]]

_PREFIX = "PARSELY_SPARK_"
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{_PREFIX}{name.upper()}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The one of *known* that *word* resembles, as a question in brackets; empty where there is none."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def known_settings() -> set[str]:
    """The names of the settings of all commands."""
    return {name for kind in COMMANDS.values() for name in declared(kind)}


def load(
    kind: type[Kind],
    flags: Mapping[str, Any],
    *,
    command: str,
    config: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Kind:
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
    content = {} if config is None else _read(config)
    spark = content.pop("spark", {})
    found: Level = {}
    for level in (
        *_of_file(kind, content, str(config), command),
        _of_words(kind, _of_environment(kind, environment), variable_of),
        _of_words(kind, flags, flag_of),
    ):
        found = _override(kind, found, level)
    for name, field in declared(kind).items():
        if name not in found and field.default is dataclasses.MISSING:
            raise SettingsError(
                f"no {flag_of(name)} {field.metadata['metavar']} given; see `parsely-spark {command} --help`."
            )
    values = {name: _at_home(value) for name, (_, value) in found.items()}
    for name, value in values.items():
        check_value(kind, name, value, where=found[name][0])
    values = {declared(kind)[name].name: value for name, value in values.items()}
    if "spark" in kind.__dataclass_fields__:
        values["spark"] = tuple(_of_spark(spark, str(config), environment))
    return kind(**values)


def _override(kind: type, found: Level, level: Level) -> Level:
    """*found* with what the stronger *level* gives, which also takes the place of what excludes it."""
    for name, (where, _) in level.items():
        rival = declared(kind)[name].metadata["instead_of"]
        if rival in level:
            raise SettingsError(f"both {where} and {level[rival][0]} are given; give one of them.")
        found.pop(rival, None)
    return found | level


def _of_environment(kind: type, environment: Mapping[str, str]) -> dict[str, str | None]:
    known = known_settings()
    for variable in environment:
        name = variable.removeprefix(_PREFIX).lower()
        if not variable.startswith(_PREFIX) or name in known:
            continue
        # Only what looks like a slip: Kubernetes makes PARSELY_SPARK_PORT and more for a service of this name.
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.7):
            raise SettingsError(f"{variable} is no setting (did you mean {variable_of(near[0])}?); rename or unset it.")
    return {name: environment.get(variable_of(name)) for name in declared(kind)}


def _of_words(kind: type, words: Mapping[str, Any], called: Callable[[str], str]) -> Level:
    """What flags or variables give; None means not given."""
    return {
        name: (called(name), _from_text(type_of(kind, name), given, where=called(name)))
        for name, given in words.items()
        if given is not None
    }


def _from_text(wanted: type, given: Any, *, where: str) -> Any:
    if not isinstance(given, str):
        return tuple(given) if wanted is tuple else given
    if wanted is bool:
        if given.lower() not in _TRUE + _FALSE:
            raise SettingsError(f"{where}={given!r} is neither true nor false; write one of them.")
        return given.lower() in _TRUE
    if wanted is int:
        if not re.fullmatch(r"[+-]?\d{1,18}", given):
            raise SettingsError(f"{where}={given!r} is not a whole number; write up to 18 digits.")
        return int(given)
    return (given,) if wanted is tuple else given


def _at_home(value: Any) -> Any:
    """*value* with a leading ~ replaced: no shell has seen a file's, and few look into ``--out=~/bucket``."""
    if isinstance(value, tuple):
        return tuple(_at_home(one) for one in value)
    return os.path.expanduser(value) if isinstance(value, str) else value


def _read(config: str) -> dict[str, Any]:
    if scheme_of(config) not in ("", "file"):
        raise SettingsError(
            f"--config {config} is not on this machine, where it is read before Spark starts; "
            "hand it over with `spark-submit --files` and name it without its folder."
        )
    try:
        return tomllib.loads(Path(os.path.expanduser(config)).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"--config {config} does not exist; conf/parsely.toml is an example.") from None
    except OSError as error:
        raise SettingsError(f"--config {config} cannot be read ({error.strerror}); name a TOML file.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"--config {config} is not UTF-8 at byte {error.start}; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"--config {config} is not TOML: {error}; mend it there.") from error


def _of_file(kind: type, content: dict[str, Any], config: str, command: str) -> tuple[Level, Level, Level]:
    """What a file gives to every command that has such a setting, what it lends, and its table for *command*."""
    kinds = (kind, *COMMANDS.values())
    common: Level = {}
    lent: Level = {}
    own: Level = {}
    for key, value in content.items():
        if key in COMMANDS:
            table = _of_table(COMMANDS[key], value, f"{config}: {key}")
            own = table if key == command else own
            borrows = (name for name, of in declared(kind).items() if of.metadata["table"] == key)
            lent |= {name: table[name] for name in borrows if name in table}
            continue
        has_it = next((one for one in kinds if key in declared(one)), None)
        if has_it is None:
            known = known_settings() | {*COMMANDS, "spark"}
            raise SettingsError(
                f"{config}: {key} is no setting{did_you_mean(key, known)}; docs/settings.md lists them all."
            )
        where = f"{config}: {key}"
        checked = typed(has_it, key, value, where=where)
        if has_it is kind:
            common[key] = (where, checked)
    return common, lent, own


def _of_table(kind: type, table: Any, where: str) -> Level:
    if not isinstance(table, dict):
        raise SettingsError(f"{where} is {table!r}, but a table [{where.split()[-1]}] is wanted.")
    level: Level = {}
    for key, value in table.items():
        at = f"{where}.{key}"
        if key not in declared(kind):
            raise SettingsError(
                f"{at} is no setting{did_you_mean(key, declared(kind))}; docs/settings.md lists them all."
            )
        level[key] = (at, typed(kind, key, value, where=at))
    return level


def _of_spark(table: Any, config: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The settings of Spark; ``${env:NAME}`` in a value keeps secrets out of the file."""
    if not isinstance(table, dict):
        raise SettingsError(f"{config}: spark is {table!r}, but a table [spark] is wanted.")
    for key, value in _flat(table):
        where = f"{config}: [spark] {key}"
        if not key.startswith("spark."):
            raise SettingsError(
                f"{where} is no setting of Spark; its names begin with spark., Hadoop's with spark.hadoop."
            )
        if not isinstance(value, str | int | float):
            # The value is not shown, here and below: it may be a secret.
            raise SettingsError(f"{where} is a {type(value).__name__}; write a text, a number, true or false.")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield key, re.sub(r"\$\{env:(\w+)\}", partial(_variable, where, environment), text)


def _flat(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of *table* and the tables in it by their dotted names: TOML splits an unquoted a.b.c."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _variable(where: str, environment: Mapping[str, str], match: re.Match[str]) -> str:
    text = environment.get(match[1])
    if not text:
        raise SettingsError(f"{where} wants the environment variable {match[1]}, which is not set; export it.")
    return text
