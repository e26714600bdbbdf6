"""What each command does: settings, session, pipeline, and what is told of it.

The commands import what they need when they run: a wrong flag must not cost the start of anything.
"""

from __future__ import annotations

# over 300 lines: one function for each command, and what they share
import dataclasses
import json
import logging
import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsely_spark.config import did_you_mean
from parsely_spark.errors import BrokenFileError, LakeError, ParselySparkError, SettingsError
from parsely_spark.kinesis_settings import OURS
from parsely_spark.packages import find_kinesis, find_spark
from parsely_spark.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.settings import (
        BatchSettings,
        DemoSettings,
        DoctorSettings,
        ForgetSettings,
        GenerateSettings,
        LakeSettings,
        MaintainSettings,
        MigrateSettings,
        RebuildSettings,
        RegisterSettings,
        ReportSettings,
        SparkSettings,
        StatusSettings,
        StreamSettings,
        TablesSettings,
        VerifySettings,
    )
    from parsely_spark.tables.catalog import Lake

PROGRAM = "parsely-spark"
_MOST_FORGOTTEN = 1_000  # visitors in one run: each is a part of the conditions by which rows are found


def batch(settings: BatchSettings) -> None:
    """Read raw events from files and bring every table up to date."""
    find_spark()
    from parsely_spark.pipelines.batch import Limits, run_batch
    from parsely_spark.session import running_tasks

    _check_tables(settings)
    spark = _open_session("batch", settings)
    lake = _lake(spark, settings)
    limits = Limits(
        begin=settings.begin,
        end=settings.end,
        slice_bytes=settings.slice_mib * 2**20,
        slice_files=settings.slice_files,
        file_hours=settings.file_hours,
        retry=settings.retry,
        tables=settings.names,
        depths=settings,
        extra=settings.extra_fields,
        partition=settings.partition,
        privacy=settings,
    )
    summary = run_batch(lake, settings.sources, Progress(lambda: running_tasks(spark)), limits)
    if settings.json:
        print(json.dumps(dataclasses.asdict(summary)))
    if summary.quarantined:
        first = next(iter(summary.quarantined.values()))
        raise BrokenFileError(f"{len(summary.quarantined)} files were left out, all else is done; the first is {first}")


def stream(settings: StreamSettings) -> None:
    """Follow a Kinesis stream and bring every table up to date."""
    find_spark()
    from parsely_spark.pipelines.stream import Pace, run_stream
    from parsely_spark.places import absolute
    from parsely_spark.session import running_tasks
    from parsely_spark.sources.kinesis.readers import reader_of

    _check_tables(settings)
    if settings.reader == OURS:
        find_kinesis()
    spark = _open_session("stream", settings)
    pace = Pace(
        checkpoint=absolute(settings.checkpoint),
        trigger_s=settings.trigger_s,
        fold_every_s=settings.fold_every_s,
        drains=settings.available_now,
        tables=settings.names,
        depths=settings,
        extra=settings.extra_fields,
        partition=settings.partition,
        privacy=settings,
    )
    reader = reader_of(settings.reader, settings)
    with _asked_by_schedulers() as is_asked:
        pace = dataclasses.replace(pace, is_asked_to_end=is_asked)
        summary = run_stream(_lake(spark, settings), reader, Progress(lambda: running_tasks(spark)), pace)
    if settings.json:
        print(json.dumps(dataclasses.asdict(summary)))


@contextmanager
def _asked_by_schedulers() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come, which schedulers send; by itself, as a second one, it ends the process in its tracks.

    It raises nothing, unlike Ctrl-C: Spark's JVM would go on with what this process has left, such as a fold.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asked.set()

    is_main = threading.current_thread() is threading.main_thread()
    is_ours = is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # else a host has its own ideas of it
    if is_ours:
        signal.signal(signal.SIGTERM, ask)
    try:
        yield asked.is_set
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def rebuild(settings: RebuildSettings) -> None:
    """Make derived tables again from the events."""
    find_spark()
    from parsely_spark.pipelines.rebuild import run_rebuild
    from parsely_spark.session import running_tasks

    _check_tables(settings)
    spark = _open_session("rebuild", settings)
    lake = _lake(spark, settings)
    rebuilt = run_rebuild(lake, settings.names, Progress(lambda: running_tasks(spark)), depths=settings)
    if settings.json:
        print(json.dumps(dataclasses.asdict(rebuilt)))


