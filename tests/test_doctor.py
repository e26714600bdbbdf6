"""What `doctor` says of a machine on which all is well, and of each thing that is not."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_kinesis import fake_kinesis
from s3_server import Keys, Moto, allow, chunk, event_line, moto, point, telling_time, without_conditions
from standalone_cluster import SHORT_LIFE

from parsely_spark.cli import main
from parsely_spark.doctor import lakes, machine, sources
from parsely_spark.doctor.clock import look_at_clock
from parsely_spark.doctor.examination import examine
from parsely_spark.doctor.finding import Finding, look
from parsely_spark.doctor.lakes import look_at_catalog, look_at_folder
from parsely_spark.doctor.machine import look_at_java, look_at_local_checkpoint, look_at_local_lake
from parsely_spark.doctor.pair import Releases, judge
from parsely_spark.doctor.sources import look_at_keys, look_at_source
from parsely_spark.doctor.streams import look_at_stream, look_at_stream_keys
from parsely_spark.errors import LakeError
from parsely_spark.jvm import FAILURES, _name_of_way, s3_address
from parsely_spark.kinesis_settings import KinesisSettings
from parsely_spark.settings import DoctorSettings
from parsely_spark.versions import tested_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fake_kinesis import FakeKinesis
    from pyspark.sql import SparkSession

HOUR = "events__2025__11__22__08"
SOURCE_NEEDS = "the credentials need s3:ListBucket on the bucket and s3:GetObject on its objects."
LAKE_NEEDS = SOURCE_NEEDS.replace("s3:GetObject on", "s3:GetObject, s3:PutObject and s3:DeleteObject on")
WRONG_KEYS = "the credentials are wrong; check access key, secret and token, and which bucket they are for."
RIGHTS = ("s3:ListBucket", "s3:PutObject", "s3:GetObject", "s3:DeleteObject")
WANTED_JAVA = (
    "wanted is Java 17, which the tests run on, or 21: on Debian or Ubuntu `apt-get install openjdk-17-jre-headless`."
)
DOCTOR = [sys.executable, "-m", "parsely_spark", "doctor"]


def lines_of(findings: Iterable[Finding]) -> list[str]:
    """As they are printed, without the name that only this run's object has."""
    return [re.sub(r"_doctor/\w{32}", "_doctor/ID", str(finding)) for finding in findings]


def line(state: str, check: str, said: str) -> str:
    return f"{state:<13}  {check:<17}  {said}"


def test_a_line_begins_with_how_the_check_went() -> None:
    assert str(Finding("java", "ok", "Java 17")) == "ok             java               Java 17"
    longest = Finding("checkpoint delete", "not asked for", "no --checkpoint given")
    assert str(longest) == "not asked for  checkpoint delete  no --checkpoint given"


# --- all of it, in a process of its own -------------------------------------------------------------------------

ALL_IS_WELL = r"""
ok             python             Python 3\.\d+\.\d+, pyspark 4\.\S+, delta-spark 4\.\S+
ok             python kinesis     boto3 \S+, pyarrow \S+
ok             java               Java (17|21)\.\S+, \S+/java
ok             spark              Spark 4\.\S+ on local\[2\], there in \d+\.\d s
ok             pair               Spark 4\.\S+, Delta 4\.\S+, Hadoop 3\.\S+, which were tested together
ok             delta              a table was written and read in file:/\S+
ok             credentials        s3a://parsely-dw-x: SimpleAWSCredentialsProvider \(keys of the bucket's own\)
ok             credentials        s3a://lake: TemporaryAWSCredentialsProvider \(AWS_ACCESS_KEY_ID\)
ok             credentials        stream s: env, says boto3
ok             clock              [012] s (ahead of|behind) http://127\.0\.0\.1:\d+
ok             clock              [012] s (ahead of|behind) http://127\.0\.0\.1:\d+
ok             source list        s3a://parsely-dw-x/events/2025/11/22, the newest day, has 3 objects in 2 hours
ok             source read        s3a://parsely-dw-x/events/2025/11/22/09/b\.gz: 2 of its first 2 lines are events
ok             lake list          s3a://lake/tables can be listed
ok             lake write         s3a://lake/tables/_doctor/\w{32}\.json was written
ok             lake read          it was read as it was written
ok             lake condition     a second writer is refused \(If-None-Match, If-Match\), so that runs can take turns
ok             lake delete        it was deleted
ok             checkpoint list    s3a://lake/checkpoints/s can be listed
ok             checkpoint write   s3a://lake/checkpoints/s/_doctor/\w{32}\.json was written
ok             checkpoint read    it was read as it was written
ok             checkpoint delete  it was deleted
ok             stream summary     s keeps records for 24 h
ok             stream shards      2 with records, 2 of them open
ok             stream iterator    one for the oldest record of shardId-000000000000
ok             stream records     the first one came
"""


