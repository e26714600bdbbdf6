"""What needs the JVM beside this process; a client of Spark Connect has none.

Beside `session.py`, the only module that calls it.
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.errors import PySparkException

from parsely_spark.errors import SettingsError

try:
    from py4j import protocol  # type: ignore[import-untyped]  # it has no types
except ImportError:  # a client of Spark Connect gets all that goes wrong as PySparkException
    protocol = None

# What the JVM throws and PySpark does not translate; without a JVM, nothing.
THROWN: tuple[type[Exception], ...] = (protocol.Py4JJavaError,) if protocol else ()
# All that Spark fails with.
FAILURES: tuple[type[Exception], ...] = (PySparkException, *THROWN)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

# Of a PUT whose condition did not hold, or which met another: S3A's words for 412 and 409.
_REFUSED = ("RemoteFileChanged", "FileAlreadyExists", "Status Code: 412", "Status Code: 409")


_STATUS = re.compile(
    r"S3ALocatedFileStatus\{path=((?:(?!; isDirectory=).)*); isDirectory=false; length=(\d+); replication=\d+; "
    r"blocksize=\d+; modification_time=(\d+); ",
    re.DOTALL,
)


_LETTERS = 2  # of what the SDK calls a way to keys


class Version(NamedTuple):
    """An object as it is at a moment."""

    etag: str
    size_bytes: int


class Jar(NamedTuple):
    """A jar: the name of its file, and its version, if it tells one."""

    name: str
    version: str | None


def is_driver(spark: SparkSession) -> bool:
    """Whether Spark's driver is this machine's: what a client of Connect may set, the server decides."""
    return _jvm(spark) is not None


@contextmanager
def printing_caught(spark: SparkSession) -> Iterator[Callable[[], str]]:
    """Catch what a statement in the block prints, which would get between the lines of whoever reads our output.

    The block is given a function that returns it: all that Delta tells of a VACUUM is printed. Without a JVM, nothing
    is.
    """
    if _jvm(spark) is None:
        yield lambda: ""
        return
    caught = _jvm(spark).java.io.ByteArrayOutputStream()
    console = getattr(getattr(_jvm(spark).scala, "Console$"), "MODULE$")  # Scala's println, of this thread
    before = console.out()
    console.setOutDirect(_jvm(spark).java.io.PrintStream(caught, True))
    try:
        yield lambda: str(caught.toString())
    finally:
        console.setOutDirect(before)


def require_driver(spark: SparkSession, command: str) -> None:
    """Raise a SettingsError unless Spark's driver is this machine's, which *command* needs."""
    if not is_driver(spark):
        raise SettingsError(
            f"The session is one of Spark Connect, but `{command}` has to run where Spark's driver runs; submit it to "
            "a cluster (on Databricks, a job cluster)."
        )


def local_cores(spark: SparkSession) -> int | None:
    """On how many cores Spark works where it is one process; None on a cluster, which may grow."""
    if _jvm(spark) is None or not re.fullmatch(r"local(\[[^]]*\])?", spark.sparkContext.master or ""):
        return None
    return spark.sparkContext.defaultParallelism


def count_bytes(spark: SparkSession, path: str) -> int | None:
    """How many bytes the compressed file at *path* holds, read to its end; None without a JVM."""
    if _jvm(spark) is None:
        return None
    where, files, conf = _open(spark, path)
    codec = _jvm(spark).org.apache.hadoop.io.compress.CompressionCodecFactory(conf).getCodec(where)
    with closing(codec.createInputStream(files.open(where))) as stream:
        nowhere = _jvm(spark).org.apache.commons.io.output.NullOutputStream.INSTANCE
        return int(_jvm(spark).org.apache.commons.io.IOUtils.copyLarge(stream, nowhere))


def is_s3a(spark: SparkSession, uri: str) -> bool:
    """Whether Hadoop's S3A serves *uri*; another file system has its own way to keep two writers apart, or none."""
    if _jvm(spark) is None:
        return False
    _, files, _ = _open(spark, uri)
    return str(files.getClass().getName()).startswith("org.apache.hadoop.fs.s3a.")