def verify(settings: VerifySettings) -> None:
    """Compute the tables from nothing and compare them."""
    find_spark()
    from parsely_spark.pipelines.verify import run_verify
    from parsely_spark.session import running_tasks

    _check_tables(settings)
    spark = _open_session("verify", settings)
    lake = _lake(spark, settings)
    findings = run_verify(
        lake,
        Progress(lambda: running_tasks(spark)),
        sample=float(settings.sample),
        tables=settings.names,
        depths=settings,
    )
    if settings.json:
        said = {"is_right": findings.is_right, **dataclasses.asdict(findings)}
        said |= {"unbalanced": [dataclasses.asdict(sums) for sums in findings.unbalanced]}
        print(json.dumps(said | {"never_folded": findings.never_folded}))
    else:
        for difference in (*findings.differences, *findings.unbalanced):
            print(difference)
        for table in findings.behind:
            print(f"{table}: {findings.lateness(table)}")
    if not findings.is_right:
        rows = sum(findings.different.values())
        what = f"{rows:,} rows" if rows else "sums of rows"
        raise LakeError(
            f"{what} of {lake.place} are not as they should be; `parsely-spark rebuild` mends derived tables, reading "
            "their files again (docs/operations.md) events that are missing, and a new lake those that are doubled."
        )


def status(settings: StatusSettings) -> None:
    """Show how fresh a lake is, its last runs and its gaps."""
    find_spark()
    from parsely_spark.pipelines.status import run_status
    from parsely_spark.session import running_tasks

    spark = _open_session("status", settings)
    seen = run_status(_lake(spark, settings), Progress(lambda: running_tasks(spark)), now=datetime.now(UTC))
    print(json.dumps(dataclasses.asdict(seen), default=datetime.isoformat) if settings.json else seen)


def maintain(settings: MaintainSettings) -> None:
    """Put small files together, delete old ones, sum up old notes."""
    find_spark()
    from parsely_spark.pipelines.maintain import Care, run_maintain
    from parsely_spark.session import running_tasks

    _check_kept(settings)
    spark = _open_session("maintain", settings)
    care = Care(
        optimizes=settings.optimizes,
        vacuums=settings.vacuums,
        retain_days=settings.retain_days,
        open_hours=settings.open_hours,
        run_days=settings.run_days,
        ledger_days=settings.ledger_days,
        keep_days=settings.kept,
    )
    done = run_maintain(_lake(spark, settings), Progress(lambda: running_tasks(spark)), care)
    print(json.dumps(dataclasses.asdict(done)) if settings.json else done)


def _check_kept(settings: MaintainSettings) -> None:
    from parsely_spark.tables.catalog import RUNS, TABLES

    dated = [name for name, spec in TABLES.items() if "date" in spec.partition_by and name != RUNS.name]
    for table in settings.kept:
        if table not in dated:
            raise SettingsError(
                f"--keep-days {table}: no table of that name has a date{did_you_mean(table, dated)}; give one of "
                f"{', '.join(dated)}."
            )


def migrate(settings: MigrateSettings) -> None:
    """Add to an older lake what it lacks, and extra fields."""
    find_spark()
    from parsely_spark.pipelines.migrate import Aim, run_migrate
    from parsely_spark.session import running_tasks

    _check_tables(settings)
    spark = _open_session("migrate", settings)
    aim = Aim(tables=settings.names, depths=settings, extra=settings.extra_fields, is_trial=settings.dry_run)
    done = run_migrate(_lake(spark, settings), Progress(lambda: running_tasks(spark)), aim)
    print(json.dumps(dataclasses.asdict(done)) if settings.json else done)


def forget(settings: ForgetSettings) -> None:
    """Delete visitors from every table, and prove it."""
    find_spark()
    from parsely_spark.pipelines.forget import Wish, run_forget
    from parsely_spark.session import running_tasks

    wish = Wish(visitors=_visitors(settings), apikey=settings.apikey, retain_days=settings.retain_days, depths=settings)
    spark = _open_session("forget", settings)
    lake = _lake(spark, settings)
    proof = run_forget(lake, Progress(lambda: running_tasks(spark)), wish)
    said = {**dataclasses.asdict(proof), "remaining": proof.remaining}
    print(json.dumps(said, default=datetime.isoformat) if settings.json else proof)
    if proof.remaining:
        raise LakeError(
            f"{proof.remaining:,} rows of {lake.place} came in meanwhile; run again when the runs that were going on "
            "have ended."
        )