def test_where_all_is_well_each_check_is_a_line_and_no_key_is_shown_even_with_spark_s_own_log(tmp_path: Path) -> None:
    with moto() as server, fake_kinesis() as kinesis:
        objects = {f"{HOUR}__a": chunk(range(9)), f"{HOUR}__c": chunk(range(9, 11))}
        server.put("parsely-dw-x", **objects, **{f"{HOUR.replace('08', '09')}__b": chunk(range(11, 13))})
        server.put("lake")
        kinesis.create("s", shards=2)
        kinesis.walk_ms = 10**9  # the first page already has a record
        for number in range(20):
            kinesis.put("s", b"%d" % number)
        parsely = server.user("parsely", *(allow(right, "arn:aws:s3:::parsely-dw-*") for right in RIGHTS[::2]))
        role = server.role("publisher", *(allow(right, "arn:aws:s3:::lake*") for right in RIGHTS))
        server.check_requests()
        run = doctor(tmp_path, server.url, kinesis.url, parsely, role)
        left = keys_in(server, "lake")
    told = run.stdout.splitlines()
    assert run.returncode == 0, run.stdout
    wanted = ALL_IS_WELL.strip().splitlines()
    assert [said for said, pattern in zip(told, wanted, strict=True) if not re.fullmatch(pattern, said)] == []
    assert left == ["checkpoints/s/_doctor/", "tables/_doctor/"]  # the folders, to S3A
    assert "INFO" in run.stderr  # Spark's log, in which the keys could be
    keys = (parsely.access_key, parsely.secret_key, role.access_key, role.secret_key, role.session_token or "")
    shown = run.stdout + run.stderr
    assert [part for key in keys for part in parts(key, server) if part in shown] == []


def keys_in(server: Moto, bucket: str) -> list[str]:
    """The names of its objects."""
    return [found["Key"] for found in server.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]


def parts(key: str, server: Moto) -> list[str]:
    """Each part of a *key* that would be enough to know it again; moto begins all of a kind alike."""
    assert server.owner is not None
    own = {key[at : at + 8] for at in range(len(key) - 7)}
    assert len(own) > 8
    return [part for part in own if part not in server.owner.access_key]


def doctor(tmp: Path, s3_url: str, kinesis_url: str, parsely: Keys, role: Keys) -> subprocess.CompletedProcess[str]:
    """Run the command where the lake's keys are in the environment, and Parse.ly's in the settings file."""
    bucket = "spark.hadoop.fs.s3a.bucket.parsely-dw-x"
    (tmp / "parsely.toml").write_text(
        'lake = "s3a://lake/tables"\n[batch]\nsource = "s3a://parsely-dw-x/events"\n'
        '[stream]\nstream = "s"\nregion = "us-east-1"\ncheckpoint = "s3a://lake/checkpoints/s"\n'
        f'[spark]\n"spark.master" = "local[2]"\n"{bucket}.access.key" = "${{env:PARSELY_KEY}}"\n'
        f'"{bucket}.secret.key" = "${{env:PARSELY_SECRET}}"\n'
    )
    environment = {
        **os.environ,
        "SPARK_SUBMIT_OPTS": SHORT_LIFE,
        "PARSELY_KEY": parsely.access_key,
        "PARSELY_SECRET": parsely.secret_key,
        "AWS_ACCESS_KEY_ID": role.access_key,
        "AWS_SECRET_ACCESS_KEY": role.secret_key,
        "AWS_SESSION_TOKEN": role.session_token or "",
        "AWS_ENDPOINT_URL_S3": s3_url,
    }
    flags = ["--config", str(tmp / "parsely.toml"), "--endpoint-url", kinesis_url, "--verbose"]
    return subprocess.run([*DOCTOR, *flags], env=environment, capture_output=True, text=True, timeout=300)


# --- what is not given, and what is printed ---------------------------------------------------------------------


