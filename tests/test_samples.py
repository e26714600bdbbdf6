"""What Parse.ly offers to try, on this machine: the demo bucket, which is read without keys, and a CSV file in S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3_server import chunk, moto, no_keys
from standalone_cluster import SHORT_LIFE
from test_csv import FEW, as_csv, event

from parsely_spark.cli import main
from parsely_spark.errors import SourceError
from parsely_spark.sources.s3 import list_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.tables.catalog import Lake

DEMO = "parsely-dw-parse-ly-demo"
SETTINGS = Path(__file__).parent.parent / "conf/demo-bucket.toml"


@pytest.fixture(scope="module")
def server(spark: SparkSession) -> Iterator[str]:
    """The URL of a server with the demo bucket, a lake and a bucket with a CSV file."""
    with moto() as behind, no_keys(behind.url, DEMO) as url:
        for bucket in (DEMO, "lake", "samples"):
            behind.put(bucket)
        s3 = behind.client("s3")
        for hour, numbers in (("08", range(40)), ("09", range(40, 60))):
            public = {"Bucket": DEMO, "Key": f"events/2025/11/22/{hour}/a.gz", "ACL": "public-read"}
            s3.put_object(Body=chunk(numbers), **public)
        table = as_csv([event(1), event(2, Mood="a\nb")], [*FEW, "Mood"])
        s3.put_object(Bucket="samples", Key="sample.csv", Body=table)
        for bucket in (DEMO, "samples"):
            settings = {"endpoint": url, "endpoint.region": "us-east-1", "path.style.access": "true"}
            settings |= {"connection.ssl.enabled": "false", "access.key": "a", "secret.key": "b"}
            for key, value in settings.items():
                spark.conf.set(f"fs.s3a.bucket.{bucket}.{key}", value)
        yield url


def test_the_demo_bucket_is_read_without_keys_and_the_lake_written_with_those_of_the_environment(
    server: str, tmp_path: Path
) -> None:
    # given: the settings as they are, but for what makes a short run shorter
    config = tmp_path / "demo.toml"
    few = '"spark.sql.shuffle.partitions" = "2"\n"spark.databricks.delta.snapshotPartitions" = "1"\n'
    config.write_text(SETTINGS.read_text(encoding="utf-8") + few)
    flags = [
        "--config",
        str(config),
        "--source",
        f"s3a://{DEMO}",
        "--lake",
        "s3a://lake/tables",
        "--tables",
        "sessions",
    ]
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PARSELY_SPARK_"))}
    ours |= {"HOME": str(tmp_path), "AWS_ENDPOINT_URL_S3": server, "AWS_EC2_METADATA_DISABLED": "true"}
    ours |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    ours["SPARK_SUBMIT_OPTS"] = SHORT_LIFE
    # when
    command = [sys.executable, "-m", "parsely_spark", "batch", *flags, "--json"]
    run = subprocess.run(command, env=ours, capture_output=True, text=True, timeout=300)
    # then
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["files"], summary["lines"], summary["inserted"]) == (2, 60, 60)


def test_without_its_settings_keys_are_sent_to_the_demo_bucket(server: str, spark: SparkSession) -> None:
    """Which this server refuses, so that it shows."""
    with pytest.raises(SourceError, match=f"s3a://{DEMO}: access is denied"):
        list_files(spark, [f"s3a://{DEMO}"])


@pytest.mark.usefixtures("server")
def test_a_csv_file_is_read_from_s3(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the root of a bucket, where there is no folder."""
    flags = ["--source", "s3a://samples/sample.csv", "--lake", lake.place, "--tables", "sessions", "--json"]
    assert main(["batch", *flags]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["lines"], summary["inserted"], summary["others"]) == (2, 2, 0)
    rescued = lake.read("events").where("_rescued is not null").select("_rescued").collect()
    assert [json.loads(row[0]) for row in rescued] == [{"Mood": "a\nb"}]
