"""Claims about `conf/`: what its files submit is what the command line takes, in the versions that were tested."""

from __future__ import annotations

import os
import re

import pytest
from deployment import (
    CONF,
    FILES,
    ROOT,
    SUBMITTING,
    bundle,
    content,
    spark_defaults,
    spark_examples,
    submissions,
    text_of,
)

from parsely_spark import __version__, session, versions
from parsely_spark.cli import understand
from parsely_spark.settings import SparkSettings

TESTED = versions.tested_versions()
FIRST = TESTED[0]
JARS = {FIRST.delta_jar, f"org.apache.hadoop:hadoop-aws:{FIRST.hadoop}"}
# The files that submit nothing, each with the module of tests that reads it.
OTHERS = {
    "README.md": "test_conf.py",
    "databricks/databricks.yml": "deployment.py",
    "demo-bucket.toml": "test_samples.py",
    "emr/cluster.json": "test_conf_aws.py",
    "emr/policy.json": "test_conf_aws.py",
    "emr/service-policy.json": "test_conf_aws.py",
    "emr/serverless-application.json": "test_conf_aws.py",
    "jars.lock": "test_jars.py",
    "k8s/Dockerfile": "test_conf_platforms.py",
    "parsely.toml": "test_settings.py",
    "spark-defaults.conf": "deployment.py",
}


def test_no_file_under_conf_is_without_a_test_that_reads_it() -> None:
    locks = [f"jars-spark-{row.minor}.lock" for row in TESTED[1:]]  # test_jars.py asks for each row
    assert sorted([*SUBMITTING, *OTHERS, *locks]) == FILES
    for name, module in OTHERS.items():
        assert name.rpartition("/")[2] in (ROOT / "tests" / module).read_text(encoding="utf-8")


# --- what is submitted ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has in the environment is no part of a file."""
    for variable in [name for name in os.environ if name.startswith("PARSELY_SPARK_")]:
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("name", SUBMITTING)
def test_the_command_line_takes_what_a_file_submits(name: str) -> None:
    submitted = submissions(name)
    assert submitted
    for submission in submitted:
        command, settings = understand(submission.words)
        assert command in ("batch", "stream", "verify", "maintain")
        place = ("main.parsely", None) if name.startswith("databricks/") else (None, "s3a://BUCKET/lake")
        assert (settings.catalog, settings.lake) == place


def test_every_way_to_submit_offers_the_batch_and_most_the_stream_or_the_nightly_jobs() -> None:
    commands: dict[str, set[str]] = {}
    for name in SUBMITTING:
        commands.setdefault(name.partition("/")[0], set()).update(one.words[0] for one in submissions(name))
    assert commands == {
        "airflow": {"batch", "verify", "maintain"},
        "databricks": {"batch", "stream", "verify", "maintain"},
        "emr": {"batch", "stream", "verify", "maintain"},
        "k8s": {"batch", "stream"},
    }


@pytest.mark.parametrize("name", SUBMITTING)
def test_keys_are_given_for_the_bucket_that_a_job_reads_and_for_no_other(name: str) -> None:
    """Keys for all buckets would be the lake's, too. A cluster of EMR has them already, and Databricks needs none."""
    for submission in submissions(name):
        keys = {key for key in submission.settings if key.endswith(".key")}
        of_parsely = {f"spark.hadoop.fs.s3a.bucket.parsely-dw-SITE.{which}.key" for which in ("access", "secret")}
        has_them = submission.words[0] == "batch" and not name.startswith(("databricks/", "emr/steps"))
        assert keys == (of_parsely if has_them else keys & of_parsely)


def test_the_package_and_its_jars_are_those_of_this_version_wherever_they_are_named() -> None:
    named, jars = set(), set()
    for name in [name for name in FILES if not name.endswith(".lock")]:
        named |= set(re.findall(r"parsely[_-]spark[-:](\d+\.\d+\.\d+)", text_of(name)))
        jars |= set(re.findall(r"(?:io\.delta:delta-spark|org\.apache\.hadoop:hadoop-aws)[\w.:]*\d", text_of(name)))
    assert named == {__version__}
    assert jars == JARS


# --- spark-defaults.conf ----------------------------------------------------------------------------------------


def test_the_defaults_of_spark_name_the_jars_of_the_first_row() -> None:
    assert set(spark_defaults()["spark.jars.packages"].split(",")) == JARS


def test_the_defaults_of_spark_do_not_contradict_what_a_session_sets() -> None:
    ours = session._defaults(SparkSettings(), {}) | {"spark.sql.extensions": session._with_delta("")}
    shared = (spark_defaults().keys() & ours.keys()) - session._laptop().keys()
    assert shared == {"spark.sql.extensions", "spark.sql.catalog.spark_catalog", "spark.sql.session.timeZone"}
    assert {key: spark_defaults()[key] for key in shared} == {key: ours[key] for key in shared}


def test_every_setting_of_the_defaults_has_its_reason_above_it() -> None:
    for block in text_of("spark-defaults.conf").split("\n\n"):
        assert re.match(r"# \S", block), block


def test_a_cluster_of_emr_has_the_settings_of_spark_defaults() -> None:
    (properties,) = [
        part["Properties"] for part in content("emr/cluster.json") if part["Classification"] == "spark-defaults"
    ]
    plain = {key: value for key, value in properties.items() if not key.startswith("EMR.secret@")}
    assert plain.items() <= spark_defaults().items()
    assert {key.removeprefix("EMR.secret@") for key in properties.keys() - plain.keys()} <= spark_examples().keys()


# --- README.md --------------------------------------------------------------------------------------------------


def test_the_index_names_every_file_and_nothing_else() -> None:
    linked = set(re.findall(r"\]\((?!\.\./|https?:)([\w./-]+)\)", text_of("README.md")))
    assert linked == {name for name in FILES if name != "README.md"}
    assert all((CONF / other).exists() for other in re.findall(r"\]\((\.\./[\w./-]+)\)", text_of("README.md")))


def test_a_spark_of_a_platform_is_one_that_was_tested() -> None:
    table = text_of("README.md").partition("| platform |")[2].partition("\n\n")[0]
    minors = {versions.minor_of(version) for version in re.findall(r"\| (\d+\.\d+\.\d+) \|", table)}
    assert minors
    assert minors <= {row.minor for row in TESTED}
    assert content("emr/serverless-application.json")["releaseLabel"] in table
    (runtime,) = re.findall(r"^(\d+\.\d+)\.x", bundle()["variables"]["runtime"]["default"])
    assert f"Databricks Runtime {runtime}" in table
