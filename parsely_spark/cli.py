"""The console command ``parsely-spark`` and what the files under ``jobs/`` call.

Flags become settings, settings a command, what goes wrong one sentence and an exit code.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import select
import sys
from typing import TYPE_CHECKING, Any

from parsely_spark import __version__
from parsely_spark.commands import PROGRAM, RUN
from parsely_spark.config import did_you_mean, flag_of, load
from parsely_spark.declaration import declared, type_of
from parsely_spark.errors import ParselySparkError, SettingsError
from parsely_spark.settings import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from parsely_spark.declaration import Field, Settings

DONE, FAILED, WRONG_USAGE = 0, 1, 2
INTERRUPTED, NOBODY_READS = 130, 141  # as a shell says it: 128 and the number of the signal


def main(argv: Sequence[str] | None = None, *, command: str | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name; those of this process by default.
        command: the command, for a file under ``jobs/`` whose flags follow without its name.

    Returns:
        0, when all was done.

    Raises:
        SystemExit: with 1 after a failure, 2 for wrong usage or settings, 130 after an interruption, 141 when
            nobody reads the output any more. It is raised, and only then, because a platform that calls the entry
            point of a wheel does not look at what it returns, and may take every exit for a failure.
    """
    words = [*([command] if command else []), *(sys.argv[1:] if argv is None else argv)]
    program = f"{PROGRAM} {words[0]}" if words[:1] and words[0] in COMMANDS else PROGRAM
    try:
        try:
            code = _run(words, program)
        finally:
            # Not left to Python's exit, where a reader that has gone is a complaint and no exception.
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{program}: interrupted before it was done.", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        code = NOBODY_READS
    if code:
        raise SystemExit(code)
    return DONE


def _run(words: Sequence[str], program: str) -> int:
    try:
        if not words:
            _parser().print_help(sys.stderr)
            return WRONG_USAGE
        try:
            command, settings = understand(words)
        except OSError as error:  # such as a name that is too long for a file
            raise SettingsError(f"{error.filename}: {error.strerror}; give another path.") from error
        RUN[command](settings)
    except ParselySparkError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, SettingsError) else FAILED
    except OSError as error:
        if not error.filename:  # no place that a user could do something about
            raise
        print(f"{program}: {error.filename}: {error.strerror}; check the path and its permissions.", file=sys.stderr)
        return FAILED
    return DONE


def _nobody_reads() -> bool:
    """Whether the reader of standard output or error has gone; what is still to be written then goes nowhere."""
    outputs = select.poll()
    outputs.register(1, 0)
    outputs.register(2, 0)
    gone = [descriptor for descriptor, event in outputs.poll(0) if event & select.POLLERR]
    for descriptor in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(gone)


def understand(words: Sequence[str]) -> tuple[str, Settings]:
    """Read *words*, of which the first is the command; nothing is started.

    Raises:
        SettingsError: if they, the environment or the file that they name are wrong.
    """
    first = words[0]
    if first not in (*COMMANDS, "-h", "--help", "--version"):
        wanted = f"give one of {', '.join(COMMANDS)}"
        if first.startswith("-"):
            raise SettingsError(f"{first} stands where the command is wanted; {wanted} before all flags.")
        raise SettingsError(f"{first!r} is no command{did_you_mean(first, COMMANDS)}; {wanted}.")
    namespace, unknown = _parser().parse_known_args(words)
    given = vars(namespace)
    command, config = given.pop("command"), given.pop("config")
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [flag_of(name) for name in ("config", *given)]
        found = f"{flag} is no flag{did_you_mean(flag, known)}"
        if not flag.startswith("-"):
            found = f"{unknown[0]!r} is one word too many"
        raise SettingsError(f"{found}; see `{PROGRAM} {command} --help`.")
    return command, load(COMMANDS[command], given, command=command, config=config)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the rest of the program does, instead of the usage and half a sentence."""

    def error(self, message: str) -> NoReturn:
        said = message.removeprefix("argument ")
        said = said.replace(": expected one argument", " wants a value, but none follows")
        said = said.replace(": ignored explicit argument", " takes no value, but is given")
        raise SettingsError(f"{said}; see `{self.prog} --help`.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Parse.ly raw events become Delta tables that can be trusted.",
        epilog=f"`{PROGRAM} COMMAND --help` shows the flags of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, kind in COMMANDS.items():
        about = (RUN[name].__doc__ or "").strip()
        flags = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        for called, setting in declared(kind).items():
            _add_flag(flags, called, setting, type_of(kind, called))
        flags.add_argument("--config", metavar="FILE", help="settings file (TOML); conf/parsely.toml is an example")
    return parser


def _add_flag(flags: argparse.ArgumentParser, name: str, setting: Field, wanted: type) -> None:
    # Texts stay texts, also numbers: they are read by the same rules, with the same words, as a variable's.
    shape: dict[str, Any] = {"metavar": setting.metadata["metavar"]}
    if wanted is bool:
        shape = {"action": argparse.BooleanOptionalAction}
    elif wanted is tuple:
        shape["action"] = "append"
    flags.add_argument(flag_of(name), dest=name, default=None, help=_help(setting), **shape)


def _help(setting: Field) -> str:
    shown = setting.default not in (None, False, (), dataclasses.MISSING)
    text: str = setting.metadata["meaning"] + (f" (default {setting.default})" if shown else "")
    return text.replace("%", "%%")  # argparse fills in what follows a %
