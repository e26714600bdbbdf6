"""What goes wrong between Spark and a storage, in one sentence with the way out.

Spark hands on what Hadoop and the AWS SDK threw: a page of Java with the reason somewhere inside. Of that page only
what is recognized is told, in words of our own, so that no key, token or event gets on show.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from pyspark.errors import AnalysisException

from parsely_spark.errors import BrokenFileError, FileError, LakeError, SourceError, VanishedFileError
from parsely_spark.jvm import FAILURES
from parsely_spark.places import is_within, literally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import SparkSession


class _Meaning(NamedTuple):
    """How a failure is recognized and what is said of it.

    Attributes:
        pattern: found in what was thrown.
        found: what it means.
        way_out: what whoever reads raw events can do.
        lake_way_out: what whoever writes the lake can do, where that differs.
        detail: a pattern whose group is told behind *found*.
        of_file: what it means for the one object of raw events that was being read.
        is_of_action: whether a right to do one thing is missing, which AWS itself may name or not.
    """

    pattern: str
    found: str
    way_out: str
    lake_way_out: str = ""
    detail: str = ""
    of_file: type[FileError] = FileError
    is_of_action: bool = False


_WHOLE_COPY = "put a whole copy in its place or take it away, and run again"
_REBUILD = "restore it from the bucket's versions, or run `parsely-spark rebuild` if its table is a derived one"

# The first that fits is taken, so the exact ones come first.
_MEANINGS = (
    _Meaning(
        r"UnknownStoreException|NoSuchBucket",
        "its bucket does not exist",
        "check the name; Parse.ly's are called parsely-dw-<site>, with dashes for the dots of the site",
        "create the bucket or check its name",
    ),
    _Meaning(
        r"Relative path in absolute URI|Illegal character in",
        "a colon or a backslash is in a name, which Hadoop does not take",
        "rename it, or read and write somewhere else",
    ),
    _Meaning(
        r"bucket is null|InvalidBucketName|URISyntaxException",
        "its bucket has a name that S3 does not take",
        "write small letters, digits, dots and dashes",
    ),
    _Meaning(
        r"To use Sso|'sso\w*' service module",
        "the AWS profile signs in by SSO, for which this Spark has no module",
        'hand its keys over with eval "$(aws configure export-credentials --format env)" and run again',
    ),
    _Meaning(
        r"NoAuthWithAWSException|NoAwsCredentials|Unable to load credentials|CredentialInitializationException",
        "no credentials were found",
        "give them as to other AWS tools (environment, profile, role) or per bucket in the settings file",
    ),
    _Meaning(
        r"ExpiredToken|token included in the request is expired",
        "the credentials have expired",
        "renew them and run again; what was done stays done",
    ),
    _Meaning(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|security token included in the request is invalid",
        "the credentials are wrong",
        "check access key, secret and token, and which bucket they are for",
    ),
    _Meaning(
        r"AuthorizationHeaderMalformed|AWSRedirectException|Status Code: 301",
        "the bucket is in another region",
        "set AWS_REGION, or spark.hadoop.fs.s3a.bucket.<name>.endpoint.region in the settings file, to the bucket's",
        detail=r"(?:response to region \[|region '[\w-]*' is wrong; expecting ')([a-z0-9-]+)",
    ),
    _Meaning(
        r"InvalidObjectState",
        "it is in an archive such as Glacier",
        "restore it or take it away, and run again",
    ),
    _Meaning(r"RequestTimeTooSkewed", "the clock of this machine is wrong", "set it and run again"),
    _Meaning(
        r"AccessDenied|AccessControlException|Status Code: 403",
        "access is denied",
        "the credentials need s3:ListBucket on the bucket and s3:GetObject on its objects",
        "the credentials need s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on its "
        "objects",
        detail=r"not authorized to perform: ([\w:]+)",
        is_of_action=True,
    ),
    _Meaning(
        r'Unknown mandatory key [^"]*"fs\.option\.create\.conditional',
        "the S3A of this Hadoop knows no conditional writes, by which runs take turns",
        "take Spark 4.1 or newer, with Hadoop 3.4.2, or let only one run at a time write and say so with --no-turns",
    ),
    _Meaning(
        r"AWSBadRequestException|Status Code: 400",
        "the storage refuses the request and gives no reason",
        "renew the credentials and check the region, which mostly helps",
    ),
    _Meaning(
        r"UnsupportedFileSystemException|No FileSystem for scheme|Class org\.apache\.hadoop\.fs\.\S+ not found",
        "this Spark has no file system for it",
        "add hadoop-aws in the version of Spark's Hadoop, or write s3a:// for s3://",
    ),
    _Meaning(
        r"UnknownHostException|ConnectException|Connect(?:ion)?Timeout|Connect to \S+ .*failed|NoRouteToHost"
        r"|ApiCallTimeout|SocketTimeout|NoHttpResponse",
        "the server cannot be reached",
        "check the endpoint and the network",
    ),
    _Meaning(
        r"SSLHandshakeException|SSLPeerUnverifiedException|SSLException|PKIX path",
        "no safe connection to the server comes about",
        "check whether its address begins with http:// or https://, and the certificates that Java trusts",
    ),
    _Meaning(r"SlowDown|ThrottledException", "the storage wants fewer requests at a time", "run again later"),
    _Meaning(
        r"Permission denied|[Mm]kdirs? (?:of \S+ )?failed|Not a directory|DELTA_CANNOT_CREATE_LOG_PATH",
        "it cannot be opened or written",
        "check the folder and its permissions",
    ),
    _Meaning(r"No space left on device", "a disk is full", "make room or set spark.local.dir to a larger one"),
    _Meaning(
        r"EOFException",
        "it ends too early, like a file that was cut off",
        _WHOLE_COPY,
        _REBUILD,
        of_file=BrokenFileError,
    ),
    _Meaning(
        r"not a gzip file", "it is no gzip file, or has something behind its end", _WHOLE_COPY, of_file=BrokenFileError
    ),
    _Meaning(
        r"gzip stream CRC|stored gzip size|Exception: incorrect data check"
        r"|Exception: invalid (?:distance|block|code|stored|bit|literal)",
        "its gzip data is broken",
        _WHOLE_COPY,
        of_file=BrokenFileError,
    ),
    _Meaning(
        r"PATH_NOT_FOUND|FILE_NOT_EXIST|FileNotFoundException",
        "it is not there any more",
        "run again, which looks anew",
        _REBUILD,
        of_file=VanishedFileError,
    ),
    _Meaning(
        r"SCHEMA_NOT_FOUND|CATALOG_NOT_FOUND",
        "there is no such schema",
        "check the name, or create it with `CREATE SCHEMA`",
    ),
    _Meaning(
        r"DELTA_METADATA_MISMATCH|DELTA_MISSING_DELTA_TABLE|DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"
        r"|DELTA_CREATE_TABLE_WITH_DIFFERENT|DELTA_CREATE_TABLE_SCHEME_MISMATCH|DELTA_TABLE_NOT_FOUND",
        "one of its tables is not of this program",
        "give the tables a folder of their own",
        detail=r"((?:[a-z0-9]+:/|/)[^\s`']+)",
    ),
    _Meaning(r"FAILED_READ_FILE", "it cannot be read", _WHOLE_COPY, _REBUILD),
    _Meaning(
        r"(?m)^(?:: |Caused by: )(?:java\.(?:io|nio|net)|org\.apache\.hadoop\.fs|software\.amazon\.awssdk)"
        r"\.[\w.]*Exception",
        "the storage failed",
        "run again; --verbose shows what Spark says about it",
        detail=r"(?m)^(?:: |Caused by: )[\w.]*?(\w+Exception)",
    ),
)
_NOTHING_THERE = "there is nothing; check the prefix, raw events lie under events/YYYY/MM/DD/HH/."

# How Spark names the file it was reading, and S3A where it was.
_FILE = re.compile(r"(?:while reading file|Path does not exist:) (.+?)\.\s")
_PLACE = re.compile(r"(s3[an]?://[^\s:'`,\]]+)")


@contextmanager
def storage_errors(
    kind: type[SourceError] | type[LakeError], uri: str, *, sources: Sequence[str] = (), action: str = ""
) -> Iterator[None]:
    """Raise what a storage throws in the block as an error of this package; all else goes on as it is.

    Args:
        kind: the error for what lies at *uri*.
        uri: the source or the lake that the block is about.
        sources: URIs that the block reads raw events from; what is wrong there is a SourceError.
        action: as AWS calls what the block does, where that is one thing; told where S3 refuses it and says not what.
    """
    try:
        yield
    except FAILURES as error:
        told = _told(kind, uri, sources, action, str(error))
        if told is None:
            raise
        raise told from error


def look_at(spark: SparkSession, uri: str) -> None:
    """Have the storage list *uri*, only to be told what is wrong with it; that nothing is there is not wrong.

    Spark itself begins with HEAD requests, and S3 answers those without a reason: wrong keys, an expired token and
    another region all look alike. A listing is answered with the reason; the pattern fits nothing, so it is a listing
    and no more.
    """
    nothing = f"{literally(uri.rstrip('/'))}/[.]parsely-spark-looks-for-nothing"
    try:
        # Twice, side by side: at a single path Spark first looks for the metadata of a stream, waits as long for a
        # server that is not there, and keeps that failure to itself.
        spark.read.format("binaryFile").load([nothing, nothing]).limit(0).collect()
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise


def _told(
    kind: type[SourceError] | type[LakeError], uri: str, sources: Sequence[str], action: str, thrown: str
) -> SourceError | LakeError | None:
    # The messages alone: the names in a stack trace fit patterns, too.
    said = "\n".join(line for line in thrown.splitlines() if not re.match(r"\s+(at |\.\.\. \d)", line))
    found = _FILE.search(said)
    file = unquote(found[1]) if found else None  # Spark encodes most signs
    place = file or next(iter(_PLACE.findall(said)), None)
    where = file or uri
    for source in sources:
        if place and is_within(place, source):
            kind, where = SourceError, file or (place if place.endswith(".gz") else source)
    if kind is SourceError and "PATH_NOT_FOUND" in said and is_within(uri, where):
        return SourceError(f"{_shown(uri)}: {_NOTHING_THERE}")
    for meaning in _MEANINGS:
        if re.search(meaning.pattern, said):
            details = re.findall(meaning.detail, said)[:1] or ([action] if meaning.is_of_action else [])
            detail = "".join(f" ({known})" for known in details if known)
            way_out = (kind is LakeError and meaning.lake_way_out) or meaning.way_out
            sentence = f"{_shown(where)}: {meaning.found}{detail}; {way_out}."
            if kind is LakeError or not file:
                return kind(sentence)
            told = meaning.of_file(sentence)
            told.path = re.sub("^file:///", "file:/", file)  # as listings have it
            return told
    return None


def _shown(uri: str) -> str:
    """*uri* without keys, which old versions of Hadoop took in front of the bucket."""
    return re.sub(r"//[^/@]*@", "//", uri)