def test_what_is_not_given_is_not_asked_for_and_nothing_of_it_fails(
    spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [said.split("  ")[0] for said in told].count("ok") == 5
    for check, why in {
        "python kinesis": "no --stream given",
        "credentials": "nothing on AWS given",
        "clock": "nothing on AWS given",
        "source": "no --source given",
        "lake": "neither --lake nor --catalog given",
        "checkpoint": "no --checkpoint given",
        "stream": "no --stream given",
    }.items():
        assert line("not asked for", check, why) in told


def test_a_failed_check_is_exit_code_1_and_json_has_every_line(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["doctor", "--source", str(tmp_path / "gone"), "--lake", str(tmp_path / "lake"), "--json"])
    assert leaving.value.code == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert out.count("\n") == 1
    assert err == "parsely-spark doctor: 1 of 13 checks failed: source list.\n"
    assert not told["is_well"]
    assert {"check": "source", "state": "failed", "said": ""}.keys() == told["checks"][0].keys()
    (failed,) = [check for check in told["checks"] if check["state"] == "failed"]
    assert failed["said"] == (
        f"source={str(tmp_path / 'gone')!r} does not exist; give the events/ prefix of the raw events or the folder "
        "above it."
    )
    assert [check["state"] for check in told["checks"] if check["check"] == "lake write"] == ["ok"]
    assert not (tmp_path / "lake").exists()


# --- this machine -----------------------------------------------------------------------------------------------


def test_without_java_the_rest_is_looked_at_all_the_same(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "JAVA_HOME"} | {"PATH": str(tmp_path)}
    environment |= {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    with fake_kinesis() as kinesis:
        flags = ["--source", "s3a://x/events", "--lake", str(tmp_path / "lake"), "--stream", "s"]
        flags += ["--region", "us-east-1", "--endpoint-url", kinesis.url]
        run = subprocess.run([*DOCTOR, *flags], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    no_keys = "give them as other AWS tools have them: in the environment, in a profile, or as the role of the machine."
    assert re.sub(r"\d[\d.,]* (s|GiB)\b.*", "N", run.stdout).splitlines()[2:] == [
        line("failed", "java", f"no java on the PATH; {WANTED_JAVA}"),
        line("not reached", "spark", "no Java"),
        line("not reached", "pair", "no Spark"),
        line("not reached", "delta", "no Spark"),
        line("not reached", "credentials", "no Spark"),
        line(
            "failed",
            "credentials",
            f"s: no keys of AWS were found (none of the usual places has any); {no_keys}",
        ),
        line("ok", "clock", "N"),
        line("not reached", "source", "no Spark"),
        line("ok", "lake write", f"{tmp_path}/lake can be written, N"),
        line("not asked for", "checkpoint", "no --checkpoint given"),
        line("failed", "stream summary", f"s: no keys of AWS were found (Unable to locate credentials); {no_keys}"),
        line("not reached", "stream shards", "stream summary failed"),
        line("not reached", "stream iterator", "stream summary failed"),
        line("not reached", "stream records", "stream summary failed"),
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "is Java 11.0.2; " + WANTED_JAVA),
        ("echo 'java version \"1.8.0_202\"' >&2", "is Java 1.8.0_202; " + WANTED_JAVA),
        ("echo 'openjdk version \"25\" 2025-09-16' >&2", "is Java 25; " + WANTED_JAVA),
        ("echo hello", "is Java of no version that it would tell; " + WANTED_JAVA),
        (
            'echo \'openjdk version "17.0.9"\' >&2; test "$1" = -version',
            "(Java 17.0.9) lacks the module jdk.incubator.vector, which Spark starts with; install a whole one.",
        ),
        (None, "is Java of no version that it would tell; " + WANTED_JAVA),
    ],
)
def test_a_java_that_spark_does_not_start_with_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("" if script is None else f"#!/bin/sh\n{script}\n")  # of which nothing is a program
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert str(look("java", look_at_java)) == line("failed", "java", f"{java} {said}")


def test_the_java_that_is_said_to_be_tested_is_that_of_the_tested_releases() -> None:
    assert {f"Java {row.java}, which the tests run on" in WANTED_JAVA for row in tested_versions()} == {True}


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    said = f"JAVA_HOME={tmp_path} has no bin/java; {WANTED_JAVA}"
    assert str(look("java", look_at_java)) == line("failed", "java", said)


def test_a_package_that_is_missing_is_named_and_java_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "delta", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("parsely_spark.packages.find_spec", lambda name: sys.modules.get(name))
    told = lines_of(examine(DoctorSettings(stream="s"), lambda: pytest.fail("Spark is started")))
    assert told[0].startswith(line("failed", "python", "Python has no package delta; on a machine of your own"))
    assert told[1].startswith(line("failed", "python kinesis", "Python has no package pyarrow; `pip install "))
    assert told[2].startswith("ok             java")
    assert told[3] == line("not reached", "spark", "no Spark")
    assert told[-1] == line("not reached", "stream", "no package to read Kinesis with")


def test_a_stream_that_another_reader_reads_is_not_asked_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "delta", None)  # so that nothing of Spark is looked at
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setattr("parsely_spark.packages.find_spec", lambda name: sys.modules.get(name))
    settings = DoctorSettings(stream="s", reader="aws-kinesis", checkpoint="s3a://x/checkpoint")
    told = lines_of(examine(settings, lambda: pytest.fail("Spark is started")))
    why = "aws-kinesis reads the stream, by ways of its own"
    assert [said for said in told if said.startswith("not asked for")] == [
        line("not asked for", "python kinesis", why),
        line("not asked for", "source", "no --source given"),
        line("not asked for", "lake", "neither --lake nor --catalog given"),
        line("not asked for", "stream", why),
    ]
    assert line("not reached", "checkpoint", "no Spark") in told


