"""The jobs as a cluster runs them: by spark-submit, on a master and two workers, from the zip of `make dist`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kinesis_reader import MotoKinesis
from oracle import Ledger, read_lines, sessions, unique_events
from s3_server import moto
from standalone_cluster import SPARK_HOME, WORKERS, Cluster, Submitted, standalone_cluster

import parsely_spark
from parsely_spark.testing.generate import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
MEMORY = ("--driver-memory", "640m", "--executor-memory", "800m")
# Runs jobs/batch.py, then asks its processes where they have the package from, and the lake for its rows.
PROBE = """
import json, os, runpy, sys

job, lake = %r

def whereabouts(rows):
    import parsely_spark.schema
    assert list(rows)
    module = os.path.abspath(parsely_spark.schema.__file__)
    yield {"folder": os.getcwd(), "module": module, "python": sys.prefix}

runpy.run_path(job, run_name="__main__")
from pyspark.sql import SparkSession
spark = SparkSession.getActiveSession()
executors = spark.sparkContext.parallelize(range(8), 8).mapPartitions(whereabouts).collect()
rows = {table: spark.read.format("delta").load(f"{lake}/{table}").count() for table in ("events", "sessions")}
print(json.dumps({"driver": next(whereabouts("x")), "executors": executors, "rows": rows}))
"""


@dataclass(frozen=True)
class Distribution:
    """What `make dist` and a checkout hand to spark-submit."""

    zip: Path
    jobs: Path

    @property
    def py_files(self) -> tuple[str, str]:
        """The flag: the package, and the Python half of the Delta that lies in Spark's folder of jars."""
        (delta,) = SPARK_HOME.glob("jars/delta-spark_*.jar")
        return "--py-files", f"{self.zip},{delta}"


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """The zip of `make dist`, built beside the checkout: a dist/ that lies there is somebody's."""
    checkout = tmp_path_factory.mktemp("dist") / "checkout"
    (checkout / ".venv").mkdir(parents=True)
    package = Path(parsely_spark.__file__).parent  # not always the checkout's: it may be that of an installed wheel
    for folder in (ROOT / "conf", ROOT / "jobs", package, ROOT / "tools"):
        shutil.copytree(folder, checkout / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("LICENSE", "Makefile", "README.md", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / file, checkout)
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("."):
            (checkout / ".venv" / entry.name).symlink_to(entry)
    # Its stamps are new, not links: nothing is to be installed from here into the environment that it shares.
    for stamp in Path(sys.prefix).glob(".*"):
        (checkout / ".venv" / stamp.name).touch()
    subprocess.run(["make", "dist"], cwd=checkout, check=True, capture_output=True)
    (built,) = (checkout / "dist").glob("parsely_spark-*.zip")
    shutil.rmtree(checkout / "parsely_spark")
    return Distribution(built, checkout / "jobs")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, for the tests of this module."""
    with standalone_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bucket")
    generate(out, events=2000, hours=3, seed=3)
    return out


@pytest.fixture(scope="module")
def expected(bucket: Path) -> Ledger:
    """What the lines of the bucket hold, by the oracle."""
    return unique_events(read_lines(bucket), datetime.now(UTC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lake is."""
    return tmp_path_factory.mktemp("lake") / "lake"


@pytest.fixture(scope="module")
def first(cluster: Cluster, distribution: Distribution, bucket: Path, folder: Path) -> Submitted:
    """The job over the bucket, into a new lake."""
    flags = ("--source", bucket, "--lake", folder, "--tables", "sessions", "--json")
    return cluster.submit(*MEMORY, *distribution.py_files, distribution.jobs / "batch.py", *flags)


@pytest.fixture(scope="module")
def again(
    first: Submitted,
    cluster: Cluster,
    distribution: Distribution,
    bucket: Path,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Submitted:
    """The same job once more, with some settings of the user's choice, and then the probe."""
    assert first.exit_code == 0, first
    probe = tmp_path_factory.mktemp("probe") / "probe.py"
    probe.write_text(PROBE % ((str(distribution.jobs / "batch.py"), str(folder)),))
    # Spark warns of an extension that it does not find, and goes on.
    theirs = ("--conf", "spark.sql.extensions=com.example.Theirs")
    chosen = ("--name", "nightly", "--conf", "spark.log.level=WARN", *theirs)
    flags = ("--source", bucket, "--lake", folder, "--tables", "sessions", "--json")
    return cluster.submit(*chosen, *distribution.py_files, probe, *flags)


def summary_of(submitted: Submitted) -> dict[str, Any]:
    """The one line of JSON that tells what the job did."""
    (line,) = (line for line in submitted.output if line.startswith('{"run_id"'))
    return dict(json.loads(line))


def test_a_submitted_job_ends_with_0_and_the_counts_that_the_oracle_finds(first: Submitted, expected: Ledger) -> None:
    assert first.exit_code == 0, first
    # spark-submit makes one of the job's standard error, its progress, and its standard output; the summary is last.
    assert first.output[-1].startswith('{"run_id"')
    summary = summary_of(first)
    counts = {name: summary[name] for name in ("lines", "inserted", "duplicate", "rejected", "blank")}
    assert counts == {name: getattr(expected, name) for name in counts}


def test_a_job_submitted_again_reads_nothing(first: Submitted, again: Submitted) -> None:
    assert again.exit_code == 0, again
    summary = summary_of(again)
    assert (summary["inserted"], summary["files"], summary["known"]) == (0, 0, summary_of(first)["files"])


def test_after_both_jobs_the_tables_hold_each_event_and_each_session_once(again: Submitted, expected: Ledger) -> None:
    wanted = sessions(expected.events.values(), lambda user_agent, ua_browser: False)
    assert json.loads(again.output[-1])["rows"] == {"events": expected.inserted, "sessions": len(wanted)}


def test_every_worker_has_done_tasks_of_a_submitted_job(first: Submitted) -> None:
    tasks = Counter(end["Task Info"]["Executor ID"] for end in first.of_kind("TaskEnd"))
    assert len(tasks) == WORKERS


def test_driver_and_executors_have_the_package_from_the_zip(
    again: Submitted, cluster: Cluster, distribution: Distribution
) -> None:
    found = json.loads(again.output[-1])
    python = str(cluster.folder / "python")
    assert found["driver"]["module"] == f"{distribution.zip}/parsely_spark/schema.py"
    assert {(Path(f["folder"]), f["module"], f["python"]) for f in found["executors"]} == {
        (executor, f"{executor}/{distribution.zip.name}/parsely_spark/schema.py", python)
        for executor in cluster.folder.glob(f"work/*/{again.properties['spark.app.id']}/*")
    }
    assert len({f["folder"] for f in found["executors"]}) == WORKERS


def test_what_spark_submit_and_the_cluster_say_comes_before_our_defaults(
    first: Submitted, again: Submitted, cluster: Cluster
) -> None:
    told = {
        "spark.master": cluster.master,
        "spark.driver.memory": "640m",
        "spark.executor.memory": "800m",
        "spark.sql.shuffle.partitions": "3",  # of conf/spark-defaults.conf
    }
    assert {key: first.properties[key] for key in told} == told
    assert (first.properties["spark.app.name"], first.properties["spark.log.level"]) == ("parsely-spark batch", "ERROR")
    assert (again.properties["spark.app.name"], again.properties["spark.log.level"]) == ("nightly", "WARN")
    s3 = {key for key in first.properties if key.startswith("spark.hadoop.fs.s3")}
    assert "spark.hadoop.fs.s3a.attempts.maximum" in s3
    assert not s3 & {"spark.hadoop.fs.s3.impl", "spark.hadoop.fs.s3a.retry.limit"}  # of core-site.xml


def test_a_submitted_job_brings_the_settings_without_which_it_does_not_work(first: Submitted, again: Submitted) -> None:
    delta = "io.delta.sql.DeltaSparkSessionExtension"
    assert first.properties["spark.sql.extensions"] == delta
    assert again.properties["spark.sql.extensions"] == f"com.example.Theirs,{delta}"
    assert first.properties["spark.sql.session.timeZone"] == "UTC"


def test_a_submitted_job_is_quiet_and_takes_leave_of_the_master(first: Submitted) -> None:
    said = [line for line in first.log if " INFO " in line]
    assert {line.split(" INFO ")[1].split(":")[0] for line in said} <= {"SparkContext"}
    assert len(first.of_kind("ApplicationEnd")) == 1


def test_a_wrong_flag_ends_with_2_and_one_sentence_before_spark_starts(
    cluster: Cluster, distribution: Distribution
) -> None:
    submitted = cluster.submit(*distribution.py_files, distribution.jobs / "batch.py", "--sauce", "x", "--lake", "y")
    assert submitted.exit_code == 2
    assert submitted.output == [
        "parsely-spark batch: --sauce is no flag (did you mean --source?); see `parsely-spark batch --help`."
    ]
    assert (submitted.events, [line for line in submitted.log if "SparkContext" in line]) == ([], [])


def test_without_delta_a_job_ends_with_2_and_one_sentence_before_spark_starts(
    cluster: Cluster, distribution: Distribution, bucket: Path
) -> None:
    zip_alone = ("--py-files", distribution.zip, distribution.jobs / "batch.py")
    submitted = cluster.submit(*zip_alone, "--source", bucket, "--lake", "lake")
    assert submitted.exit_code == 2
    assert submitted.output == [
        "parsely-spark batch: Python has no package delta; on a machine of your own `pip install "
        "'parsely-spark[local]'`, on a cluster submit with Delta's `--packages`, which bring both of its halves."
    ]
    assert submitted.events == []


def test_executors_that_die_in_the_middle_lose_and_double_nothing(
    cluster: Cluster, distribution: Distribution, bucket: Path, expected: Ledger, tmp_path: Path
) -> None:
    """One while lines are read, one while events are written: what they held is made again, and counted once."""
    lake = tmp_path / "lake"

    def kill_in_the_middle() -> None:
        for sign_of_progress in ("ingested_files/_delta_log/*.json", "events/date=*"):
            while not list(lake.glob(sign_of_progress)):
                time.sleep(0.05)
            cluster.kill_an_executor()

    with ThreadPoolExecutor() as thread:
        killed = thread.submit(kill_in_the_middle)
        job = (distribution.jobs / "batch.py", "--source", bucket, "--lake", lake, "--tables", "sessions", "--json")
        submitted = cluster.submit(*MEMORY, *distribution.py_files, *job)
        killed.result(timeout=1)
    assert submitted.exit_code == 0, submitted
    lost = [event for event in submitted.of_kind("ExecutorRemoved") if "137" in event["Removed Reason"]]
    assert len(lost) == 2, submitted.of_kind("ExecutorRemoved")
    summary = summary_of(submitted)
    counts = {name: summary[name] for name in ("lines", "inserted", "duplicate", "rejected", "blank")}
    assert counts == {name: getattr(expected, name) for name in counts}
    wanted = sessions(expected.events.values(), lambda user_agent, ua_browser: False)
    assert summary["rows_touched"] == {"sessions": len(wanted)}


# What the cluster's own Python has not: boto3 and pyarrow, with which workers ask Kinesis. The keys are theirs, too.
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TO_AWS = (
    *("--conf", f"spark.pyspark.python={sys.executable}"),
    *(word for name in KEYS for word in ("--conf", f"spark.executorEnv.{name}=test")),
    *("--conf", "spark.hadoop.fs.s3a.access.key=test", "--conf", "spark.hadoop.fs.s3a.secret.key=test"),
)


def test_a_stream_on_a_cluster_that_loses_an_executor_leaves_nothing_for_the_batch(
    cluster: Cluster, distribution: Distribution, bucket: Path, expected: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinesis, the lake and the copy of the events on one server: `jobs/stream.py` drains, `jobs/batch.py` heals."""
    for name in KEYS:
        monkeypatch.setitem(cluster.environment, name, "test")
    with moto() as server:
        kinesis = MotoKinesis(server)
        kinesis.create("s", 2)
        kinesis.put("s", *(line for line in read_lines(bucket) if line.strip()))
        files = {str(path.relative_to(bucket).with_suffix("")): path.read_bytes() for path in bucket.rglob("*.gz")}
        server.put("parsely-dw-x", **files)
        server.put("lake")
        s3 = server.client("s3")

        def kill_in_the_middle() -> None:
            while "Contents" not in s3.list_objects_v2(Bucket="lake", Prefix="tables/events/date="):
                time.sleep(0.05)
            cluster.kill_an_executor()

        place = ("--lake", "s3a://lake/tables", "--tables", "sessions", "--s3-endpoint-url", server.url, "--json")
        which = ("--stream", "s", "--region", "us-east-1", "--endpoint-url", server.url, "--available-now")
        stream = (distribution.jobs / "stream.py", *which, "--checkpoint", "s3a://lake/checkpoint", *place)
        with ThreadPoolExecutor() as thread:
            killed = thread.submit(kill_in_the_middle)
            streamed = cluster.submit(*MEMORY, *TO_AWS, *distribution.py_files, *stream)
            assert streamed.exit_code == 0, streamed
            killed.result(timeout=1)
        batch = (distribution.jobs / "batch.py", "--source", "s3a://parsely-dw-x/events", *place)
        batched = cluster.submit(*MEMORY, *TO_AWS, *distribution.py_files, *batch)
    assert batched.exit_code == 0, batched
    assert ["137" in event["Removed Reason"] for event in streamed.of_kind("ExecutorRemoved")] == [True]
    assert len({end["Task Info"]["Executor ID"] for end in streamed.of_kind("TaskEnd")}) > WORKERS  # one came anew
    assert summary_of(streamed)["inserted"] == expected.inserted
    left = {name: summary_of(batched)[name] for name in ("lines", "inserted", "rows_touched")}
    assert left == {"lines": expected.lines, "inserted": 0, "rows_touched": {"sessions": 0}}
