"""Claims about S3: where keys and endpoint come from, two owners of buckets, and what is said when it fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.errors import PySparkException
from s3_server import REFUSALS, Keys, Moto, allow, chunk, moto, point, refusing
from standalone_cluster import SHORT_LIFE

from parsely_spark import session
from parsely_spark.cli import main
from parsely_spark.errors import LakeError, SourceError
from parsely_spark.pipelines import batch
from parsely_spark.settings import SparkSettings
from parsely_spark.sources import s3
from parsely_spark.sources.lines import read_lines
from parsely_spark.sources.s3 import list_files
from parsely_spark.storage_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import SparkSession

    from parsely_spark.sources.s3 import Listing
    from parsely_spark.tables.catalog import Lake

ROOT = Path(__file__).parent.parent
HOUR = "events__2025__11__22__08"
EVENTS = 60
NOWHERE = "http://127.0.0.1:1"  # a port on which nobody may listen
SOURCE_NEEDS = "the credentials need s3:ListBucket on the bucket and s3:GetObject on its objects"
LAKE_NEEDS = SOURCE_NEEDS.replace("s3:GetObject on", "s3:GetObject, s3:PutObject and s3:DeleteObject on")
REGION = "set AWS_REGION, or spark.hadoop.fs.s3a.bucket.<name>.endpoint.region in the settings file, to the bucket's"
WRONG_KEYS = "the credentials are wrong; check access key, secret and token, and which bucket they are for"
WHOLE_COPY = "put a whole copy in its place or take it away, and run again"


class Account:
    """Buckets and users of one moto server, and what the session of the tests knows of them."""

    def __init__(self, server: Moto, spark: SparkSession) -> None:
        self.server = server
        self.spark = spark
        server.put(
            "parsely-dw-x", **{f"{HOUR}__a": chunk(range(40)), "events__2025__11__22__09__b": chunk(range(40, 60))}
        )
        server.put("lake")
        self.parsely = server.user(
            "parsely",
            allow("s3:ListBucket", "arn:aws:s3:::parsely-dw-*"),
            allow("s3:GetObject", "arn:aws:s3:::parsely-dw-*"),
        )
        self.publisher = server.role("publisher", *rights_on_a_lake("lake/tables"))
        self.analyst = server.user("analyst", allow("s3:*", "*"))
        self.reader = server.user("reader", allow("s3:ListBucket s3:GetObject", "*"))
        server.check_requests()
        known = (self.parsely, self.publisher, self.analyst, self.reader)
        self.secrets = [secret for keys in known for secret in (keys.secret_key, keys.session_token) if secret]

    def point(self, bucket: str, keys: Keys | None, *, endpoint: str | None = None) -> None:
        """Tell the session with which *keys* and where to reach *bucket*; each case has a bucket of its own."""
        point(self.spark, bucket, endpoint or self.server.url, keys)
        if keys:
            self.secrets += filter(None, (keys.secret_key, keys.session_token))

    def delete(self, bucket: str, key: str) -> None:
        self.server.client("s3").delete_object(Bucket=bucket, Key=key)


def rights_on_a_lake(place: str) -> list[dict[str, object]]:
    """What `conf/emr/policy.json` allows of a lake, for the lake at *place*: bucket and folder."""
    text = (ROOT / "conf/emr/policy.json").read_text(encoding="utf-8")
    text = text.replace("BUCKET/lake", place).replace("BUCKET", place.partition("/")[0])
    wanted = ("ListBuckets", "WriteLake", "KeepTurns")
    return [statement for statement in json.loads(text)["Statement"] if statement["Sid"] in wanted]


@pytest.fixture(scope="module")
def account(spark: SparkSession) -> Iterator[Account]:
    with moto() as server:
        yield Account(server, spark)


@pytest.fixture
def sentence(account: Account, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run ``batch`` to its failure and return the one sentence that it says."""

    def run(source: str, lake: str) -> str:
        with pytest.raises(SystemExit) as exit:
            main(["batch", "--source", source, "--lake", lake, "--tables", "sessions"])
        return only_sentence(exit.value.code, capsys.readouterr().err, account)

    return run


