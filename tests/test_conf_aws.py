"""Claims about `conf/emr/`: AWS's own description of its requests takes it, and the policy allows what is called."""

from __future__ import annotations

import ast
import re
from copy import deepcopy
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.handlers import generate_idempotent_uuid
from botocore.session import get_session
from botocore.validate import ParamValidator
from deployment import CONF, INTERVAL, ROOT, SUBMITTING, content, job_run_of, operators, submissions

from parsely_spark.doctor.lakes import _Trial
from parsely_spark.sources.kinesis import client as kinesis_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

CLUSTER = {"Name": "x", "Instances": {}}
# The request that each file is, or is a part of.
REQUESTS: dict[str, tuple[str, str]] = {
    "emr/cluster.json": ("emr", "RunJobFlow"),
    "emr/steps.api.json": ("emr", "AddJobFlowSteps"),
    "emr/serverless-application.json": ("emr-serverless", "CreateApplication"),
    "emr/serverless-batch.json": ("emr-serverless", "StartJobRun"),
    "emr/serverless-stream.json": ("emr-serverless", "StartJobRun"),
}
POLICIES = ("emr/policy.json", "emr/service-policy.json")  # of the jobs; of EMR itself, which fetches secrets
OF_JOBS, OF_EMR = ({statement["Sid"]: statement for statement in content(name)["Statement"]} for name in POLICIES)


def operation(service: str, name: str) -> OperationModel:
    return get_session().get_service_model(service).operation_model(name)


def request(name: str) -> dict[str, Any]:
    """The whole request that a file of REQUESTS stands for."""
    whole = content(name)
    if name == "emr/cluster.json":
        return {**CLUSTER, "Configurations": whole}
    return {"JobFlowId": "j-ID", "Steps": whole} if name == "emr/steps.api.json" else whole


def wrong(service: str, name: str, given: dict[str, Any]) -> list[str]:
    """What AWS would not take of a request: by boto's own check, and by what that leaves to the server."""
    model = operation(service, name)
    whole = deepcopy(given)
    generate_idempotent_uuid(whole, model)  # as boto and the AWS CLI do before they send it
    report = ParamValidator().validate(whole, model.input_shape)
    return [report.generate_report()] if report.has_errors() else list(_out_of_bounds(model.input_shape, whole, name))


