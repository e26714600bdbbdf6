"""What the files under `conf/` submit, read as the platforms read them."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
FILES = sorted(
    str(file.relative_to(CONF)) for file in CONF.rglob("*") if file.is_file() and "__pycache__" not in file.parts
)
# Of an hourly interval of Airflow's; its times are aware, as here.
INTERVAL = datetime(2026, 1, 14, 23, tzinfo=UTC), datetime(2026, 1, 15, 0, tzinfo=UTC)
# Where the files say that `jobs/` was put: in the bucket, and in the image of the Dockerfile.
_JOB = re.compile(r"(?:s3://BUCKET/code|local:///opt/parsely)/jobs/(\w+)\.py")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One start of a job.

    Attributes:
        words: the command and its flags.
        options: what spark-submit is told before the job's file, in order, with their dashes.
        properties: what the platform puts into Spark's settings beside those.
    """

    words: list[str]
    options: list[tuple[str, str]] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)

    def values(self, option: str) -> list[str]:
        """What is given for one option."""
        return [value for name, value in self.options if name == option]

    @property
    def settings(self) -> dict[str, str]:
        """All settings of Spark that the submission makes."""
        return dict(conf.split("=", 1) for conf in self.values("--conf")) | self.properties


def of_spark_submit(words: Iterable[str], **properties: str) -> Submission:
    """What follows the word spark-submit: options with a value each, the job's file, its flags."""
    rest = list(words)
    options = []
    while rest[0].startswith("--"):
        options.append((rest[0], rest[1]))
        rest = rest[2:]
    return Submission(words=[command_of(rest[0]), *rest[1:]], options=options, properties=properties)


def command_of(job: str) -> str:
    """The command whose file *job* is; the file has to be there."""
    found = _JOB.fullmatch(job)
    assert found, f"{job} is none of the places of jobs/"
    assert (ROOT / "jobs" / f"{found[1]}.py").is_file()
    return found[1]


def text_of(name: str) -> str:
    """A file under `conf/`."""
    return (CONF / name).read_text(encoding="utf-8")


def content(name: str) -> Any:
    """A JSON or YAML file under `conf/`, read."""
    return json.loads(text_of(name)) if name.endswith(".json") else yaml.safe_load(text_of(name))


def _of_cli_steps(name: str) -> list[Submission]:
    return [of_spark_submit(step["Args"]) for step in content(name)]


def _of_api_steps(name: str) -> list[Submission]:
    steps = [step["HadoopJarStep"]["Args"] for step in content(name)]
    assert {words[0] for words in steps} == {"spark-submit"}
    return [of_spark_submit(words[1:]) for words in steps]


def of_job_run(run: dict[str, Any]) -> Submission:
    """One request to EMR Serverless."""
    driver = run["jobDriver"]["sparkSubmit"]
    parts = run["configurationOverrides"].get("applicationConfiguration", [])
    properties = {key: value for part in parts for key, value in part["properties"].items()}
    words = [*shlex.split(driver["sparkSubmitParameters"]), driver["entryPoint"], *driver["entryPointArguments"]]
    return of_spark_submit(words, **properties)


def bundle(*include: str) -> dict[str, Any]:
    """The bundle of Databricks, its files in one, or those that others *include*, and its variables as for `prod`."""
    whole = content("databricks/databricks.yml")
    folder = CONF / "databricks"
    jobs: dict[str, Any] = {}
    for pattern in include or whole["include"]:
        for file in sorted(folder.glob(pattern)):
            own = content(str(file.relative_to(CONF)))["resources"]["jobs"]
            assert not jobs.keys() & own.keys()
            jobs |= own
    defaults = {name: variable["default"] for name, variable in whole["variables"].items()}
    replaced = re.sub(r"\$\{var\.(\w+)\}", lambda match: str(defaults[match[1]]), json.dumps(jobs))
    return {**whole, "resources": {"jobs": json.loads(replaced)}}


def _of_databricks(name: str) -> list[Submission]:
    jobs = bundle(name.removeprefix("databricks/"))["resources"]["jobs"]
    tasks = [task for job in jobs.values() for task in job["tasks"]]
    return [Submission(words=task["python_wheel_task"]["parameters"]) for task in tasks]


def application(name: str) -> dict[str, Any]:
    """The `spec` of a SparkApplication, or of the one that is made by a schedule."""
    spec: dict[str, Any] = content(name)["spec"]
    return spec.get("template", spec)


def _of_operator(name: str) -> list[Submission]:
    spec = application(name)
    words = [command_of(spec["mainApplicationFile"]), *spec["arguments"]]
    return [Submission(words=words, properties=spec.get("sparkConf", {}))]


