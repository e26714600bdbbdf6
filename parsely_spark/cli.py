"""The console command ``parsely-spark`` and what the files under ``jobs/`` call.

Flags, settings, session, pipeline. The commands import what they need when they run: a wrong flag must not cost
the start of anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import select
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from parsely_spark import __version__
from parsely_spark.config import did_you_mean, flag_of, load
from parsely_spark.declaration import declared, type_of
from parsely_spark.errors import BrokenFileError, LakeError, ParselySparkError, SettingsError
from parsely_spark.progress import Progress
from parsely_spark.settings import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from pyspark.sql import SparkSession

    from parsely_spark.declaration import Field, Settings
    from parsely_spark.settings import (
        BatchSettings,
        DemoSettings,
        GenerateSettings,
        LakeSettings,
        RebuildSettings,
        SparkSettings,
        VerifySettings,
    )
    from parsely_spark.tables.catalog import Lake

PROGRAM = "parsely-spark"
DONE, FAILED, WRONG_USAGE = 0, 1, 2
INTERRUPTED, NOBODY_READS = 130, 141  # as a shell says it: 128 and the number of the signal


def batch(settings: BatchSettings) -> None:
    """Read raw events from files and bring every table up to date."""
    _find_spark()
    from parsely_spark.pipelines.batch import Limits, run_batch
    from parsely_spark.session import running_tasks

    spark = _open_session("batch", settings)
    lake = _lake(spark, settings)
    limits = Limits(
        begin=settings.begin,
        end=settings.end,
        slice_bytes=settings.slice_mib * 2**20,
        slice_files=settings.slice_files,
    )
    summary = run_batch(lake, settings.sources, Progress(lambda: running_tasks(spark)), limits)
    if settings.json:
        print(json.dumps(dataclasses.asdict(summary)))
    if summary.quarantined:
        first = next(iter(summary.quarantined.values()))
        raise BrokenFileError(f"{len(summary.quarantined)} files were left out, all else is done; the first is {first}")


def rebuild(settings: RebuildSettings) -> None:
    """Make derived tables again from the events."""
    _find_spark()
    from parsely_spark.pipelines.rebuild import run_rebuild
    from parsely_spark.session import running_tasks
    from parsely_spark.tables.folds import FOLDS

    known = [fold.name for fold in FOLDS]
    for name in settings.names:
        if name not in known:
            raise SettingsError(
                f"tables={settings.tables!r}: {name!r} is no derived table{did_you_mean(name, known)}; there are "
                f"{', '.join(known)}."
            )
    spark = _open_session("rebuild", settings)
    lake = _lake(spark, settings)
    rebuilt = run_rebuild(lake, settings.names, Progress(lambda: running_tasks(spark)))
    if settings.json:
        print(json.dumps(dataclasses.asdict(rebuilt)))


def verify(settings: VerifySettings) -> None:
    """Compute the tables from nothing and compare them."""
    _find_spark()
    from parsely_spark.pipelines.verify import run_verify
    from parsely_spark.session import running_tasks

    spark = _open_session("verify", settings)
    lake = _lake(spark, settings)
    findings = run_verify(lake, Progress(lambda: running_tasks(spark)), sample=float(settings.sample))
    if settings.json:
        print(json.dumps(dataclasses.asdict(findings)))
    else:
        for difference in findings.differences:
            print(difference)
    if not findings.is_right:
        rows = sum(findings.different.values())
        raise LakeError(
            f"{rows:,} rows of {lake.place} are not as they should be; `parsely-spark rebuild` mends derived tables."
        )


def generate(settings: GenerateSettings) -> None:
    """Write a realistic bucket of raw events, to try things out on."""
    from parsely_spark.testing.generate import generate as make_bucket

    with Progress().count("generate", settings.events, "events") as add:
        made = make_bucket(
            settings.out, events=settings.events, hours=settings.hours, seed=settings.seed, on_progress=add
        )
    if settings.json:
        print(json.dumps(dataclasses.asdict(made)))


def demo(settings: DemoSettings) -> None:
    """Generate a day of events, make the tables of it and show them."""
    _find_spark()
    from parsely_spark.demo import run_demo
    from parsely_spark.session import running_tasks

    run_demo(settings, lambda: _open_session("demo", settings), running_tasks)


def _lake(spark: SparkSession, settings: LakeSettings) -> Lake:
    from parsely_spark.tables.catalog import Lake

    return Lake(spark, settings.place, is_catalog=settings.catalog is not None)


def _find_spark() -> None:
    for module in ("pyspark", "delta"):
        if find_spec(module) is None:
            raise SettingsError(
                f"Python has no package {module}; on a machine of your own `pip install 'parsely-spark[local]'`, on a "
                "cluster submit with Delta's `--packages`, which bring both of its halves."
            )


def _open_session(command: str, settings: SparkSettings) -> SparkSession:
    from parsely_spark.session import get_session

    logging.getLogger().addFilter(_is_not_raised_as_well)
    return get_session(f"{PROGRAM} {command}", settings)


def _is_not_raised_as_well(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Py4J logs of a call which Ctrl-C, or the end of the JVM, cuts short."""
    return not record.getMessage().endswith(" while sending command.")


RUN: dict[str, Callable[[Any], None]] = {
    "batch": batch,
    "rebuild": rebuild,
    "verify": verify,
    "generate": generate,
    "demo": demo,
}


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
            command, settings = _understand(words)
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


def _understand(words: Sequence[str]) -> tuple[str, Settings]:
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
    shown = setting.default not in (None, False, dataclasses.MISSING)
    text: str = setting.metadata["meaning"] + (f" (default {setting.default})" if shown else "")
    return text.replace("%", "%%")  # argparse fills in what follows a %