def _out_of_bounds(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Enumerations, patterns and bounds, which boto has in its description and does not look at."""
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from _out_of_bounds(shape.members[name], one, f"{path}.{name}")  # type: ignore[attr-defined]
        return
    if shape.type_name == "list":
        for number, one in enumerate(value):
            yield from _out_of_bounds(shape.member, one, f"{path}[{number}]")  # type: ignore[attr-defined]
    elif shape.type_name == "map":
        for key, one in value.items():
            yield from _out_of_bounds(shape.key, key, f"{path}.{key}")  # type: ignore[attr-defined]
            yield from _out_of_bounds(shape.value, one, f"{path}.{key}")  # type: ignore[attr-defined]
    size = value if isinstance(value, int) else len(value)
    bounds = shape.metadata
    if not bounds.get("min", size) <= size <= bounds.get("max", size):
        yield f"{path} is {value!r}, out of its bounds"
    if "enum" in bounds and value not in bounds["enum"]:
        yield f"{path} is {value!r}, none of {bounds['enum']}"
    # Java's way to write what lies beyond 16 bits.
    pattern = bounds.get("pattern", "").replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    if pattern and not re.fullmatch(pattern, value):
        yield f"{path} is {value!r}, unlike {pattern}"


# --- requests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_aws_takes_a_file_as_the_request_that_it_is(name: str) -> None:
    assert wrong(*REQUESTS[name], request(name)) == []


def test_aws_takes_what_the_operators_of_a_dag_make() -> None:
    for given in operators("airflow/parsely_lake.py"):
        assert wrong("emr-serverless", "StartJobRun", job_run_of(given, *INTERVAL)) == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("emr/serverless-batch.json", "mode", "STREAM"),
        ("emr/serverless-batch.json", "modus", "BATCH"),
        ("emr/serverless-batch.json", "executionTimeoutMinutes", "180"),
        ("emr/serverless-batch.json", "executionTimeoutMinutes", -1),
        ("emr/serverless-batch.json", "executionRoleArn", "arn:aws:iam::1234:role/parsely-lake"),
        ("emr/serverless-batch.json", "applicationId", "APPLICATION"),
        ("emr/serverless-batch.json", "retryPolicy.maxAttempts", 0),
        ("emr/serverless-batch.json", "jobDriver.sparkSubmit.entryPointArgument", []),
        ("emr/serverless-batch.json", "jobDriver.sparkSubmit.entryPoint", " "),
        ("emr/serverless-application.json", "maximumCapacity.memory", "256 MB"),
        ("emr/serverless-application.json", "releaseLabel", "emr spark"),
        ("emr/steps.api.json", "Steps.0.ActionOnFailure", "CONTINU"),
        ("emr/steps.api.json", "Steps.0.HadoopJarStep.Arguments", []),
        ("emr/cluster.json", "Configurations.0.Properties.delta", True),
    ],
)
def test_a_request_that_aws_would_refuse_is_found(name: str, path: str, value: Any) -> None:
    given = request(name)
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner: Any = given
    for part in above:
        inner = inner[part]
    inner[last] = value
    assert wrong(*REQUESTS[name], given)


def test_the_steps_of_the_command_line_are_those_of_the_api() -> None:
    """`aws emr add-steps` knows the type Spark, and makes of it what the API wants."""
    of_cli = content("emr/steps.cli.json")
    assert [step.pop("Type") for step in of_cli] == ["Spark"] * len(of_cli)
    for step in of_cli:
        step["HadoopJarStep"] = {"Jar": "command-runner.jar", "Args": ["spark-submit", *step.pop("Args")]}
    assert of_cli == content("emr/steps.api.json")


def test_a_job_run_may_be_started_again_from_the_same_file() -> None:
    assert all("clientToken" not in content(name) for name in REQUESTS)


def test_a_job_run_is_retried_by_the_rule_of_its_mode() -> None:
    """AWS takes either rule for either mode, and passes over the wrong one."""
    rules = {"BATCH": {"maxAttempts"}, "STREAMING": {"maxFailedAttemptsPerHour"}}
    modes = {name: content(name)["mode"] for name in REQUESTS if REQUESTS[name][1] == "StartJobRun"}
    assert modes == {"emr/serverless-batch.json": "BATCH", "emr/serverless-stream.json": "STREAMING"}
    assert all(content(name)["retryPolicy"].keys() == rules[mode] for name, mode in modes.items())


def test_a_cluster_has_classifications_that_emr_knows() -> None:
    parts = content("emr/cluster.json")
    assert [part["Classification"] for part in parts] == ["delta-defaults", "spark-defaults"]
    assert parts[0]["Properties"] == {"delta.enabled": "true"}


@pytest.mark.parametrize("name", [name for name in SUBMITTING if name.startswith(("emr/", "airflow/"))])
def test_a_job_on_emr_has_both_halves_of_the_delta_of_the_image(name: str) -> None:
    jars = [f"/usr/share/aws/delta/lib/{jar}.jar" for jar in ("delta-spark", "delta-storage")]
    for submission in submissions(name):
        (py_files,) = submission.values("--py-files")
        assert py_files.split(",")[1:] == jars[:1]
        # On a cluster, the classification delta-defaults brings the jars.
        assert submission.settings.get("spark.jars") == (None if "steps" in name else ",".join(jars))
        assert not submission.values("--packages")


# --- policies ---------------------------------------------------------------------------------------------------


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(action: str, arn: str, *, policy: dict[str, Any] = OF_JOBS) -> bool:
    """Whether the *policy* allows *action* on *arn*: some statement does, and none denies it."""
    effects = {
        statement["Effect"]
        for statement in policy.values()
        if action in listed(statement["Action"])
        if any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
    }
    return effects == {"Allow"}


def object_of(uri: str) -> str:
    return re.sub(r"^s3a?://", "arn:aws:s3:::", uri)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_keeps_to_the_grammar_of_policies(name: str) -> None:
    policy = content(name)
    assert policy.keys() == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    statements = {statement["Sid"]: statement for statement in policy["Statement"]}
    assert len(statements) == len(policy["Statement"])
    for sid, statement in statements.items():
        assert re.fullmatch(r"[A-Za-z0-9]+", sid)
        assert statement.keys() == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] in ("Allow", "Deny")
        for arn in listed(statement["Resource"]):
            service = arn.split(":")[2]
            account = "" if service == "s3" else "us-east-1:123456789012"
            assert re.fullmatch(rf"arn:aws:{service}:{account or ':'}:[\w./*:-]+", arn)
            assert all(re.fullmatch(rf"{service}:[A-Z][A-Za-z]+", action) for action in listed(statement["Action"]))


def test_every_action_is_one_that_aws_has() -> None:
    """An action has the name of a request, but where S3 has one right for several."""
    rights_of_s3 = {"s3:ListBucket": "ListObjectsV2"}
    statements = (*OF_JOBS.values(), *OF_EMR.values())
    for action in {action for statement in statements for action in listed(statement["Action"])}:
        service, name = action.split(":")
        assert operation(service, rights_of_s3.get(action, name))


def test_the_stream_is_allowed_the_requests_that_the_client_makes() -> None:
    client = ast.parse(Path(kinesis_client.__file__).read_text(encoding="utf-8"))
    called = {
        node.attr
        for node in ast.walk(client)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "_client"
        and node.attr != "meta"
    }
    names = {xform_name(name): name for name in get_session().get_service_model("kinesis").operation_names}
    assert {f"kinesis:{names[method]}" for method in called} == set(OF_JOBS["FollowStream"]["Action"])
    assert len(called) == 4


def test_the_policy_and_the_pages_ask_for_the_same_rights() -> None:
    s3, stream = ((ROOT / f"docs/{page}.md").read_text(encoding="utf-8") for page in ("s3", "stream"))
    (raw,), (lake,) = (re.findall(rf"^\| {of} \|(.*)$", s3, re.M) for of in ("raw events", "lake"))
    rights = [set(re.findall(r"s3:\w+", row)) for row in (raw, lake)]
    assert rights == [{"s3:ListBucket", *listed(OF_JOBS[sid]["Action"])} for sid in ("ReadRawEvents", "WriteLake")]
    assert set(re.findall(r"kinesis:\w+", stream)) == set(OF_JOBS["FollowStream"]["Action"])
    readme = (CONF / "README.md").read_text(encoding="utf-8")
    assert all("`sts:AssumeRole`" in page for page in (stream, readme))


def test_the_page_says_which_right_on_a_lake_doctor_does_not_try() -> None:
    tried = {step.action for step in _Trial(None, "s3a://BUCKET/lake", takes_turns=True).on_s3()}  # type: ignore[arg-type]
    (said,) = re.findall(r"^`parsely-spark doctor --source .*", (ROOT / "docs/s3.md").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"s3:\w+", said)) == set(OF_JOBS["WriteLake"]["Action"]) - tried


@pytest.mark.parametrize("name", [name for name in SUBMITTING if not name.startswith("databricks/")])
def test_the_policy_allows_each_place_that_a_file_names(name: str) -> None:
    for submission in submissions(name):
        given = dict(zip(submission.words[1:], submission.words[2:], strict=False))
        if source := given.get("--source"):
            bucket, _, prefix = object_of(source).partition("/")
            assert allows("s3:ListBucket", bucket)
            assert allows("s3:GetObject", f"{bucket}/{prefix}/2026/01/14/00/a.gz")
        for place in filter(None, (given["--lake"], given.get("--checkpoint"))):
            assert allows("s3:ListBucket", object_of(place).partition("/")[0])
            assert allows("s3:GetObject", object_of(place))  # S3A asks whether that is a file
            for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
                assert allows(action, f"{object_of(place)}/events/_delta_log/0.json")
        if stream := given.get("--stream"):
            arn = f"arn:aws:kinesis:{given['--region']}:123456789012:stream/{stream}"
            assert allows("kinesis:GetRecords", arn)
        codes = [file for files in submission.values("--py-files") for file in files.split(",") if file[:3] == "s3:"]
        assert all(allows("s3:GetObject", object_of(code)) for code in codes)


def test_a_turn_can_be_taken_and_given_back_and_never_deleted() -> None:
    lease = "arn:aws:s3:::BUCKET/lake/_leases/events.json"
    assert allows("s3:GetObject", lease)
    assert allows("s3:PutObject", lease)
    assert not allows("s3:DeleteObject", lease)


def test_the_policies_allow_the_secrets_logs_and_code_that_the_files_name() -> None:
    """The secrets to EMR, which fetches them for the configuration of a cluster, and not to the jobs."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted((CONF / "emr").glob("*.json")))
    secrets = set(re.findall(r"arn:aws:secretsmanager[\w:-]+-[A-Za-z]{6}(?=\")", text))
    named = {re.sub(r".*:secret:|-[A-Za-z]{6}$", "", secret) for secret in secrets}
    assert (
        named
        == set(re.findall(r"\"EMR\.secret@(parsely[\w-]+)\"", text))
        == {"parsely-access-key", "parsely-secret-key"}
    )
    other = "arn:aws:secretsmanager:us-east-1:123456789012:secret:parsely-dashboard-AbCdEf"
    for secret in (*secrets, other):
        assert allows("secretsmanager:GetSecretValue", secret, policy=OF_EMR) == (secret in secrets)
        assert not allows("secretsmanager:GetSecretValue", secret)
    assert all(allows("s3:PutObject", f"{object_of(uri)}x") for uri in re.findall(r"s3://BUCKET/logs/", text))
    assert all(allows("s3:GetObject", object_of(uri)) for uri in re.findall(r"s3://BUCKET/code/[\w./-]+", text))