RIGHT = Releases(
    spark="4.2.0",
    pyspark="4.2.0",
    delta="4.4.0",
    delta_is_for="4.2",
    delta_python="4.4.0",
    hadoop="3.5.0",
    hadoop_aws="3.5.0",
)
PAIRS: dict[str, tuple[dict[str, str | None], str, str]] = {
    "a row of the table": ({}, "ok", "Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0, which were tested together"),
    "another row, on a cluster that has no packages of its own": (
        {"spark": "4.0.2", "pyspark": "4.0.2", "delta": "4.0.0", "delta_is_for": None, "delta_python": None}
        | {"hadoop": "3.4.1", "hadoop_aws": None},
        "ok",
        "Spark 4.0.2, Delta 4.0.0, Hadoop 3.4.1, which were tested together",
    ),
    "a patch release next to a row": (
        {"spark": "4.2.1", "pyspark": "4.2.1"},
        "ok",
        "Spark 4.2.1, Delta 4.4.0, Hadoop 3.5.0, near Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0, which were tested "
        "together",
    ),
    "a vendor's builds of the releases of a row": (
        {"spark": "4.2.0-amzn-0", "pyspark": "4.2.0+amzn.0", "delta": "4.4.0-amzn-1"}
        | {"hadoop": "3.5.0-amzn-2", "hadoop_aws": "3.5.0"},
        "ok",
        "Spark 4.2.0-amzn-0, Delta 4.4.0-amzn-1, Hadoop 3.5.0-amzn-2, near Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0, "
        "which were tested together",
    ),
    "the package of another Spark than a vendor's": (
        {"spark": "4.2.0-amzn-0", "pyspark": "4.2.1"},
        "failed",
        "Spark 4.2.0-amzn-0, Delta 4.4.0, Hadoop 3.5.0: its Python package is 4.2.1; `pip install pyspark==4.2.0`, or "
        "unset SPARK_HOME.",
    ),
    "a newer Spark": (
        {"spark": "4.3.0", "pyspark": "4.3.0", "delta_is_for": "4.3"},
        "failed",
        "Spark 4.3.0, Delta 4.4.0, Hadoop 3.5.0 were not tested together; the nearest that were are Spark 4.2.0, Delta "
        "4.4.0, Hadoop 3.5.0 (io.delta:delta-spark_4.2_2.13:4.4.0).",
    ),
    "another Delta": (
        {"delta": "4.3.1", "delta_python": "4.3.1"},
        "failed",
        "Spark 4.2.0, Delta 4.3.1, Hadoop 3.5.0 were not tested together; the nearest that were are Spark 4.2.0, Delta "
        "4.4.0, Hadoop 3.5.0 (io.delta:delta-spark_4.2_2.13:4.4.0).",
    ),
    "a Delta for another Spark": (
        {"delta_is_for": "4.1"},
        "failed",
        "Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0: this Delta was built for Spark 4.1; take "
        "io.delta:delta-spark_4.2_2.13:4.4.0.",
    ),
    "two halves of Delta": (
        {"delta_python": "4.3.1"},
        "failed",
        "Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0: Delta's Python package is 4.3.1; `pip install delta-spark==4.4.0`.",
    ),
    "an S3A of another Hadoop": (
        {"hadoop_aws": "3.4.1"},
        "failed",
        "Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0: its S3A is 3.4.1; take org.apache.hadoop:hadoop-aws:3.5.0.",
    ),
    "the package of another Spark": (
        {"pyspark": "4.1.1"},
        "failed",
        "Spark 4.2.0, Delta 4.4.0, Hadoop 3.5.0: its Python package is 4.1.1; `pip install pyspark==4.2.0`, or unset "
        "SPARK_HOME.",
    ),
}


@pytest.mark.parametrize("which", PAIRS)
def test_releases_are_a_row_of_the_table_or_near_one_or_it_is_said_which_is(which: str) -> None:
    other, state, said = PAIRS[which]
    found = Releases(**{**RIGHT.__dict__, **other})
    assert str(look("pair", lambda: judge(found))) == line(state, "pair", said)


def test_a_spark_without_delta_is_said_to_be_one_and_its_storage_looked_at(spark: SparkSession, tmp_path: Path) -> None:
    def start() -> SparkSession:
        raise LakeError("This Spark has no jar of Delta; submit with it.")

    settings = DoctorSettings(source=(str(tmp_path),))
    told = lines_of(examine(settings, start))
    assert line("failed", "spark", "This Spark has no jar of Delta; submit with it.") in told
    assert line("not reached", "delta", "no Delta") in told
    assert told[-5].startswith(line("failed", "source list", f"source={str(tmp_path)!r} has no YYYY/MM/DD folders"))


