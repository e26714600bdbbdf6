"""Claims about `conf/` that Spark judges: it knows what it is told, and the defaults make a session that works."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from deployment import SUBMITTING, spark_defaults, spark_examples, submissions
from s3_server import chunk, moto
from standalone_cluster import SHORT_LIFE, SPARK_HOME

from parsely_spark.java import find_java

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

KEYS = {"PARSELY_ACCESS_KEY_ID": "theirs", "PARSELY_SECRET_ACCESS_KEY": "their-secret"}
DEMO = "parsely-dw-parse-ly-demo"
# Of a session as a job makes it: its settings, a Delta table written and read by name, and lines of the public bucket.
PROBE = """
import json, sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.sql("create table probe (id bigint) using delta location '%(folder)s/table'")
spark.range(3).writeTo("probe").append()
hadoop = spark._jsparkSession.sessionState().newHadoopConf()
print(json.dumps({
    "settings": {key: spark.conf.get(key) for key in %(keys)r},
    "for_hadoop": {key: hadoop.get(key.removeprefix("spark.hadoop.")) for key in %(keys)r},
    "rows": spark.table("probe").count(),
    "lines": spark.read.option("recursiveFileLookup", "true").text("s3a://%(bucket)s/events").count(),
}))
"""


def submit(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run spark-submit with nothing of AWS in its environment but what is given."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    ours |= {"SPARK_SUBMIT_OPTS": SHORT_LIFE, "AWS_EC2_METADATA_DISABLED": "true", **environment}
    return subprocess.run(
        [SPARK_HOME / "bin/spark-submit", *words], env=ours, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a session says of itself that has all of spark-defaults.conf, its examples switched on."""
    folder = tmp_path_factory.mktemp("defaults")
    settings = {**spark_defaults(), **spark_examples()}
    del settings["spark.jars.packages"]  # they lie in Spark's own jars here; test_conf.py compares their names
    settings["spark.driver.memory"] = "1g"
    with moto() as server:
        server.put(DEMO, events__2025__11__22__08__a=chunk(range(5)))
        server.client("s3").put_object_acl(Bucket=DEMO, Key="events/2025/11/22/08/a.gz", ACL="public-read")
        settings |= {
            f"spark.hadoop.fs.s3a.bucket.{DEMO}.{key}": value for key, value in _reached_at(server.url).items()
        }
        properties, probe = folder / "spark-defaults.conf", folder / "probe.py"
        properties.write_text("".join(f"{key}  {value}\n" for key, value in settings.items()))
        probe.write_text(PROBE % {"folder": folder, "keys": list(settings), "bucket": DEMO})
        place = ("--master", "local[1]", "--conf", f"spark.sql.warehouse.dir={folder}/warehouse")
        done = submit(*place, "--properties-file", properties, probe, **KEYS)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _reached_at(url: str) -> dict[str, str]:
    server = {"endpoint": url, "endpoint.region": "us-east-1"}
    return server | {"path.style.access": "true", "connection.ssl.enabled": "false"}


def test_a_session_has_the_settings_of_spark_defaults(seen: dict[str, Any]) -> None:
    told = {**spark_defaults(), **spark_examples(), "spark.driver.memory": "1g"}
    del told["spark.jars.packages"]
    assert {key: seen["settings"][key] for key in told} == told


def test_a_session_with_spark_defaults_writes_and_reads_delta(seen: dict[str, Any]) -> None:
    assert seen["rows"] == 3


def test_a_public_bucket_is_read_without_keys(seen: dict[str, Any]) -> None:
    """Whoever gives none is shown what is public. Without the setting, S3A would look for keys and fail."""
    assert seen["lines"] == 5


def test_hadoop_takes_the_keys_of_a_bucket_from_the_environment(seen: dict[str, Any]) -> None:
    bucket = "spark.hadoop.fs.s3a.bucket.parsely-dw-SITE"
    keys = [seen["for_hadoop"][f"{bucket}.{which}.key"] for which in ("access", "secret")]
    assert keys == list(KEYS.values())


# --- what Spark is told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SUBMITTING if any(one.options for one in submissions(name))])
def test_spark_submit_knows_the_options_that_it_is_given(name: str) -> None:
    """Its launcher reads them, and prints what it would start."""
    for submission in submissions(name):
        options = [word for option in submission.options for word in option]
        assert launched(*options) == ""


def test_an_option_that_spark_submit_does_not_know_is_found() -> None:
    assert "Unrecognized option: --py-fils" in launched("--py-fils", "x.zip")


def launched(*options: str) -> str:
    """What is said of *options* by the launcher of spark-submit, which else prints a command."""
    launcher = ("org.apache.spark.launcher.Main", "org.apache.spark.deploy.SparkSubmit")
    command = [find_java(), *SHORT_LIFE.split(), "-cp", f"{SPARK_HOME}/jars/*", *launcher, *options, "job.py"]
    environment = {"SPARK_HOME": str(SPARK_HOME), "SPARK_SCALA_VERSION": "2.13"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stderr


def settings_named() -> Iterator[str]:
    """Every setting of Spark that a file under `conf/` makes or shows."""
    yield from spark_defaults()
    yield from spark_examples()
    for name in SUBMITTING:
        for submission in submissions(name):
            yield from submission.settings


def test_every_setting_is_one_that_spark_hadoop_or_delta_knows(spark: SparkSession) -> None:
    assert spark._jvm is not None
    jvm: Any = spark._jvm
    for owner in ("org.apache.spark.deploy.k8s.Config$", "org.apache.spark.sql.delta.sources.DeltaSQLConf$"):
        jvm.java.lang.Class.forName(owner)  # which makes it enter its own
    constants = jvm.java.lang.Class.forName("org.apache.hadoop.fs.s3a.Constants").getFields()
    of_s3a = {str(one.get(None)) for one in constants if str(one.getType().getName()) == "java.lang.String"}
    unknown = []
    for key in sorted(set(settings_named())):
        if key.startswith("spark.hadoop."):
            is_known = re.sub(r"\.bucket\.[\w-]+\.", ".", key.removeprefix("spark.hadoop.")) in of_s3a
        elif found := re.match(r"(spark\.kubernetes\.(driver|executor)\.secretKeyRef\.)[A-Z_]+$", key):
            is_known = found[1] in {
                jvm.org.apache.spark.deploy.k8s.Config.KUBERNETES_DRIVER_SECRET_KEY_REF_PREFIX(),
                jvm.org.apache.spark.deploy.k8s.Config.KUBERNETES_EXECUTOR_SECRET_KEY_REF_PREFIX(),
            }
        else:
            entry = jvm.org.apache.spark.internal.config.ConfigEntry.findEntry(key)
            is_known = entry is not None or jvm.org.apache.spark.sql.internal.SQLConf.containsConfigKey(key)
        if not is_known:
            unknown.append(key)
    assert unknown == []