def _of_script(name: str) -> list[Submission]:
    """Run it, with a program in place of spark-submit that says what it was told."""
    with tempfile.TemporaryDirectory() as home:
        program = Path(home, "bin/spark-submit")
        program.parent.mkdir()
        program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
        program.chmod(0o755)
        environment = {"SPARK_HOME": home, "PATH": "/usr/bin:/bin"}
        said = subprocess.run(["sh", CONF / name], env=environment, capture_output=True, text=True, check=True)
    return [of_spark_submit(said.stdout.splitlines())]


def operators(name: str) -> Iterator[dict[str, Any]]:
    """What each operator of a DAG is given, by keyword.

    Airflow is some hundred packages with pins of its own, which would all come into the lock for one file. So the file
    is not run: its literals are put together, and what is no literal fails.
    """
    module = ast.parse(text_of(name))
    constants = {
        statement.targets[0].id: statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }

    class Literals(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return self.visit(constants[node.id])

        def visit_List(self, node: ast.List) -> ast.AST:
            given = [of.value.elts if isinstance(of, ast.Starred) else [of] for of in node.elts]
            return ast.List([self.visit(one) for some in given for one in some], node.ctx)

    for call in ast.walk(module):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.endswith("Operator"):
            given: dict[str, Any] = {"": call.func.id}
            for keyword in call.keywords:
                value = ast.literal_eval(Literals().visit(keyword.value))
                given |= value if keyword.arg is None else {keyword.arg: value}
            yield given


def rendered(text: str, begin: datetime, end: datetime) -> str:
    """A text as Airflow renders it for the interval from *begin* to *end*."""
    known = {"data_interval_start": begin, "data_interval_end": end, "macros": SimpleNamespace(timedelta=timedelta)}
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(known)


def job_run_of(given: dict[str, Any], begin: datetime, end: datetime) -> dict[str, Any]:
    """The request that Amazon's operator (provider 9.39) makes of its keywords."""
    run = {
        "applicationId": given["application_id"],
        "executionRoleArn": given["execution_role_arn"],
        "jobDriver": given["job_driver"],
        "name": given["name"],
        **given["config"],
        "configurationOverrides": given["configuration_overrides"],
    }
    texts = [rendered(text, begin, end) for text in run["jobDriver"]["sparkSubmit"]["entryPointArguments"]]
    return run | {"jobDriver": {"sparkSubmit": run["jobDriver"]["sparkSubmit"] | {"entryPointArguments": texts}}}


def _of_dag(name: str) -> list[Submission]:
    return [of_job_run(job_run_of(given, *INTERVAL)) for given in operators(name)]


# How each file that starts jobs is read.
SUBMITTING: dict[str, Callable[[str], list[Submission]]] = {
    "airflow/parsely_lake.py": _of_dag,
    "databricks/resources/batch.job.yml": _of_databricks,
    "databricks/resources/maintain.job.yml": _of_databricks,
    "databricks/resources/stream.job.yml": _of_databricks,
    "databricks/resources/verify.job.yml": _of_databricks,
    "databricks/serverless/batch.job.yml": _of_databricks,
    "databricks/serverless/verify.job.yml": _of_databricks,
    "emr/serverless-batch.json": lambda name: [of_job_run(content(name))],
    "emr/serverless-stream.json": lambda name: [of_job_run(content(name))],
    "emr/steps.api.json": _of_api_steps,
    "emr/steps.cli.json": _of_cli_steps,
    "k8s/batch.yaml": _of_operator,
    "k8s/stream.yaml": _of_operator,
    "k8s/submit.sh": _of_script,
}


def submissions(name: str) -> list[Submission]:
    """What one of the files of SUBMITTING submits."""
    return SUBMITTING[name](name)


def spark_defaults() -> dict[str, str]:
    """The settings of `conf/spark-defaults.conf`, each once."""
    return _settings(line for line in _defaults_lines() if not line.startswith("#"))


def spark_examples() -> dict[str, str]:
    """The settings that it shows switched off."""
    return _settings(line[1:] for line in _defaults_lines() if line.startswith("#spark."))


def _defaults_lines() -> list[str]:
    return [line for line in text_of("spark-defaults.conf").splitlines() if line]


def _settings(lines: Iterable[str]) -> dict[str, str]:
    pairs = [line.split(maxsplit=1) for line in lines]
    assert all(len(pair) == 2 for pair in pairs), "a key without a value"
    settings = {key: value.strip() for key, value in pairs}
    assert len(settings) == len(pairs), "a key that is there twice"
    return settings
