"""The only module that makes a SparkSession, and beside `jvm.py` the only one that calls the JVM behind it."""

from __future__ import annotations

import locale
import os
import re
import signal
import sys
import threading
import warnings
from contextlib import nullcontext
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

from py4j.java_gateway import JavaPackage  # type: ignore[import-untyped]  # it has no types
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.find_spark_home import _find_spark_home
from pyspark.sql import SparkSession, is_remote

from parsely_spark import class_archive
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.java import find_java, why_unfit
from parsely_spark.jvm import is_driver
from parsely_spark.jvm_start import SECRET, only_in_a_file, passed_on
from parsely_spark.versions import delta_jar_of, minor_of, tested_versions

if TYPE_CHECKING:
    from parsely_spark.settings import SparkSettings


def get_session(name: str, settings: SparkSettings) -> SparkSession:
    """Return the running session where a platform, a notebook or a server of Spark Connect has one, else make it.

    Args:
        name: of the application, as the cluster's pages show it.
        settings: endpoint, log level and the settings file's table [spark].

    Raises:
        SettingsError: if no fit Java is found.
        LakeError: if Spark's JVM has no Delta.
    """
    if _has_session():
        return SparkSession.builder.getOrCreate()
    given = _submitted() | dict(settings.spark)
    chosen = _chosen(name, settings, given)
    # Without a locale of UTF-8 the JVM that starts here misses files whose names are not ASCII, and does not say so.
    if not locale.getencoding().upper().startswith("UTF"):
        os.environ["LC_ALL"] = "C.UTF-8"
    if "PYSPARK_GATEWAY_PORT" not in os.environ and given.get("spark.master", "local").startswith("local"):
        # Else workers take the first python3 of the path, which need not have what this one has.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        spark = _start(chosen, verbose=settings.verbose)
    except PySparkRuntimeError as error:
        raise SettingsError(
            why_unfit()
            or "Spark's JVM did not start, for the reason that it gives above; check the settings file's table [spark]."
        ) from error
    if not is_driver(spark):
        return spark
    if spark._jvm is not None and isinstance(spark._jvm.io.delta.tables.DeltaTable, JavaPackage):
        raise LakeError(_no_delta(spark.version))
    _remember_classes(spark)
    _let_ctrl_c_through(spark.version)
    return spark


def _chosen(name: str, settings: SparkSettings, given: dict[str, str]) -> dict[str, str]:
    """What the session is told, beside what it was *given* already; *settings* have a part in that."""
    defaults = {"spark.app.name": name, **_defaults(settings, given), **_endpoint(settings.s3_endpoint_url)}
    chosen = {key: value for key, value in defaults.items() if key not in given} | dict(settings.spark)
    if settings.s3_endpoint_url:  # the address alone is stronger: how the server is spoken to was meant by who said it
        chosen[_ENDPOINT] = settings.s3_endpoint_url
    if "SPARK_REMOTE" in os.environ:  # it says itself where Spark is to be, and PySpark wants that said once
        chosen.pop("spark.master", None)
    chosen["spark.sql.extensions"] = _with_delta(given.get("spark.sql.extensions", ""))
    return chosen


def _start(settings: dict[str, str], *, verbose: bool) -> SparkSession:
    if SparkContext._gateway is not None or "PYSPARK_GATEWAY_PORT" in os.environ:  # the JVM is there already
        return _built(settings)
    with only_in_a_file(settings) as others, passed_on() if not verbose else nullcontext():
        return _built(others)


