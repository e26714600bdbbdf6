"""The console command ``parsely-spark`` and what the files under ``jobs/`` call: flags, settings, session, pipeline."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from parsely_spark import __version__
from parsely_spark.config import declared, load, type_of
from parsely_spark.errors import ParselySparkError, SettingsError
from parsely_spark.progress import Progress
from parsely_spark.settings import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parsely_spark.settings import BatchSettings, DemoSettings, GenerateSettings

DONE, FAILED, WRONG_USAGE = 0, 1, 2


# The commands import what they need when they run: a wrong flag must not cost the start of anything.


def batch(settings: BatchSettings) -> None:
    """Read raw events from files and bring every table up to date."""
    from parsely_spark.pipelines.batch import run_batch
    from parsely_spark.session import get_session, running_tasks
    from parsely_spark.tables.catalog import Lake

    spark = get_session("parsely-spark batch", settings)
    lake = Lake(spark, settings.place, is_catalog=settings.catalog is not None)
    summary = run_batch(lake, settings.sources, Progress(lambda: running_tasks(spark)))
    if settings.json:
        print(json.dumps(dataclasses.asdict(summary)))


def generate(settings: GenerateSettings) -> None:
    """Write a realistic bucket of raw events, for trying things out and for tests."""
    from parsely_spark.testing.generate import generate as make_bucket

    with Progress().count("generate", settings.events, "events") as add:
        made = make_bucket(
            settings.out, events=settings.events, hours=settings.hours, seed=settings.seed, on_progress=add
        )
    if settings.json:
        print(json.dumps(dataclasses.asdict(made)))


def demo(settings: DemoSettings) -> None:
    """Generate a day of events, make the tables of it and show them."""
    from parsely_spark.demo import run_demo
    from parsely_spark.session import get_session, running_tasks

    run_demo(settings, lambda: get_session("parsely-spark demo", settings), running_tasks)


RUN: dict[str, Callable[[Any], None]] = {"batch": batch, "generate": generate, "demo": demo}


def main(argv: Sequence[str] | None = None, *, command: str | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage or settings.

    Args:
        argv: the words after the program's name; those of this process by default.
        command: the command, for a file under ``jobs/`` whose flags follow without its name.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    given = vars(_parser().parse_args([command, *words] if command else words))
    command, config = given.pop("command"), given.pop("config")
    try:
        settings = load(COMMANDS[command], given, command=command, config=config)
        RUN[command](settings)
    except SettingsError as error:
        print(f"parsely-spark {command}: {error}", file=sys.stderr)
        return WRONG_USAGE
    except ParselySparkError as error:
        print(f"parsely-spark {command}: {error}", file=sys.stderr)
        return FAILED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parsely-spark", description="Parse.ly raw events become Delta tables that can be trusted."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, kind in COMMANDS.items():
        about = (RUN[name].__doc__ or "").strip()
        flags = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        flags.add_argument("--config", metavar="FILE", help="settings file (TOML)")
        for setting in declared(kind).values():
            _add_flag(flags, kind, setting)
    return parser


def _add_flag(flags: argparse.ArgumentParser, kind: type, setting: dataclasses.Field[Any]) -> None:
    wanted = type_of(kind, setting.name)
    shape: dict[str, Any] = {"default": None, "help": _help(setting)}
    if wanted is bool:
        shape["action"] = "store_true"
    else:
        shape |= {"metavar": setting.metadata["metavar"], "type": int if wanted is int else str}
    if wanted is tuple:
        shape["action"] = "append"
    flags.add_argument(f"--{setting.name.replace('_', '-')}", dest=setting.name, **shape)


def _help(setting: dataclasses.Field[Any]) -> str:
    shown = setting.default not in (None, False, (), dataclasses.MISSING)
    return setting.metadata["meaning"] + (f" (default {setting.default})" if shown else "")
