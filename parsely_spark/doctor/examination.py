"""The order in which things are looked at: what others need first, and each whatever came of those before it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from parsely_spark.doctor.clock import look_at_clock
from parsely_spark.doctor.finding import NOT_ASKED_FOR, NOT_REACHED, OK, Finding, look
from parsely_spark.doctor.machine import (
    look_at_java,
    look_at_kinesis_packages,
    look_at_local_checkpoint,
    look_at_local_lake,
    look_at_python,
)
from parsely_spark.errors import LakeError, SourceError
from parsely_spark.kinesis_settings import OURS, KinesisSettings
from parsely_spark.places import absolute, local_path, scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.settings import DoctorSettings

_RETRY_S = 5  # for which a stream that does not answer is asked again
_NO_SPARK = "no Spark"


def examine(settings: DoctorSettings, start: Callable[[], SparkSession]) -> Iterator[Finding]:
    """Look at everything that *settings* name; *start* makes the session.

    Yields:
        What each check has found, as soon as it has.
    """
    python = look("python", look_at_python)
    yield python
    kinesis = Finding("python kinesis", NOT_ASKED_FOR, _why_no_stream(settings))
    if _reads_stream(settings):
        kinesis = look("python kinesis", look_at_kinesis_packages)
    yield kinesis
    if python.state == OK:
        spark = yield from _look_at_engine(settings, start)
    else:
        spark = None
        yield look("java", look_at_java)
        yield from _not_reached(_NO_SPARK, "spark", "pair", "delta")
    options = _stream_options(settings) if kinesis.state == OK else None
    yield from _look_at_keys(settings, spark, options)
    yield from _look_at_clocks(settings, spark, options)
    yield from _look_at_sources(settings, spark)
    yield from _look_at_lake(settings, spark)
    yield from _look_at_checkpoint(settings, spark)
    yield from _look_at_stream(settings, options)


def _look_at_engine(
    settings: DoctorSettings, start: Callable[[], SparkSession]
) -> Generator[Finding, None, SparkSession | None]:
    """Java, Spark, and what goes with it; returns the session, where there is one."""
    from parsely_spark.doctor.engine import look_at_running_java, start_spark, try_delta
    from parsely_spark.doctor.pair import look_at_pair
    from parsely_spark.jvm import FAILURES
    from parsely_spark.session import is_there

    was_there = is_there()
    if not was_there:
        java = look("java", look_at_java)
        yield java
        if java.state != OK:
            yield from _not_reached("no Java", "spark")
            yield from _not_reached(_NO_SPARK, "pair", "delta")
            return None
    begun, spark = start_spark(start)
    if was_there and spark is not None:
        yield look("java", partial(look_at_running_java, spark), FAILURES)
    yield begun
    yield look("pair", partial(look_at_pair, spark), FAILURES)
    if spark is None:
        yield from _not_reached(_NO_SPARK, "delta")
    elif begun.state != OK:
        yield from _not_reached("no Delta", "delta")
    else:
        lake = absolute(settings.lake) if settings.lake else None
        yield look("delta", partial(try_delta, spark, lake), FAILURES)
    return spark


def _look_at_keys(
    settings: DoctorSettings, spark: SparkSession | None, options: KinesisSettings | None
) -> Iterator[Finding]:
    """One line for each bucket and for the stream: each may have keys of its own."""
    of_s3 = _on_s3(settings)
    if not of_s3 and not _reads_stream(settings):
        yield Finding("credentials", NOT_ASKED_FOR, _why_no_aws(settings))
    if of_s3 and spark is None:
        yield from _not_reached(_NO_SPARK, "credentials")
    elif spark is not None:
        from parsely_spark.doctor.sources import look_at_keys
        from parsely_spark.jvm import FAILURES

        for uri, kind in of_s3.items():
            yield look("credentials", partial(look_at_keys, spark, uri, kind), FAILURES)
    if options is not None:
        from parsely_spark.doctor.streams import look_at_stream_keys

        yield look("credentials", partial(look_at_stream_keys, options))


def _look_at_clocks(
    settings: DoctorSettings, spark: SparkSession | None, options: KinesisSettings | None
) -> Iterator[Finding]:
    servers: list[str] = []
    if spark is not None:
        from parsely_spark.jvm import FAILURES, is_s3a, s3_address

        for uri in _on_s3(settings):
            with suppress(*FAILURES):  # what is wrong with a place is told where that is looked at
                servers += [s3_address(spark, uri)] if is_s3a(spark, uri) else []
    if options is not None:
        from parsely_spark.doctor.streams import server_of

        with suppress(SourceError):
            servers.append(server_of(options))
    for url in dict.fromkeys(servers):
        yield look("clock", partial(look_at_clock, url))
    if not _on_s3(settings) and not _reads_stream(settings):
        yield Finding("clock", NOT_ASKED_FOR, _why_no_aws(settings))
    elif not servers:
        yield from _not_reached("no server is known that tells the time", "clock")


def _look_at_sources(settings: DoctorSettings, spark: SparkSession | None) -> Iterator[Finding]:
    if not settings.source:
        yield Finding("source", NOT_ASKED_FOR, "no --source given")
    elif spark is None:
        yield from _not_reached(_NO_SPARK, "source")
    else:
        from parsely_spark.doctor.sources import look_at_source

        for source in settings.source:
            yield from look_at_source(spark, source)


def _look_at_lake(settings: DoctorSettings, spark: SparkSession | None) -> Iterator[Finding]:
    if settings.lake is not None and local_path(settings.lake) is not None:
        yield look("lake write", partial(look_at_local_lake, settings.lake))
    elif settings.lake is None and settings.catalog is None:
        yield Finding("lake", NOT_ASKED_FOR, "neither --lake nor --catalog given")
    elif spark is None:
        yield from _not_reached(_NO_SPARK, "lake")
    else:
        from parsely_spark.doctor.lakes import look_at_catalog, look_at_folder

        look_at_it = look_at_folder if settings.lake else look_at_catalog
        yield from look_at_it(spark, settings.lake or str(settings.catalog), takes_turns=settings.turns)


def _look_at_checkpoint(settings: DoctorSettings, spark: SparkSession | None) -> Iterator[Finding]:
    if settings.checkpoint is None:
        yield Finding("checkpoint", NOT_ASKED_FOR, "no --checkpoint given")
    elif local_path(settings.checkpoint) is not None:
        yield look("checkpoint write", partial(look_at_local_checkpoint, settings.checkpoint))
    elif spark is None:
        yield from _not_reached(_NO_SPARK, "checkpoint")
    else:
        from parsely_spark.doctor.lakes import look_at_checkpoint

        yield from look_at_checkpoint(spark, settings.checkpoint)


def _look_at_stream(settings: DoctorSettings, options: KinesisSettings | None) -> Iterator[Finding]:
    if not _reads_stream(settings):
        yield Finding("stream", NOT_ASKED_FOR, _why_no_stream(settings))
    elif options is None:
        yield from _not_reached("no package to read Kinesis with", "stream")
    else:
        from parsely_spark.doctor.streams import look_at_stream

        yield from look_at_stream(options)


def _on_s3(settings: DoctorSettings) -> dict[str, type[SourceError] | type[LakeError]]:
    """A URI for each bucket, with the error that tells what is wrong with it."""
    given: list[tuple[str, type[SourceError] | type[LakeError]]] = [(uri, SourceError) for uri in settings.source]
    given += [(folder, LakeError) for folder in (settings.lake, settings.checkpoint) if folder]
    buckets = {uri.split("/")[2]: (uri, kind) for uri, kind in reversed(given) if scheme_of(uri).startswith("s3")}
    return dict(reversed(buckets.values()))


def _reads_stream(settings: DoctorSettings) -> bool:
    """Whether there is a stream that this program reads itself, with packages and keys that can be looked at."""
    return settings.stream is not None and settings.reader == OURS


def _why_no_stream(settings: DoctorSettings) -> str:
    return "no --stream given" if settings.stream is None else f"{settings.reader} reads the stream, by ways of its own"


def _why_no_aws(settings: DoctorSettings) -> str:
    return "nothing on AWS given" if settings.stream is None else _why_no_stream(settings)


def _stream_options(settings: DoctorSettings) -> KinesisSettings:
    return KinesisSettings(
        stream=str(settings.stream),
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        role_arn=settings.role_arn,
        retry_s=_RETRY_S,
    )


def _not_reached(why: str, *checks: str) -> Iterator[Finding]:
    return (Finding(check, NOT_REACHED, why) for check in checks)
