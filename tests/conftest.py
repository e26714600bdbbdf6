"""What tests share: one Spark session, a lake of their own, events by the fields a claim is about."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from parsely_spark.session import get_session
from parsely_spark.settings import SparkSettings
from parsely_spark.tables.catalog import TABLES, Lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

# What the developer's shell knows of AWS is no part of a test, nor is asking for the role of this machine.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

# Of what a session of minutes compiles, Java's second compiler takes more time than it saves: with three times its
# usual thresholds and the plain collector, a warm run over an hour takes the same time and a seventh less of the CPU.
# A heap that begins small is collected some hundred times in the first minutes, a twelfth of their CPU time.
JAVA = "-XX:+UseSerialGC -XX:CompileThresholdScaling=3 -Xms2g -Xmn768m -XX:MetaspaceSize=256m"
SMALL = (
    ("spark.master", "local[2]"),
    ("spark.driver.memory", "3g"),
    ("spark.driver.defaultJavaOptions", JAVA),
    ("spark.sql.shuffle.partitions", "2"),
    ("spark.default.parallelism", "2"),
    # Spark describes each query for its pages, which nobody sees here; this way in the fewest words.
    ("spark.sql.ui.explainMode", "simple"),
    # Kinesis is asked by Python workers, and boto3 signs, whoever answers.
    ("spark.executorEnv.AWS_ACCESS_KEY_ID", "test"),
    ("spark.executorEnv.AWS_SECRET_ACCESS_KEY", "test"),
)


# A minute or more each: of two workers, none should begin them at the end.
LONG = (
    *("test_stream_crashes.py", "test_crashes.py", "test_stream.py", "test_surroundings.py", "test_views.py"),
    *("test_verify.py", "test_batch.py", "test_promises.py", "test_files.py", "test_fold.py", "test_cluster.py"),
    *("test_s3.py", "test_kinesis.py", "test_lease.py", "test_moto_kinesis.py", "test_secrets.py"),
    *("test_old_models.py", "test_misleading_events.py", "test_demo.py", "test_samples.py", "test_status.py"),
    *("test_forget.py", "test_maintain.py", "test_report.py", "test_docs.py", "test_migrate.py", "test_privacy.py"),
    "test_retention.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one session of the process, made as the program makes its own."""
    session = get_session("tests", SparkSettings(spark=SMALL))
    with pytest.MonkeyPatch.context() as patch:
        if "SPARK_REMOTE" in os.environ:  # then its driver, and what the driver alone can do, is out of reach
            from serverless import restrict

            restrict(patch)
        yield session
    session.stop()


@pytest.fixture(scope="session")
def empty_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with all tables, empty; creating them takes seconds, copying them none."""
    folder = tmp_path_factory.mktemp("empty") / "lake"
    for table in TABLES:
        Lake(spark, str(folder)).create_missing(table)
    return folder


@pytest.fixture
def lake(spark: SparkSession, empty_lake: Path, tmp_path: Path) -> Lake:
    """A new lake with all tables, empty."""
    shutil.copytree(empty_lake, tmp_path / "lake")
    return Lake(spark, str(tmp_path / "lake"))