def look_at_object(spark: SparkSession, uri: str) -> Version | None:
    """The object at *uri* as it is; None where there is none."""
    where, files, _ = _open(spark, uri)
    try:
        status = files.getFileStatus(where)
    except THROWN as error:
        if "FileNotFound" in str(error):
            return None
        raise
    return Version(str(status.getETag()), int(status.getLen()))


def list_objects(spark: SparkSession, uri: str) -> list[tuple[str, int, int]] | None:
    """Path, bytes and epoch ms of the last change of every object of S3A's below *uri*, a request per thousand.

    Returns:
        None where it cannot be told: there is nothing, or a name looks like a part of what Hadoop prints.
    """
    where, files, _ = _open(spark, uri)
    try:
        # Each object asked for by itself would be five calls to the JVM, a hundred thousand of them a minute.
        found = _jvm(spark).org.apache.hadoop.util.functional.RemoteIterators.toList(files.listFiles(where, True))
    except THROWN as error:
        if "FileNotFound" in str(error):
            return None
        raise
    objects = _STATUS.findall(str(found.toString()))
    if len(objects) != found.size():
        return None
    return [(path, int(size), int(modified)) for path, size, modified in objects]


def list_folders(spark: SparkSession, uri: str) -> list[str]:
    """The names of the folders in the folder *uri*; none without a JVM, or where there is nothing."""
    if _jvm(spark) is None:
        return []
    where, files, _ = _open(spark, uri)
    try:
        found = files.listStatus(where)
    except THROWN as error:
        if "FileNotFound" in str(error):
            return []
        raise
    return [str(status.getPath().getName()) for status in found if status.isDirectory()]


def read_object(spark: SparkSession, uri: str) -> str:
    """What the object at *uri* holds; nothing where there is none, or where it changes meanwhile."""
    where, files, _ = _open(spark, uri)
    try:
        with closing(files.open(where)) as stream:
            utf8 = _jvm(spark).java.nio.charset.StandardCharsets.UTF_8
            return str(_jvm(spark).org.apache.commons.io.IOUtils.toString(stream, utf8))
    except THROWN as error:
        if any(word in str(error) for word in ("FileNotFound", *_REFUSED)):
            return ""
        raise


def write_object(spark: SparkSession, uri: str, text: str, *, instead_of: str | None) -> bool:
    """Write an object of S3A's in one conditional request.

    Args:
        spark: the session.
        uri: of the object.
        text: what it is to hold; unlike anything that it has held.
        instead_of: the tag of the version that this replaces; None where there must be no object.

    Returns:
        Whether it holds *text* now; False where somebody else was quicker.
    """
    where, files, _ = _open(spark, uri)
    builder = files.createFile(where).recursive()
    if instead_of is None:
        builder = builder.must("fs.option.create.conditional.overwrite", True)
    else:
        builder = builder.must("fs.option.create.conditional.overwrite.etag", instead_of)
    try:
        stream = builder.build()
        stream.write(text.encode())
        stream.close()
    except THROWN as error:
        is_gone = instead_of is not None and "FileNotFound" in str(error)
        if not is_gone and not any(word in str(error) for word in _REFUSED):
            raise
        # When the answer to a request is lost, its repetition meets what the first has written.
        return read_object(spark, uri) == text
    return True


def write_file(spark: SparkSession, uri: str, text: str) -> None:
    """Write a file on any file system, over what is there; so S3A need not ask first whether anything is."""
    where, files, _ = _open(spark, uri)
    with closing(files.create(where, True)) as stream:
        stream.write(text.encode())