def test_what_spark_fails_with_and_is_not_known_is_told_by_its_name_alone(spark: SparkSession) -> None:
    def divide() -> str:
        return str(spark.sql("SELECT 1 / 0 AS secret").collect())

    said = "Spark failed with DIVIDE_BY_ZERO; --verbose shows what it says of that."
    assert look("spark", divide, FAILURES) == Finding("spark", "failed", said)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere; where tests run as root, the block does not."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_lake_in_a_folder_that_may_not_be_written_is_named() -> None:
    folder = Path(tempfile.mkdtemp())  # not one of pytest's, which nobody but the user may even look into
    folder.chmod(0o555)
    with as_nobody():
        found = look("lake write", lambda: look_at_local_lake(str(folder / "lake")))
    shutil.rmtree(folder)
    said = f"{folder}/lake: it cannot be written (Permission denied); check the permissions of {folder}."
    assert str(found) == line("failed", "lake write", said)


def test_a_checkpoint_on_this_machine_is_tried_as_a_folder_that_needs_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_LEAST_BYTES", 2**60)
    said = str(look("checkpoint write", lambda: look_at_local_checkpoint(f"file:{tmp_path}/new")))
    assert re.fullmatch(rf"ok +checkpoint write +{tmp_path}/new can be written, [\d,.]+ GiB are free", said)
    assert list(tmp_path.iterdir()) == []


def test_a_lake_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LEAST_BYTES", 2**60)
    said = str(look("lake write", lambda: look_at_local_lake(str(tmp_path))))
    why = r"[\d,.]+ GiB are free, less than one slice of raw events may take; make room\."
    assert re.fullmatch(rf"failed +lake write +{tmp_path}: {why}", said)


# --- clocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [(-3600, r"3,\d{3} s ahead of URL"), (400, r"\d{3} s behind URL"), (-290, "2[89]. s ahead of URL")],
)
def test_a_clock_that_aws_would_not_believe_is_told_in_seconds(ahead_s: float, said: str) -> None:
    with telling_time(ahead_s) as url:
        found = look("clock", lambda: look_at_clock(url))
    said = said.replace("URL", re.escape(url))
    if ahead_s == -290:
        assert re.fullmatch(line("ok", "clock", said), str(found))
    else:
        said = (
            f"this machine's clock is {said}, and AWS refuses requests that are more than 300 s off; set it, best by "
        )
        assert re.fullmatch(line("failed", "clock", said + r"NTP\."), str(found))


def test_a_server_that_is_not_there_tells_no_time() -> None:
    url = "http://127.0.0.1:1"
    assert str(look("clock", lambda: look_at_clock(url))) == line("not reached", "clock", f"{url} does not answer")