def _visitors(settings: ForgetSettings) -> tuple[str, ...]:
    from parsely_spark.columns import NOBODY_IDS

    ids = list(settings.visitor)
    if settings.visitors_from is not None:
        ids += [line.strip() for line in _text_of(settings.visitors_from).splitlines() if line.strip()]
    if not ids:
        raise SettingsError(f"visitors_from={settings.visitors_from!r} names nobody; write one visitor_site_id a line.")
    if len(ids) > _MOST_FORGOTTEN:
        raise SettingsError(f"{len(ids):,} visitors given; give up to {_MOST_FORGOTTEN:,} at once.")
    for one in ids:
        if one in NOBODY_IDS:
            raise SettingsError(f"visitor={one!r} stands for many people, of whom none can be told; leave it out.")
    return tuple(dict.fromkeys(ids))


def _text_of(visitors_from: str) -> str:
    try:
        # As some editors save UTF-8, with a mark of three bytes before it, the first visitor would be another.
        return Path(visitors_from).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(
            f"visitors_from={visitors_from!r} cannot be read ({error.strerror}); check the path and its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"visitors_from={visitors_from!r} is not UTF-8; save it as that.") from error


def register(settings: RegisterSettings) -> None:
    """Put the views, and the tables of a folder, into a catalog."""
    find_spark()
    from parsely_spark.pipelines.register import run_register
    from parsely_spark.session import forgets_tables, running_tasks

    spark = _open_session("register", settings)
    if forgets_tables(spark):
        raise SettingsError(
            "This Spark's catalog is in memory and is gone when the command ends; give it a lasting one, as with "
            '"spark.sql.catalogImplementation" = "hive" in [spark] of the settings file, or ask the views from Python '
            "with parsely_spark.api.open_lake."
        )
    lake = _lake(spark, settings)
    run_register(lake, settings.catalog or str(settings.schema), settings, Progress(lambda: running_tasks(spark)))


def report(settings: ReportSettings) -> None:
    """Write an HTML report on the audience and the health of the data."""
    find_spark()
    from parsely_spark.report.period import Asked
    from parsely_spark.report.writing import write_report
    from parsely_spark.session import running_tasks
    from parsely_spark.tables.views.view import check_for_spark

    spark = _open_session("report", settings)
    check_for_spark(spark, (), settings.reporting)
    asked = Asked.of(settings, now=datetime.now(UTC))
    written = write_report(_lake(spark, settings), asked, settings.out, Progress(lambda: running_tasks(spark)))
    if settings.json:
        print(json.dumps(dataclasses.asdict(written), default=str))
    else:
        print(written.path)


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
    find_spark()
    from parsely_spark.demo import run_demo
    from parsely_spark.session import running_tasks

    run_demo(settings, lambda: _open_session("demo", settings), running_tasks)


def doctor(settings: DoctorSettings) -> None:
    """Check Java, Spark, keys, buckets, lake, clock and stream."""
    from parsely_spark.doctor.examination import examine
    from parsely_spark.doctor.finding import FAILED

    findings = []
    for finding in examine(settings, lambda: _open_session("doctor", settings)):
        findings.append(finding)
        if not settings.json:
            print(finding, flush=True)
    failed = [finding.check for finding in findings if finding.state == FAILED]
    if settings.json:
        print(json.dumps({"is_well": not failed, "checks": [finding._asdict() for finding in findings]}))
    if failed:
        raise ParselySparkError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}.")


def _lake(spark: SparkSession, settings: LakeSettings) -> Lake:
    from parsely_spark.tables.catalog import Lake

    return Lake(spark, settings.place, is_catalog=settings.catalog is not None, takes_turns=settings.turns)


def _check_tables(settings: TablesSettings) -> None:
    from parsely_spark.tables.folds import FOLDS

    known = [fold.name for fold in FOLDS]
    for name in settings.names:
        if name not in known:
            raise SettingsError(
                f"tables={settings.tables!r}: {name!r} is no derived table{did_you_mean(name, known)}; there are "
                f"{', '.join(known)}."
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
    "stream": stream,
    "rebuild": rebuild,
    "verify": verify,
    "status": status,
    "maintain": maintain,
    "migrate": migrate,
    "forget": forget,
    "register": register,
    "report": report,
    "generate": generate,
    "demo": demo,
    "doctor": doctor,
}