def delete(spark: SparkSession, uri: str) -> None:
    """Delete the file or the folder at *uri*, with all that is in it."""
    where, files, _ = _open(spark, uri)
    files.delete(where, True)


def who_gave_keys(spark: SparkSession, uri: str) -> str:
    """The provider that S3A takes its keys for *uri* from, by name; the keys themselves stay in the JVM."""
    _, files, conf = _open(spark, uri)
    providers = files.getS3AInternals().shareCredentials("parsely-spark")
    try:
        source = str(providers.resolveCredentials().providerName().orElse(""))
        provider = str(providers.toString()).rpartition("last provider: ")[2]
    finally:
        providers.close()
    if conf.get(f"fs.s3a.bucket.{uri.split('/')[2]}.access.key"):
        way = "keys of the bucket's own"
    elif spark.sparkContext.getConf().contains("spark.hadoop.fs.s3a.access.key"):
        way = "keys of the settings"
    elif conf.get("fs.s3a.access.key"):
        way = "AWS_ACCESS_KEY_ID"  # which Spark hands on to S3A
    else:
        way = _name_of_way(spark, source)
    # Up to the first sign that is not of a name: what follows are the provider's settings, and of some its keys.
    name = re.split(r"\W", provider)[0]
    return f"{name} ({way})" if way else name


def _name_of_way(spark: SparkSession, short: str) -> str:
    """What AWS's SDK calls a way to keys that it tells by letters, such as n for a profile; before 2.30, by a name."""
    if not short or len(short) > _LETTERS:
        return short
    ways = _jvm(spark).software.amazon.awssdk.core.useragent.BusinessMetricFeatureId.values()
    known = {str(way.value()): str(way.name()) for way in ways}
    return known.get(short, short).removeprefix("CREDENTIALS_").replace("_", " ").lower()


def s3_address(spark: SparkSession, uri: str) -> str:
    """The URL of the server of S3 that S3A asks about *uri*."""
    _, files, _ = _open(spark, uri)
    conf = files.getConf()  # with what is said of the bucket alone
    endpoint, region = (conf.getTrimmed(f"fs.s3a.{name}", "") for name in ("endpoint", "endpoint.region"))
    if not endpoint:
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        endpoint = f"s3.{region}.{domain}" if region else f"s3.{domain}"
    is_safe = conf.getBoolean("fs.s3a.connection.ssl.enabled", True)
    return endpoint if "://" in endpoint else f"http{'s' * is_safe}://{endpoint}"


def java_version(spark: SparkSession) -> str | None:
    """The version of the Java that Spark's driver runs on; None without a JVM."""
    return _jvm(spark) and str(_jvm(spark).java.lang.System.getProperty("java.version"))


def hadoop_version(spark: SparkSession) -> str:
    """The version of the Hadoop client in Spark."""
    return str(_jvm(spark).org.apache.hadoop.util.VersionInfo.getVersion())


def jar_of(spark: SparkSession, name: str) -> Jar | None:
    """The jar from which the class *name* comes; None where there is none."""
    loader = _jvm(spark).java.lang.Thread.currentThread().getContextClassLoader()
    try:
        found = loader.loadClass(name)
    except THROWN as error:
        if "ClassNotFound" in str(error):
            return None
        raise
    file = str(found.getProtectionDomain().getCodeSource().getLocation().getPath()).rpartition("/")[2]
    in_name = re.search(r"-(\d[^/]*)\.jar$", file)
    return Jar(file, found.getPackage().getImplementationVersion() or (in_name and in_name[1]))


def _open(spark: SparkSession, uri: str) -> tuple[Any, Any, Any]:
    """The path, its file system and the settings, as Hadoop has them."""
    conf = spark._jsparkSession.sessionState().newHadoopConf()
    where = _jvm(spark).org.apache.hadoop.fs.Path(uri)
    return where, where.getFileSystem(conf), conf


def _jvm(spark: SparkSession) -> Any:
    return getattr(spark, "_jvm", None)
