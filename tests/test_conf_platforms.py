"""Claims about `conf/` for Databricks, Kubernetes and Airflow: each file is one that its platform takes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from datetime import timedelta
from typing import Any

import pytest
from databricks.bundles.jobs import Job
from deployment import (
    CONF,
    FILES,
    INTERVAL,
    ROOT,
    application,
    bundle,
    content,
    job_run_of,
    of_job_run,
    operators,
    submissions,
    text_of,
)

from parsely_spark import __version__, versions
from parsely_spark.cli import understand

FIRST = versions.tested_versions()[0]


# --- Databricks -------------------------------------------------------------------------------------------------


ON_CLUSTERS = ("resources/maintain.job.yml", "resources/stream.job.yml")
SERVERLESS = ("serverless/*.job.yml", *ON_CLUSTERS)  # as databricks.yml says it


def jobs(*include: str) -> dict[str, dict[str, Any]]:
    return dict(bundle(*include)["resources"]["jobs"])


def is_taken(job: dict[str, Any]) -> bool:
    """Whether Databricks' own classes know each field and value, and would change none.

    They make a text of a number, or a number of a text, and say nothing.
    """
    try:
        return bool(Job.from_dict(job).as_dict() == job)
    except (TypeError, ValueError):
        return False


@pytest.mark.parametrize("include", [(), SERVERLESS], ids=["clusters", "serverless"])
def test_databricks_takes_each_job_as_it_is(include: tuple[str, ...]) -> None:
    assert [name for name, job in jobs(*include).items() if not is_taken(job)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"max_concurent_runs": 1},
        {"max_concurrent_runs": "1"},
        {"schedule": {"quartz_cron_expression": "0 0 * * * ?", "timezone": "UTC"}},
        {"continuous": {"pause_status": "RUNNING"}},
        {"tasks": [{"task_key": "x", "python_wheel_task": {"package_name": "x", "entrypoint": "x"}}]},
        {"tasks": [{"task_key": 1}]},
    ],
)
def test_a_job_that_databricks_would_refuse_is_found(change: dict[str, Any]) -> None:
    assert not is_taken(jobs()["parsely_batch"] | change)


def test_a_task_calls_the_entry_point_of_the_wheel_that_the_bundle_builds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    artifact = bundle()["artifacts"]["wheel"]
    built = (CONF / "databricks" / artifact["path"]).resolve() / "dist"
    assert built == ROOT / "dist"
    assert re.search(rf"^{artifact['build'].removeprefix('make ')}: ", (ROOT / "Makefile").read_text(), re.M)
    for job in jobs().values():
        keys = {cluster["job_cluster_key"] for cluster in job["job_clusters"]}
        for task in job["tasks"]:
            assert task["python_wheel_task"]["entry_point"] in project["scripts"]
            assert task["python_wheel_task"]["package_name"].replace("_", "-") == project["name"]
            assert task["job_cluster_key"] in keys
            (library,) = task["libraries"]
            assert (CONF / "databricks/resources" / library["whl"]).resolve() == built / "*.whl"


def test_serverless_compute_has_the_same_jobs_with_the_wheel_in_an_environment() -> None:
    assert ", ".join(SERVERLESS) in text_of("databricks/databricks.yml")
    usual, serverless = jobs(), jobs(*SERVERLESS)
    assert usual.keys() == serverless.keys()
    assert {name for name, job in serverless.items() if "job_clusters" in job} == jobs(*ON_CLUSTERS).keys()
    for name in usual.keys() - jobs(*ON_CLUSTERS).keys():
        (usually,), (task,) = usual[name].pop("tasks"), serverless[name].pop("tasks")
        assert task["python_wheel_task"] == usually["python_wheel_task"]
        (environment,) = serverless[name].pop("environments")
        assert task["environment_key"] == environment["environment_key"]
        (wheel,) = environment["spec"]["dependencies"]
        assert (CONF / "databricks/serverless" / wheel).resolve() == ROOT / "dist/*.whl"
        del usual[name]["job_clusters"]
        assert serverless[name] == usual[name]


def test_a_bundle_uses_each_of_its_variables_and_no_setting_of_s3() -> None:
    texts = "".join(text_of(name) for name in FILES if name.startswith("databricks/"))
    assert set(re.findall(r"\$\{var\.(\w+)\}", texts)) == bundle()["variables"].keys()
    assert not re.findall(r"s3a|spark\.hadoop|spark_conf", texts)


def test_a_job_of_databricks_starts_by_a_clock_or_runs_without_an_end() -> None:
    clocks = {name: job["schedule"]["quartz_cron_expression"] for name, job in jobs().items() if "schedule" in job}
    assert clocks.keys() == {"parsely_batch", "parsely_verify", "parsely_maintain"}
    # Quartz: seconds first, and one of the two kinds of days is a question mark.
    assert all(re.fullmatch(r"0 \d+ (\*|\d+) \* \* \?", clock) for clock in clocks.values())
    assert [name for name, job in jobs().items() if "continuous" in job] == ["parsely_stream"]


def test_a_stream_on_databricks_is_read_by_databricks() -> None:
    (submission,) = submissions("databricks/resources/stream.job.yml")
    assert understand(submission.words)[1].reader == "databricks"  # type: ignore[attr-defined]


# --- Kubernetes -------------------------------------------------------------------------------------------------

# Of the CRDs of the Spark operator, v1beta2, release 2.5; those that are wanted, and of the rest those that are used.
WANTED = {"driver", "executor", "mainApplicationFile", "sparkVersion", "type"}
KNOWN = WANTED | {"arguments", "image", "mode", "pythonVersion", "restartPolicy", "sparkConf"}
OF_PODS = {"cores", "memory", "serviceAccount", "instances"}
CHOICES = {"type": {"Python"}, "mode": {"cluster"}, "pythonVersion": {"3"}}


@pytest.mark.parametrize("name", ["k8s/batch.yaml", "k8s/stream.yaml"])
def test_an_application_of_the_spark_operator_has_the_fields_that_it_knows(name: str) -> None:
    whole, spec = content(name), application(name)
    assert whole["apiVersion"] == "sparkoperator.k8s.io/v1beta2"
    assert WANTED <= spec.keys() <= KNOWN
    assert all(spec[key] in choices for key, choices in CHOICES.items())
    assert spec["driver"].keys() <= OF_PODS - {"instances"}
    assert spec["executor"].keys() <= OF_PODS
    assert all(isinstance(word, str) for word in (*spec["arguments"], *spec.get("sparkConf", {}).values()))
    assert spec["restartPolicy"].keys() == {"type"}


def test_a_batch_starts_by_the_hour_and_never_twice_and_a_stream_whenever_it_has_ended() -> None:
    batch, stream = content("k8s/batch.yaml"), content("k8s/stream.yaml")
    assert batch["kind"] == "ScheduledSparkApplication"
    assert re.fullmatch(r"\d+ \* \* \* \*", batch["spec"]["schedule"])
    kept = {key: batch["spec"][key] for key in batch["spec"].keys() - {"schedule", "template"}}
    assert kept == {"timeZone": "UTC", "concurrencyPolicy": "Forbid"}
    assert batch["spec"]["template"]["restartPolicy"]["type"] == "Never"
    assert stream["kind"] == "SparkApplication"
    assert stream["spec"]["restartPolicy"]["type"] == "Always"


def test_pods_run_the_image_that_the_dockerfile_makes() -> None:
    (built,) = re.findall(r"docker build .*-t (\S+) ", text_of("k8s/Dockerfile"))
    (submitted,) = submissions("k8s/submit.sh")
    assert submitted.settings["spark.kubernetes.container.image"] == built
    for name in ("k8s/batch.yaml", "k8s/stream.yaml"):
        assert (application(name)["image"], application(name)["sparkVersion"]) == (built, FIRST.spark)
    keys = {key: value for key, value in submitted.settings.items() if "PARSELY" in key or "SITE" in key}
    assert application("k8s/batch.yaml")["sparkConf"] == keys


def test_the_image_has_the_spark_jars_and_python_that_were_tested_together() -> None:
    text = text_of("k8s/Dockerfile")
    assert re.findall(r"^FROM (.*)$", text, re.M) == [f"apache/spark:{FIRST.spark}-scala2.13-java{FIRST.java}-ubuntu"]
    assert set(re.findall(r"python(3\.\d+)", text)) == {FIRST.python}
    _, artifact, version = FIRST.delta_jar.split(":")
    (path,) = re.findall(r"^ENV PYTHONPATH=(\S+)$", text, re.M)
    assert path.split(":") == [
        f"/opt/parsely/parsely_spark-{__version__}.zip",
        f"/opt/spark/jars/{artifact}-{version}.jar",
    ]
    copied = dict(re.findall(r"^COPY (\S+) (\S+)$", text, re.M))
    assert copied == {
        ".venv/lib/python3.*/site-packages/pyspark/jars/": "/opt/spark/jars/",
        f"dist/parsely_spark-{__version__}.zip": "/opt/parsely/",
        "jobs/": "/opt/parsely/jobs/",
    }


def test_the_script_says_what_is_missing_before_it_submits_anything() -> None:
    done = subprocess.run(["sh", CONF / "k8s/submit.sh"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"set it to a Spark {FIRST.minor}" in done.stderr


# --- Airflow ----------------------------------------------------------------------------------------------------

DAG = "airflow/parsely_lake.py"
# Of EmrServerlessStartJobOperator in Amazon's provider 9.39, and of every operator.
TAKES = {"application_id", "execution_role_arn", "job_driver", "configuration_overrides", "client_request_token"}
TAKES |= {"config", "wait_for_completion", "name", "waiter_max_attempts", "waiter_delay", "deferrable"}
TAKES |= {"task_id", "retries"}


def test_the_operators_of_a_dag_are_given_what_they_take() -> None:
    for given in operators(DAG):
        assert given.pop("") == "EmrServerlessStartJobOperator"
        assert given.keys() <= TAKES
        assert given["waiter_delay"] * given["waiter_max_attempts"] > 60 * given["config"]["executionTimeoutMinutes"]


def test_a_dag_runs_the_jobs_as_emr_serverless_is_told_to_elsewhere() -> None:
    elsewhere = of_job_run(content("emr/serverless-batch.json"))
    for given in operators(DAG):
        submission = of_job_run(job_run_of(given, *INTERVAL))
        assert (submission.options, submission.properties) == (elsewhere.options, elsewhere.properties)


def test_the_intervals_of_a_dag_follow_one_another_and_look_back_for_late_files() -> None:
    (hourly,) = [given for given in operators(DAG) if given["task_id"] == "batch"]
    hours = []
    for later in range(3):
        interval = [at + timedelta(hours=later) for at in INTERVAL]
        settings: Any = understand(of_job_run(job_run_of(hourly, *interval)).words)[1]
        hours.append((settings.begin, settings.end))
    assert hours == [
        ("2026/01/14/17", "2026/01/15/00"),
        ("2026/01/14/18", "2026/01/15/01"),
        ("2026/01/14/19", "2026/01/15/02"),
    ]


def test_a_dag_says_its_intervals_in_full() -> None:
    """Of what Airflow makes of a text such as "@hourly", the intervals have no length, and no hour would be read."""
    schedules = re.findall(r"^    schedule=(\w+)\(\"(.*)\", timezone=\"UTC\"\),$", text_of(DAG), re.M)
    assert [kind for kind, _ in schedules] == ["CronDataIntervalTimetable"] * text_of(DAG).count("with DAG(")
    assert schedules[0][1] == "0 * * * *"


def test_a_dag_and_its_row_say_since_which_airflow_there_is_what_it_imports() -> None:
    """Of apache-airflow-task-sdk, 1.1 goes with Airflow 3.1 and has no such timetable; 1.2 goes with 3.2."""
    assert "from airflow.sdk import DAG, CronDataIntervalTimetable" in text_of(DAG)
    (row,) = [line for line in text_of("README.md").splitlines() if f"({DAG})" in line]
    assert all("Airflow 3.2 or newer" in text for text in (row, text_of(DAG)))