def _built(settings: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder
    for key, value in settings.items():
        builder = builder.config(key, value)
    with warnings.catch_warnings():
        # A server of Connect that starts here has them by then, but its client tries to set all of them once more.
        warnings.filterwarnings("ignore", "Failed to set", UserWarning)
        return builder.getOrCreate()


def is_there() -> bool:
    """Whether a platform, a notebook or spark-submit has started Spark's JVM already, by whatever Java."""
    return _has_session() or "PYSPARK_GATEWAY_PORT" in os.environ


def _has_session() -> bool:
    is_served = is_remote() or os.environ.get("SPARK_REMOTE", "").startswith("sc://")
    return "DATABRICKS_RUNTIME_VERSION" in os.environ or is_served or SparkSession.getActiveSession() is not None


def _remember_classes(spark: SparkSession) -> None:
    """Ask the JVM once for the classes that PySpark asks it for with every Column that it makes.

    A name without its package is looked for in eight of them, each time in every jar. A sum over a column takes a third
    of the time without that, and a fold has thousands of Columns.
    """
    for name in ("functions", "PythonUtils", "org.apache.spark.sql.functions"):
        setattr(spark._jvm, name, getattr(spark._jvm, name))


def _let_ctrl_c_through(version: str) -> None:
    """See that Ctrl-C is a KeyboardInterrupt before Spark 4.2, too.

    There, Spark's own handler first asks the JVM to cancel its jobs, which fails with another error where the program
    is waiting for an answer of the JVM, as it mostly is.
    """
    is_older = minor_of(version) in ("4.0", "4.1")
    if is_older and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _no_delta(version: str) -> str:
    tested = tested_versions()
    wanted = next((row for row in tested if row.minor == minor_of(version)), tested[0])
    return (
        f"This Spark {version} has no jar of Delta; submit with `--packages {wanted.delta_jar}`, "
        f"which was tested with Spark {wanted.minor}."
    )


def forgets_tables(spark: SparkSession) -> bool:
    """Whether tables and views that are made by name now are unknown to the next session."""
    is_sparks_own = spark.catalog.currentCatalog() == "spark_catalog"
    return is_sparks_own and spark.conf.get("spark.sql.catalogImplementation") == "in-memory"


def running_tasks(spark: SparkSession) -> tuple[int, int]:
    """How many tasks of the stages that run now are done, and how many they have; none where a server knows."""
    if not is_driver(spark):
        return 0, 0
    tracker = spark.sparkContext.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    known = [stage for stage in stages if stage is not None]
    return sum(stage.numCompletedTasks for stage in known), sum(stage.numTasks for stage in known)


def _submitted() -> dict[str, str]:
    """What spark-submit was told; it has started the JVM already."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()
    told = _core_site() | dict(SparkConf().getAll())
    if told.get("spark.app.name") == Path(sys.argv[0]).name:  # nobody's choice: its stand-in for a --name
        del told["spark.app.name"]
    return told


def _core_site() -> dict[str, str]:
    """What the administrator's core-site.xml says of S3; EMR's says what s3:// is."""
    assert SparkContext._jvm is not None
    hadoop = SparkContext._jvm.org.apache.hadoop.conf.Configuration()
    return {
        f"spark.hadoop.fs.s3{name}": value
        for name, value in dict(hadoop.getPropsWithPrefix("fs.s3")).items()
        if "core-default.xml" not in list(hadoop.getPropertySources(f"fs.s3{name}"))
    }


def _with_delta(extensions: str) -> str:
    """Add Delta's to the *extensions* of others: without it, its tables can be written but not read."""
    others = [name for name in extensions.split(",") if name]
    return ",".join(dict.fromkeys([*others, "io.delta.sql.DeltaSparkSessionExtension"]))


def _defaults(settings: SparkSettings, given: dict[str, str]) -> dict[str, str]:
    """What a session of ours has unless the user said otherwise."""
    chosen = {
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.redaction.regex": SECRET,  # in Spark's pages and event logs
        # A retried reader of the same bytes is fine, a guessed-at corrupt file never.
        "spark.sql.files.ignoreCorruptFiles": "false",
        "spark.sql.files.ignoreMissingFiles": "false",
        "spark.ui.showConsoleProgress": "false",
        # To note the line of Python behind each Column costs more than to make it, and a fold has thousands.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Delta reads a table's log in 50 tasks. Ours have some thousand files, and each task has its fixed cost.
        "spark.databricks.delta.snapshotPartitions": "8",
        # What is kept between two steps of a run is in as many parts as it is big, not as many as a shuffle may have.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
        # Of the driver, from its first lines on. The executors, whose logs nobody sees by chance, keep theirs.
        "spark.log.level": "INFO" if settings.verbose else "ERROR",
        **_s3(given),
    }
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return chosen
    if given.get("spark.master", "local").startswith("local"):
        chosen |= _laptop()
        if settings.class_archives:
            chosen["spark.driver.defaultJavaOptions"] = class_archive.java_options(
                settings.class_archives, java=find_java(), spark_home=_find_spark_home()
            )
    if not settings.verbose:
        quiet = resources.files("parsely_spark").joinpath("data/log4j2.properties")
        chosen["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile={Path(str(quiet)).as_uri()}"
    return chosen | _jars(given)


def _s3(given: dict[str, str]) -> dict[str, str]:
    """S3A with the credentials that every AWS tool finds, and keys of a bucket where the settings give them."""
    keys_else_usual_chain = (
        "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        _BY_KEYS,
        "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
    )
    chosen = {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.aws.credentials.provider": ",".join(keys_else_usual_chain),
        # S3A repeats what the SDK has repeated: by their defaults, 48 tries at a server that is not there, for 2 to 4
        # minutes. These make 16, in about 8 s. Throttling is repeated for longer; it has settings of its own.
        "spark.hadoop.fs.s3a.attempts.maximum": "3",
        "spark.hadoop.fs.s3a.retry.limit": "3",
        # The least that S3A takes. A firewall that drops packets costs as much at each try.
        "spark.hadoop.fs.s3a.connection.establish.timeout": "15s",
        **_keys_of_a_bucket(given),
    }
    chosen |= _endpoint(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
    return chosen | _region()


def _endpoint(url: str | None) -> dict[str, str]:
    """A server other than AWS, which mostly has no address for each bucket."""
    if not url:
        return {}
    return {
        _ENDPOINT: url,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(url.startswith("https")).lower(),
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",  # S3A wants one, such servers mostly ignore it
        **_region(),
    }


_ENDPOINT = "spark.hadoop.fs.s3a.endpoint"


def _region() -> dict[str, str]:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {"spark.hadoop.fs.s3a.endpoint.region": region} if region else {}


_BY_KEYS = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"


def _keys_of_a_bucket(given: dict[str, str]) -> dict[str, str]:
    """Keep a session token out of the requests to a bucket that has lasting keys of its own.

    Spark copies AWS_SESSION_TOKEN into S3A's settings for all buckets. Beside the keys that Parse.ly hands out, it
    would make each request one with an invalid token.
    """
    chosen = {}
    for key in given:
        bucket = re.fullmatch(r"(spark\.hadoop\.fs\.s3a\.bucket\..+)\.access\.key", key)
        if bucket and f"{bucket[1]}.session.token" not in given:
            chosen[f"{bucket[1]}.aws.credentials.provider"] = _BY_KEYS
    return chosen


def _laptop() -> dict[str, str]:
    """One process that uses this machine: no pages, few partitions, a heap that wide rows fit into."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count() or 1
    return {
        "spark.master": "local[*]",
        "spark.driver.memory": f"{max(1, min(4, int(memory_gib // 3)))}g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(8 * cores),
        "spark.databricks.delta.snapshotPartitions": "2",
    }


def _jars(given: dict[str, str]) -> dict[str, str]:
    """Delta's jars by coordinates, unless Spark has them on its class path already."""
    if any(Path(_find_spark_home(), "jars").glob("delta-spark*.jar")) or any(key in given for key in _JAR_SETTINGS):
        return {}
    return {"spark.jars.packages": delta_jar_of(metadata.version("pyspark"), metadata.version("delta-spark"))}


_JAR_SETTINGS = ("spark.jars", "spark.jars.packages", "spark.driver.extraClassPath")