def only_sentence(code: object, said: str, account: Account) -> str:
    """What was *said* on standard error, apart from the lines on steps that were done."""
    lines = [line for line in said.splitlines() if not re.match(r"\d\d:\d\d:\d\dZ ", line)]
    assert code == 1, said
    assert len(lines) == 1, said
    assert not any(secret in said for secret in account.secrets)
    assert lines[0].endswith(".")
    return lines[0].removeprefix("parsely-spark batch: ")


# --- where keys and endpoint come from --------------------------------------------------------------------------


def program(
    tmp: Path, *flags: str, settings: dict[str, str] | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Start ``batch`` in a process of its own, which knows of AWS only what *environment* says."""
    table = {"spark.sql.shuffle.partitions": "2", "spark.databricks.delta.snapshotPartitions": "1"} | (settings or {})
    config = tmp / "parsely.toml"
    config.write_text("[spark]\n" + "".join(f'"{key}" = "{value}"\n' for key, value in table.items()))
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PARSELY_SPARK_"))}
    ours |= {"HOME": str(tmp), "AWS_EC2_METADATA_DISABLED": "true", **environment}
    ours["SPARK_SUBMIT_OPTS"] = SHORT_LIFE
    command = [sys.executable, "-m", "parsely_spark", "batch", "--config", str(config), "--tables", "sessions", *flags]
    return subprocess.Popen(command, env=ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def first_run(account: Account, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The summary of a run that reads with Parse.ly's keys and writes with a role of the publisher's environment."""
    bucket = "spark.hadoop.fs.s3a.bucket.parsely-dw-x"
    keys = {f"{bucket}.access.key": "${env:PARSELY_KEY}", f"{bucket}.secret.key": "${env:PARSELY_SECRET}"}
    run = program(
        tmp_path_factory.mktemp("first"),
        *("--source", "s3a://parsely-dw-x/events", "--lake", "s3a://lake/tables", "--json"),
        *("--s3-endpoint-url", account.server.url),
        settings=keys,
        PARSELY_KEY=account.parsely.access_key,
        PARSELY_SECRET=account.parsely.secret_key,
        AWS_ACCESS_KEY_ID=account.publisher.access_key,
        AWS_SECRET_ACCESS_KEY=account.publisher.secret_key,
        AWS_SESSION_TOKEN=account.publisher.session_token or "",
    )
    return summary_of(run)


def summary_of(run: subprocess.Popen[str]) -> dict[str, object]:
    out, said = run.communicate(timeout=300)
    assert run.returncode == 0, said
    summary: dict[str, object] = json.loads(out)
    return summary


def test_a_bucket_is_read_with_its_own_keys_and_the_lake_written_with_a_role_that_has_the_least_rights(
    first_run: dict[str, object],
) -> None:
    assert first_run["files"] == 2
    assert first_run["lines"] == first_run["inserted"] == EVENTS


def test_a_second_run_with_a_profile_s3_uris_and_the_bucket_above_events_inserts_nothing(
    first_run: dict[str, object], account: Account, tmp_path: Path
) -> None:
    # given: the lake of the first run, and keys that only a profile of a file names
    profiles = tmp_path / "credentials"
    keys = account.analyst
    profiles.write_text(
        f"[analyst]\naws_access_key_id = {keys.access_key}\naws_secret_access_key = {keys.secret_key}\n"
    )
    # when
    run = program(
        tmp_path,
        *("--source", "s3://parsely-dw-x", "--lake", "s3://lake/tables", "--json"),
        AWS_PROFILE="analyst",
        AWS_SHARED_CREDENTIALS_FILE=str(profiles),
        AWS_ENDPOINT_URL_S3=account.server.url,
    )
    # then
    again = summary_of(run)
    assert (again["inserted"], again["duplicate"], again["files"]) == (0, EVENTS, 2)


def test_without_any_credentials_a_run_fails_in_seconds(account: Account, tmp_path: Path) -> None:
    start = time.monotonic()
    run = program(
        tmp_path,
        *("--source", "s3a://parsely-dw-x/events", "--lake", "s3a://lake/tables"),
        PARSELY_SPARK_S3_ENDPOINT_URL=account.server.url,
    )
    _, said = run.communicate(timeout=120)
    assert only_sentence(run.returncode, said, account) == (
        "s3a://parsely-dw-x/events: no credentials were found; give them as to other AWS tools "
        "(environment, profile, role) or per bucket in the settings file."
    )
    assert time.monotonic() - start < 45  # of which most is the start of Spark


@pytest.mark.parametrize("way", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_the_endpoint_is_taken_from_where_other_aws_tools_find_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(way, "http://127.0.0.1:9000")
    chosen = session._s3({})
    assert chosen["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9000"
    assert chosen["spark.hadoop.fs.s3a.path.style.access"] == "true"


def test_the_flag_of_an_endpoint_wins_alone_and_how_its_server_is_spoken_to_is_as_it_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3a = "spark.hadoop.fs.s3a"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://of.environment")
    in_file = {f"{s3a}.endpoint": "http://of.file", f"{s3a}.endpoint.region": "eu-west-3"}
    by_conf = {f"{s3a}.path.style.access": "false"}
    settings = SparkSettings(s3_endpoint_url="http://of.flag", spark=tuple(in_file.items()))
    chosen = session._chosen("x", settings, by_conf | in_file)
    assert {key: value for key, value in chosen.items() if re.search(r"s3a\.(endpoint|path|connection\.ssl)", key)} == {
        f"{s3a}.endpoint": "http://of.flag",
        f"{s3a}.endpoint.region": "eu-west-3",
        f"{s3a}.connection.ssl.enabled": "false",
    }


# --- two owners -------------------------------------------------------------------------------------------------


def test_the_keys_of_the_lake_cannot_read_the_source(account: Account, sentence: Callable[..., str]) -> None:
    account.server.put("parsely-dw-theirs", **{f"{HOUR}__a": chunk(range(3))})
    account.point("parsely-dw-theirs", account.publisher)
    said = sentence("s3a://parsely-dw-theirs/events", "s3a://lake/tables")
    assert said == f"s3a://parsely-dw-theirs/events: access is denied; {SOURCE_NEEDS}."


def test_the_keys_of_the_source_cannot_write_the_lake(account: Account, sentence: Callable[..., str]) -> None:
    account.server.put("lake-of-ours")
    account.point("parsely-dw-x", account.parsely)
    account.point("lake-of-ours", account.parsely)
    said = sentence("s3a://parsely-dw-x/events", "s3a://lake-of-ours/tables")
    assert said == f"s3a://lake-of-ours/tables: access is denied; {LAKE_NEEDS}."


# --- what is said of a source -----------------------------------------------------------------------------------

SOURCES = {
    "missing": "its bucket does not exist; check the name; Parse.ly's are called parsely-dw-<site>, with dashes for "
    "the dots of the site.",
    "wrong-key": f"{WRONG_KEYS}.",
    "wrong-secret": f"{WRONG_KEYS}.",
    "wrong-token": f"{WRONG_KEYS}.",
    "denied": f"access is denied; {SOURCE_NEEDS}.",
    "only-listed": f"access is denied; {SOURCE_NEEDS}.",
    "moved": f"the bucket is in another region (eu-west-1); {REGION}.",
    "malformed": f"the bucket is in another region (eu-west-1); {REGION}.",
    "expired": "the credentials have expired; renew them and run again; what was done stays done.",
    "empty": "there is nothing; check the prefix, raw events lie under events/YYYY/MM/DD/HH/.",
    "flat": "of its 1 objects, such as s3a://flat/events/a.gz, none is one of the *.gz below YYYY/MM/DD/HH folders; "
    "give the `events/` prefix or the bucket above it.",
    "under_score": "its bucket has a name that S3 does not take; write small letters, digits, dots and dashes.",
}


@pytest.fixture(scope="module")
def bad_sources(account: Account) -> Iterator[None]:
    """A bucket for each of SOURCES."""
    for bucket in ("wrong-key", "wrong-secret", "wrong-token", "denied", "empty", "only-listed"):
        account.server.put(bucket, elsewhere__a=b"")
    account.server.put("flat", events__a=chunk(range(3)))
    good = account.analyst
    for bucket in ("missing", "empty", "flat"):
        account.point(bucket, good)
    account.point("wrong-key", Keys("AKIAISNOBODYSKEY", good.secret_key))
    account.point("wrong-secret", Keys(good.access_key, "a-secret-but-another"))
    role = account.publisher
    account.point("wrong-token", Keys(role.access_key, role.secret_key, "a-token-but-another"))
    account.point("denied", account.parsely)
    account.point("only-listed", account.server.user("lister", allow("s3:ListBucket", "*")))
    with refusing() as url:
        for bucket in REFUSALS:
            account.point(bucket, good, endpoint=url)
        yield


@pytest.mark.usefixtures("bad_sources")
@pytest.mark.parametrize("bucket", SOURCES)
def test_what_is_wrong_with_a_source_is_said_in_one_sentence(
    bucket: str, sentence: Callable[..., str], tmp_path: Path
) -> None:
    said = sentence(f"s3a://{bucket}/events", str(tmp_path / "lake"))
    assert said == f"s3a://{bucket}/events: {SOURCES[bucket]}"
    assert not (tmp_path / "lake").exists()


def test_a_server_that_is_not_there_is_given_up_after_seconds(
    account: Account, sentence: Callable[..., str], tmp_path: Path
) -> None:
    account.point("refused", account.analyst, endpoint=NOWHERE)
    start = time.monotonic()
    said = sentence("s3a://refused/events", str(tmp_path / "lake"))
    assert said == "s3a://refused/events: the server cannot be reached; check the endpoint and the network."
    assert time.monotonic() - start < 20


# --- what is said of a lake -------------------------------------------------------------------------------------


def test_a_lake_in_a_missing_bucket_is_named(account: Account, sentence: Callable[..., str]) -> None:
    account.point("parsely-dw-x", account.parsely)
    account.point("no-lake", account.analyst)
    said = sentence("s3a://parsely-dw-x/events", "s3a://no-lake/tables")
    assert said == "s3a://no-lake/tables: its bucket does not exist; create the bucket or check its name."


def test_a_lake_that_can_be_read_but_not_written_is_named(account: Account, sentence: Callable[..., str]) -> None:
    account.server.put("locked")
    account.point("parsely-dw-x", account.parsely)
    account.point("locked", account.reader)
    said = sentence("s3a://parsely-dw-x/events", "s3a://locked/tables")
    assert said == f"s3a://locked/tables: access is denied; {LAKE_NEEDS}."


def test_a_table_that_was_locked_since_it_was_made_is_named(account: Account, spark: SparkSession) -> None:
    # given: a table, and from then on keys that may only read; the second scheme makes Spark take them
    account.server.put("shut")
    account.point("shut", account.analyst)
    spark.range(1).write.format("delta").save("s3a://shut/tables/events")
    account.point("shut", account.reader)
    with pytest.raises(LakeError) as told, storage_errors(LakeError, "s3://shut/tables"):
        spark.range(1).write.format("delta").mode("append").save("s3://shut/tables/events")
    assert str(told.value) == f"s3://shut/tables: access is denied; {LAKE_NEEDS}."


# --- files that cannot be read to their end ---------------------------------------------------------------------


def test_a_file_that_was_cut_off_is_left_out_by_its_name(
    account: Account, lake: Lake, sentence: Callable[..., str]
) -> None:
    account.server.put("cut", **{f"{HOUR}__a": chunk(range(5)), f"{HOUR}__b": chunk(range(50))[:-20]})
    account.point("cut", account.analyst)
    said = sentence("s3a://cut/events", lake.place)
    broken = f"s3a://cut/events/2025/11/22/08/b.gz: it ends too early, like a file that was cut off; {WHOLE_COPY}."
    assert said == f"1 files were left out, all else is done; the first is {broken}"
    assert lake.read("events").count() == 5


def test_a_file_that_vanishes_once_it_is_listed_is_done_without(
    account: Account, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.server.put("gone", **{f"{HOUR}__a": chunk(range(5)), f"{HOUR}__b": chunk(range(5, 9))})
    account.point("gone", account.analyst)

    def list_then_delete(spark: SparkSession, sources: Sequence[str], **hours: str | None) -> Listing:
        listing = list_files(spark, sources, **hours)
        account.delete("gone", "events/2025/11/22/08/b.gz")
        return listing

    monkeypatch.setattr(batch, "list_files", list_then_delete)
    assert main(["batch", "--source", "s3a://gone/events", "--lake", lake.place, "--tables", "sessions"]) == 0
    assert lake.read("events").count() == 5


def test_a_file_that_vanishes_before_its_turn_comes_is_named(account: Account, spark: SparkSession) -> None:
    account.server.put("vanished", **{f"{HOUR}__a": chunk(range(5)), f"{HOUR}__b": chunk(range(5, 9))})
    account.point("vanished", account.analyst)
    source = "s3a://vanished/events"
    lines = read_lines(spark, list_files(spark, [source]).files)
    account.delete("vanished", "events/2025/11/22/08/b.gz")
    with pytest.raises(SourceError) as told, storage_errors(LakeError, "s3a://lake/tables", sources=[source]):
        lines.count()
    assert str(told.value) == f"{source}/2025/11/22/08/b.gz: it is not there any more; run again, which looks anew."


def test_the_quick_listing_shows_what_spark_shows(account: Account, spark: SparkSession) -> None:
    """Spark asks for the head of each object; S3A lists a thousand at a time."""
    names = ["a.gz", "a b+c%20[d]{e}.gz", "ü, x; length=5.gz", "_hidden.gz", ".hidden.gz", "_a=b.gz", "x._COPYING_"]
    keys = [f"events/2025/11/22/08/{name}" for name in names]
    keys += ["events/_folder/2025/11/22/08/b.gz", "events/.folder/c.gz", "events/2025/11/22/09/", "other/d.gz"]
    client = account.server.client("s3")
    client.create_bucket(Bucket="names")
    for key in keys:
        client.put_object(Bucket="names", Key=key, Body=b"" if key.endswith("/") else key.encode())
    client.put_object(Bucket="names", Key="events/2025/11/22/08/empty.gz", Body=b"")
    account.point("names", account.analyst)
    shown = s3._list_any(spark, ["s3a://names/events"])
    assert sorted(s3._list_s3a(spark, "s3a://names/events")) == sorted(shown)
    assert len(shown) == 4
    # a name that looks like what Hadoop prints is left to Spark
    client.put_object(Bucket="names", Key="events/x; isDirectory=false; length=1; y.gz", Body=b"x")
    assert sorted(s3._list_s3a(spark, "s3a://names/events")) == sorted(s3._list_any(spark, ["s3a://names/events"]))


def test_a_file_that_may_not_be_read_is_named(account: Account, sentence: Callable[..., str], tmp_path: Path) -> None:
    account.server.put("partly", **{f"{HOUR}__a": chunk(range(5)), f"{HOUR}__b": chunk(range(5, 9))})
    deny: dict[str, object] = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::partly/*b.gz"}
    account.point("partly", account.server.user("partly", allow("s3:ListBucket s3:GetObject", "*"), deny))
    said = sentence("s3a://partly/events", str(tmp_path / "lake"))
    assert said == f"s3a://partly/events/2025/11/22/08/b.gz: access is denied; {SOURCE_NEEDS}."


# --- what was thrown, and what is said --------------------------------------------------------------------------

READING = (
    "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file s3a://raw/a.gz.  SQLSTATE: KD001\nCaused by: "
)
IN_LAKE = READING.replace("s3a://raw/a.gz", "s3a://lake/tables/events/a.parquet")
S3 = "(Service: S3, Status Code: {}, Request ID: x) (SDK Attempt Count: 1):"
NO_GZIP = "s3a://raw/a.gz: it is no gzip file, or has something behind its end"
BROKEN = f"s3a://raw/a.gz: its gzip data is broken; {WHOLE_COPY}."
AS_IT_IS = None

THROWN = {
    f"{READING}java.io.IOException: not a gzip file": f"{NO_GZIP}; {WHOLE_COPY}.",
    f"{READING}java.io.IOException: gzip stream CRC failure": BROKEN,
    f"{READING}java.io.IOException: stored gzip size doesn't match decompressed size": BROKEN,
    f"{READING}java.io.IOException: invalid distance too far back": BROKEN,
    f"{READING}java.io.IOException: of a kind not known": f"s3a://raw/a.gz: it cannot be read; {WHOLE_COPY}.",
    f"{READING}java.nio.file.AccessDeniedException: the operation is not valid {S3.format(403)}InvalidObjectState": (
        "s3a://raw/a.gz: it is in an archive such as Glacier; restore it or take it away, and run again."
    ),
    f"{IN_LAKE}java.io.FileNotFoundException: No such file": (
        "s3a://lake/tables/events/a.parquet: it is not there any more; restore it from the bucket's versions, or run "
        "`parsely-spark rebuild` if its table is a derived one."
    ),
    "AccessDeniedException: s3a://raw/events: User: arn:aws:iam::1:user/x is not authorized to perform: s3:ListBucket "
    f"on resource: y {S3.format(403)}AccessDenied": f"s3a://raw: access is denied (s3:ListBucket); {SOURCE_NEEDS}.",
    "AccessDeniedException: s3a://lake/tables/_delta_log: PUT on a {S3.format(403)}AccessDenied": (
        f"s3a://lake/tables: access is denied; {LAKE_NEEDS}."
    ),
    f"AWSBadRequestException: getFileStatus on s3a://raw/events: S3Exception: BAD REQUEST {S3.format(400)}null": (
        "s3a://raw: the storage refuses the request and gives no reason; renew the credentials and check the region, "
        "which mostly helps."
    ),
    'Unknown mandatory key  for s3a://lake/tables/_leases/x.json "fs.option.create.conditional.overwrite"': (
        "s3a://lake/tables: the S3A of this Hadoop knows no conditional writes, by which runs take turns; take Spark "
        "4.1 or newer, with Hadoop 3.4.2, or let only one run at a time write and say so with --no-turns."
    ),
    ": java.io.IOException: secret=hunter2\n\tat org.apache.hadoop.net.ConnectTimeoutException.frame(X.java:1)": (
        "s3a://lake/tables: the storage failed (IOException); run again; --verbose shows what Spark says about it."
    ),
    "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `x` cannot be resolved. SQLSTATE: 42703": AS_IT_IS,
    "java.lang.NullPointerException\n\tat org.apache.hadoop.fs.s3a.AccessDenied.frame(X.java:1)": AS_IT_IS,
}


@pytest.mark.parametrize(("thrown", "said"), THROWN.items())
def test_what_spark_connect_throws_is_recognized_by_its_text_and_all_else_goes_on_as_it_is(
    thrown: str, said: str | None
) -> None:
    kind = PySparkException if said is AS_IT_IS else SourceError if "s3a://raw" in said else LakeError
    with pytest.raises(kind) as told, storage_errors(LakeError, "s3a://lake/tables", sources=["s3a://raw"]):
        raise PySparkException(thrown)
    assert str(told.value) == (thrown if said is AS_IT_IS else said)