def test_the_clock_of_the_stream_is_that_of_its_server(kinesis: FakeKinesis) -> None:
    kinesis.advance(-1000)
    with pytest.raises(Exception, match=r"clock is (1,00\d|999) s ahead of http"):
        look_at_clock(kinesis.url)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://s3.amazonaws.com"),
        ({"endpoint.region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com"),
        ({"endpoint.region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ({"endpoint": "minio:9000", "connection.ssl.enabled": "false"}, "http://minio:9000"),
        ({"endpoint": "https://minio"}, "https://minio"),
    ],
)
def test_s3_is_asked_for_the_time_where_s3a_asks_it_for_the_rest(
    spark: SparkSession, settings: dict[str, str], url: str
) -> None:
    bucket = f"dr-at-{re.sub(r'[^a-z0-9]', '-', url)}"
    for key, value in settings.items():
        spark.conf.set(f"fs.s3a.bucket.{bucket}.{key}", value)
    assert s3_address(spark, f"s3a://{bucket}/x") == url


# --- S3 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[Moto]:
    """S3 that checks every request. Its buckets have names of their own: S3A keeps what it knows of one."""
    with moto() as server:
        server.check_requests()
        yield server


def users_bucket(spark: SparkSession, server: Moto, bucket: str, *rights: str) -> str:
    """A new *bucket* with an hour of events, and the session's keys for it, which have these *rights* alone."""
    server.put(bucket, **{f"{HOUR}__a": chunk(range(3))})
    point(spark, bucket, server.url, server.user(f"of-{bucket}", allow(" ".join(rights), "*")))
    return f"s3a://{bucket}"


def test_a_source_that_is_not_there_or_not_ours_is_one_failure(spark: SparkSession, s3: Moto) -> None:
    point(spark, "dr-missing", s3.url, s3.user("finder", allow("s3:*", "*")))
    s3.put("dr-wrong-keys")
    point(spark, "dr-wrong-keys", s3.url, Keys("AKIASOMEBODY", "hush"))
    s3.put("dr-without-keys")
    point(spark, "dr-without-keys", s3.url, None)
    for bucket, said in {
        "dr-missing": "its bucket does not exist; check the name; Parse.ly's are called parsely-dw-<site>, with dashes "
        "for the dots of the site.",
        "dr-wrong-keys": WRONG_KEYS,
        "dr-without-keys": "no credentials were found; give them as to other AWS tools (environment, profile, role) or "
        "per bucket in the settings file.",
    }.items():
        assert lines_of(look_at_source(spark, f"s3a://{bucket}/events")) == [
            line("failed", "source list", f"s3a://{bucket}/events: {said}"),
            line("not reached", "source read", "source list failed"),
        ]


@pytest.mark.parametrize("missing", ["s3:ListBucket", "s3:GetObject"])
def test_a_right_that_is_missing_at_the_source_is_named(spark: SparkSession, s3: Moto, missing: str) -> None:
    bucket = f"dr-source-no-{missing[3:].lower()}"
    source = users_bucket(spark, s3, bucket, *{"s3:ListBucket", "s3:GetObject", "s3:PutObject"} - {missing})
    listed, read = lines_of(look_at_source(spark, source))
    refused = f"access is denied ({missing}); {SOURCE_NEEDS}"
    if missing == "s3:ListBucket":
        assert listed == line("failed", "source list", f"{source}: {refused}")
        assert read == line("not reached", "source read", f"{source}: no object is known")
    else:
        assert listed.startswith("ok")
        assert read == line("failed", "source read", f"{source}/events/2025/11/22/08/a.gz: {refused}")


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_right_that_is_missing_at_the_lake_is_named(spark: SparkSession, s3: Moto, missing: str) -> None:
    bucket = f"dr-lake-no-{missing[3:].lower()}"
    lake = users_bucket(spark, s3, bucket, *set(RIGHTS) - {missing})
    told = lines_of(look_at_folder(spark, lake, takes_turns=True))
    ours = f"{lake}/_doctor/ID.json"
    where = ours if missing == "s3:DeleteObject" else lake
    check = {"s3:ListBucket": "list", "s3:PutObject": "write", "s3:GetObject": "read", "s3:DeleteObject": "delete"}
    refused = line("failed", f"lake {check[missing]}", f"{where}: access is denied ({missing}); {LAKE_NEEDS}")
    assert [said for said in told if said.startswith("failed")] == [refused]
    if missing == "s3:PutObject":
        waiting = [line("not reached", f"lake {of}", "the object could not be written") for of in ("read", "condition")]
        assert told[2:4] == waiting
    if missing == "s3:GetObject":
        stays = f"the object could not be read, which S3A does before it deletes; {ours} stays"
        assert told[-1] == line("not reached", "lake delete", stays)


def test_a_lake_in_a_bucket_that_is_not_there_is_one_failure(spark: SparkSession, s3: Moto) -> None:
    point(spark, "dr-no-lake", s3.url, s3.user("no-lake", allow("s3:*", "*")))
    listed, *rest = lines_of(look_at_folder(spark, "s3a://dr-no-lake/tables", takes_turns=True))
    said = "s3a://dr-no-lake/tables: its bucket does not exist; create the bucket or check its name."
    assert listed == line("failed", "lake list", said)
    assert rest == [
        line("not reached", f"lake {check}", "lake list failed") for check in ("write", "read", "condition", "delete")
    ]


def test_a_server_that_passes_over_conditions_is_found_out_and_left_clean(spark: SparkSession, s3: Moto) -> None:
    s3.put("dr-careless")
    with s3.checks_nothing(), without_conditions(s3.url) as url:
        point(spark, "dr-careless", url, Keys("a", "b"))
        told = lines_of(look_at_folder(spark, "s3a://dr-careless/tables", takes_turns=True))
    said = (
        "s3a://dr-careless/tables/_doctor/ID.json: this storage does not know conditional writes, by which runs "
        "take turns; let only one run at a time write and say so with --no-turns."
    )
    assert told[3:] == [line("failed", "lake condition", said), line("ok", "lake delete", "it was deleted")]
    assert keys_in(s3, "dr-careless") == ["tables/_doctor/"]


def test_without_turns_no_condition_is_asked_for(
    spark: SparkSession, s3: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An S3A before Hadoop 3.4.2 knows none, and a run asks for none then."""
    lake = users_bucket(spark, s3, "dr-no-turns", *RIGHTS)
    monkeypatch.setattr(lakes, "write_object", lambda *_, **__: pytest.fail("a condition is asked for"))
    told = lines_of(look_at_folder(spark, lake, takes_turns=False))
    assert told[3] == line("not asked for", "lake condition", "--no-turns")
    assert [said.split()[0] for said in told] == ["ok", "ok", "ok", "not", "ok"]


def test_a_bucket_without_keys_is_a_line_of_its_own(spark: SparkSession, s3: Moto) -> None:
    point(spark, "dr-keyless", s3.url, None)
    said = (
        "s3a://dr-keyless: no credentials were found; give them as to other AWS tools (environment, profile, role) or "
    )
    found = look("credentials", lambda: look_at_keys(spark, "s3a://dr-keyless/lake", LakeError), FAILURES)
    assert str(found) == line("failed", "credentials", said + "per bucket in the settings file.")


def test_a_way_to_keys_that_the_sdk_tells_by_a_letter_is_spelled_out(spark: SparkSession) -> None:
    assert [_name_of_way(spark, of) for of in ("n", "0", "ProfileCredentialsProvider", "")] == [
        *("profile", "imds", "ProfileCredentialsProvider", ""),
    ]


# --- what lies at the source ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([event_line(n) for n in range(30)], "20 of its first 20 lines are events"),
        ([event_line(1), "no event"], "1 of its first 2 lines are events"),
        (
            [event_line(1, event_id=None), "\ufeff" + event_line(2)],
            "2 of its first 2 lines are events, 1 of them without an event_id, as old ones are",
        ),
    ],
)
def test_the_first_lines_of_an_object_are_looked_at(
    spark: SparkSession, tmp_path: Path, lines: list[str], said: str
) -> None:
    path = put(tmp_path, "events/2026/01/14/12/a.gz", gzip.compress("\n".join(lines).encode()))
    assert lines_of(look_at_source(spark, str(tmp_path)))[1] == line("ok", "source read", f"{path}: {said}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            gzip.compress(b'["secret"]\n{"site": "secret"}\n'),
            "none of its first 2 lines is a JSON object with an apikey, as an event is; give the events/ prefix of "
            "Parse.ly's raw events.",
        ),
        (
            b"secret" * 9,
            "it is no gzip file, or has something behind its end; put a whole copy in its place or take it away, and "
            "run again.",
        ),
    ],
    ids=["no event", "no gzip"],
)
def test_what_is_no_event_is_said_to_be_none_and_not_shown(
    spark: SparkSession, tmp_path: Path, body: bytes, said: str
) -> None:
    path = put(tmp_path, "events/2026/01/14/12/a.gz", body)
    told = lines_of(look_at_source(spark, str(tmp_path)))[1].replace("file:///", "file:/")
    assert told == line("failed", "source read", f"{path}: {said}")


def test_only_the_newest_day_is_listed_whatever_else_there_is(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("events/2025/12/31/23/a.gz", "events/2026/01/14/07/b.gz", "events/2026/01/14/12/c.gz"):
        put(tmp_path, name, chunk(range(2)))
    for name in ("events/2026/02/notes.txt", "2027/01/01/00/d.gz", "events/9999x/01/01/00/e.gz"):
        put(tmp_path, name, chunk(range(2)))
    (tmp_path / "events/2026/02/notes.txt").unlink()
    (tmp_path / "events/2026/02").rmdir()
    folder = f"file:{tmp_path}/events/2026/01/14"
    assert lines_of(look_at_source(spark, str(tmp_path)))[:2] == [
        line("ok", "source list", f"{folder}, the newest day, has 2 objects in 2 hours"),
        line("ok", "source read", f"{folder}/12/c.gz: 2 of its first 2 lines are events"),
    ]


def put(folder: Path, name: str, body: bytes) -> str:
    """Write a file; return its URI."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return f"file:{path}"


@pytest.mark.parametrize(
    ("rows", "state", "said"),
    [
        ("a,,v,1\na,,w,2\n", "ok", "2 of 2 records of it are events, 2 of them without an event_id, as old ones are"),
        (
            ",e,v,1\n",
            "failed",
            "none of 1 record of it is a record with an apikey, as an event is; give the events/ prefix of Parse.ly's "
            "raw events, or a whole copy of its sample.",
        ),
    ],
    ids=["events", "none"],
)
def test_a_file_of_csv_is_listed_and_its_records_looked_at(
    spark: SparkSession, tmp_path: Path, rows: str, state: str, said: str
) -> None:
    body = f"apikey,event_id,visitor_site_id,timestamp_info_nginx_ms\n{rows}".encode()
    path = put(tmp_path, "sample.csv", body)
    assert [
        told.replace("file:///", "file:/") for told in lines_of(look_at_source(spark, f"{tmp_path}/sample.csv"))
    ] == [
        line("ok", "source list", f"{path} is one file of CSV, {len(body)} bytes"),
        line(state, "source read", f"{path}: {said}"),
    ]


def test_a_large_file_of_csv_is_listed_alone(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_LARGE_CSV_BYTES", 10)
    path = put(tmp_path, "sample.csv", b"apikey,event_id,visitor_site_id,timestamp_info_nginx_ms\n")
    told = lines_of(look_at_source(spark, f"{tmp_path}/sample.csv"))[1].replace("file:///", "file:/")
    assert told == line("not asked for", "source read", f"{path}: it would have to be read to its end")


# --- lakes that are not on S3 -----------------------------------------------------------------------------------


def test_another_file_system_is_written_and_left_clean(spark: SparkSession, tmp_path: Path) -> None:
    lake = f"file:{tmp_path}/lake"
    assert lines_of(look_at_folder(spark, lake, takes_turns=True)) == [
        line("ok", "lake write", f"{lake}/_doctor/ID.json was written"),
        line("ok", "lake delete", "it was deleted"),
    ]
    assert list((tmp_path / "lake/_doctor").iterdir()) == []


def test_a_schema_is_tried_by_a_table_that_is_dropped_again(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql(f"CREATE DATABASE examined LOCATION '{tmp_path}/examined'")
    try:
        told = lines_of(look_at_catalog(spark, "examined", takes_turns=True))
        assert spark.sql("SHOW TABLES IN examined").where("NOT isTemporary").isEmpty()
    finally:
        spark.sql("DROP DATABASE examined CASCADE")
    assert told == [
        line("ok", "lake table", "examined: a table was made, written and read"),
        line("ok", "lake drop", "examined: it was dropped"),
    ]


def test_a_schema_that_is_not_there_is_named(spark: SparkSession) -> None:
    said = "nowhere: there is no such schema; check the name, or create it with `CREATE SCHEMA`."
    assert lines_of(look_at_catalog(spark, "nowhere", takes_turns=True))[0] == line("failed", "lake table", said)


# --- the stream -------------------------------------------------------------------------------------------------


@pytest.fixture
def kinesis(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKinesis]:
    """A stream ``s`` of one shard; boto3 signs, whoever answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with fake_kinesis() as server:
        server.create("s")
        yield server


def options(kinesis: FakeKinesis, **given: Any) -> KinesisSettings:
    return KinesisSettings(**{"stream": "s", "region": "us-east-1", "endpoint_url": kinesis.url, "retry_s": 1, **given})


ACTIONS = {
    "stream summary": "DescribeStreamSummary",
    "stream shards": "ListShards",
    "stream iterator": "GetShardIterator",
    "stream records": "GetRecords",
}


@pytest.mark.parametrize("check", ACTIONS)
def test_an_action_that_aws_refuses_is_named_and_the_others_are_tried(kinesis: FakeKinesis, check: str) -> None:
    kinesis.denies = {ACTIONS[check]}
    told = {finding.check: finding for finding in look_at_stream(options(kinesis))}
    said = f"s: reading it is not allowed; what is missing is kinesis:{ACTIONS[check]} for whoever runs this."
    assert str(told[check]) == line("failed", check, said)
    waiting = {"stream shards": ["stream iterator", "stream records"], "stream iterator": ["stream records"]}
    assert [of for of in told if told[of].state == "not reached"] == waiting.get(check, [])
    assert [of for of in told if told[of].state == "ok"] == [
        of for of in told if of not in (check, *waiting.get(check, []))
    ]


def test_all_actions_that_aws_refuses_are_told_at_once(kinesis: FakeKinesis) -> None:
    kinesis.denies = {"DescribeStreamSummary", "GetRecords"}
    told = lines_of(look_at_stream(options(kinesis)))
    assert [re.findall(r"kinesis:\w+", said) for said in told] == [
        *(["kinesis:DescribeStreamSummary"], [], [], ["kinesis:GetRecords"]),
    ]


def test_a_stream_that_is_not_there_is_one_failure(kinesis: FakeKinesis) -> None:
    told = lines_of(look_at_stream(options(kinesis, stream="t")))
    said = "There is no stream t in us-east-1; give its name or ARN, and the --region it is in."
    assert told == [
        line("failed", "stream summary", said),
        *(line("not reached", check, "stream summary failed") for check in list(ACTIONS)[1:]),
    ]


def test_a_stream_of_no_region_is_one_failure(kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    summary, *rest = lines_of(look_at_stream(options(kinesis, region=None)))
    assert summary.startswith(line("failed", "stream summary", "s: You must specify a region. Give --region"))
    assert all(said.startswith("not reached") for said in rest)


def test_a_stream_that_is_split_says_how_many_of_its_shards_are_open(kinesis: FakeKinesis) -> None:
    kinesis.split("s", "shardId-000000000000")
    told = lines_of(look_at_stream(options(kinesis)))
    assert told[1:] == [
        line("ok", "stream shards", "3 with records, 2 of them open"),
        line("ok", "stream iterator", "one for the oldest record of shardId-000000000001"),
        line("ok", "stream records", "the first answer is empty, as answers may be"),
    ]


def test_a_stream_that_does_not_answer_is_given_up_after_seconds(kinesis: FakeKinesis) -> None:
    begin = time.monotonic()
    told = lines_of(look_at_stream(options(kinesis, endpoint_url="http://127.0.0.1:1")))
    assert told[0].startswith(line("failed", "stream summary", "s: DescribeStreamSummary failed: Could not connect"))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_keys_that_were_copied_with_a_line_break_are_not_shown(
    kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "CANARY\nX")
    told = lines_of(look_at_stream(options(kinesis)))
    said = "s: a line break or the like is in the keys of AWS; give them without."
    assert told[0] == line("failed", "stream summary", said)


def test_a_profile_that_is_nowhere_is_told_as_missing_keys(
    kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "analyst")
    said = str(look("credentials", lambda: look_at_stream_keys(options(kinesis))))
    assert said.startswith(line("failed", "credentials", "s: no keys of AWS were found (The config profile (analyst)"))
