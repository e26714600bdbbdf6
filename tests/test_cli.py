"""Claims about the console command and the files under `jobs/`: what is said, exit codes, nothing started in vain."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parsely_spark import __version__, cli, commands
from parsely_spark.cli import main
from parsely_spark.commands import RUN
from parsely_spark.config import flag_of
from parsely_spark.declaration import declared
from parsely_spark.errors import LakeError
from parsely_spark.settings import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "parsely_spark"]
LAKE = "--lake lake"

# What is typed, in a folder as `place` below makes it, and what is said of it after the program's name.
WRONG = {
    "bacth": "'bacth' is no command (did you mean batch?); give one of batch, stream, rebuild, verify, status, "
    "maintain, migrate, forget, register, report, generate, demo, doctor.",
    "xyz": "'xyz' is no command; give one of batch, stream, rebuild, verify, status, maintain, migrate, "
    "forget, register, report, generate, demo, doctor.",
    "--json batch": "--json stands where the command is wanted; give one of batch, stream, rebuild, verify, status, "
    "maintain, migrate, forget, register, report, generate, demo, doctor before all flags.",
    "batch --sorce raw": "--sorce is no flag (did you mean --source?); see `parsely-spark batch --help`.",
    "batch --confg=f": "--confg is no flag (did you mean --config?); see `parsely-spark batch --help`.",
    "batch --sour raw": "--sour is no flag (did you mean --source?); see `parsely-spark batch --help`.",
    "batch --xyz": "--xyz is no flag; see `parsely-spark batch --help`.",
    "batch --source raw old": "'old' is one word too many; see `parsely-spark batch --help`.",
    "batch --lake": "--lake wants a value, but none follows; see `parsely-spark batch --help`.",
    "batch --lake --json": "--lake wants a value, but none follows; see `parsely-spark batch --help`.",
    "batch --json=1": "--json/--no-json takes no value, but is given '1'; see `parsely-spark batch --help`.",
    f"batch {LAKE}": "no --source URI given; see `parsely-spark batch --help`.",
    "generate": "no --out DIR given; see `parsely-spark generate --help`.",
    "batch --source raw": "neither of --lake URI and --catalog NAME given; give one of them.",
    "doctor --lake file": "--lake='file' is a file; name a folder, which may be new.",
    "doctor --source ftp://h/x": "--source='ftp://h/x' has the unknown scheme ftp:; "
    "write a local path, s3a:// or s3://.",
    f"doctor {LAKE} --catalog a.b": "both --lake and --catalog are given; give one of them.",
    f"batch --source raw {LAKE} --catalog a.b": "both --lake and --catalog are given; give one of them.",
    "batch --source raw --lake file": "--lake='file' is a file; name a folder, which may be new.",
    "batch --source raw --lake file/x": "--lake='file/x' lies below {place}/file, which is a file; "
    "name a folder, which may be new.",
    f"batch --source gone {LAKE}": "--source='gone' does not exist; "
    "give the events/ prefix of the raw events or the folder above it.",
    f"batch --source raw --source file {LAKE}": "--source='file' is a file and no *.csv; "
    "give the events/ prefix of the raw events or the folder above it.",
    f"batch --source empty {LAKE}": "--source='empty' has no YYYY/MM/DD folders; "
    "give the events/ prefix of the raw events or the folder above it.",
    f"batch --source ftp://h/x {LAKE}": "--source='ftp://h/x' has the unknown scheme ftp:; "
    "write a local path, s3a:// or s3://.",
    f"batch --source s3a:// {LAKE}": "--source='s3a://' names no bucket; write s3a://bucket/prefix.",
    "demo --events -5": "--events=-5 is less than 1; give a whole number of 1 or more.",
    "demo --hours 1.5": "--hours='1.5' is not a whole number; write up to 18 digits.",
    "demo --s3-endpoint-url h:9000": "--s3-endpoint-url='h:9000' is not the address of a server; "
    "write http://host:port or https://host.",
    "generate --out raw": "--out='raw' has raw events in it already; name a new folder or delete it.",
    "generate --out file": "--out='file' is a file; name a folder, which may be new.",
    f"report {LAKE} --from 14.1.2026": "--from='14.1.2026' is no date; write YYYY-MM-DD.",
    f"report {LAKE} --from 2026-01-14T10": "--from='2026-01-14T10' is no date; write YYYY-MM-DD.",
    f"report {LAKE} --from 2026-02-01 --until 2026-01-01": "from=2026-02-01 is not before until=2026-01-01; "
    "no date lies between them.",
    f"report {LAKE} --from 2024-01-01 --until 2026-01-01": "from=2024-01-01 until=2026-01-01 are 731 days; a report is "
    "about 366 at most, give dates closer to each other.",
    f"report {LAKE} --timezone Berlin": "--timezone='Berlin' is no time zone; write a name such as America/New_York.",
    f"report {LAKE} --out empty": "--out='empty' is a folder; name a file in it.",
    f"report {LAKE} --out gone/x.html": "--out='gone/x.html' lies in a folder that does not exist; "
    "make it, or name another file.",
    f"report {LAKE} --out s3://b/x.html": "--out='s3://b/x.html' is a URI, but this is written to the machine at hand; "
    "name a local file.",
    "report": "neither of --lake URI and --catalog NAME given; give one of them.",
    "demo --config gone.toml": "--config gone.toml does not exist; conf/parsely.toml is an example.",
    "demo --config broken.toml": "--config broken.toml is not TOML: Invalid value (at line 1, column 8); "
    "mend it there.",
    "demo --config wrong.toml": "wrong.toml: sead is no setting (did you mean seed?); docs/settings.md lists them all.",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with some things in it, and an environment without settings."""
    for variable in [name for name in os.environ if name.startswith("PARSELY_SPARK_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    for folder in ("raw/events/2026/01/14/12", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "broken.toml").write_text("lake = s3a")
    (tmp_path / "wrong.toml").write_text("sead = 1")
    return tmp_path


def exit_code(*words: str, command: str | None = None) -> object:
    """The code with which the program leaves."""
    try:
        return main(words, command=command)
    except SystemExit as leaving:
        return leaving.code


# Wrong usage


@pytest.mark.parametrize("typed", WRONG)
def test_wrong_usage_is_told_in_a_sentence_and_is_exit_code_2(
    place: Path, typed: str, capsys: pytest.CaptureFixture[str]
):
    words = typed.split()
    program = f"parsely-spark {words[0]}" if words[0] in COMMANDS else "parsely-spark"
    assert exit_code(*words) == 2
    assert capsys.readouterr() == ("", f"{program}: {WRONG[typed].format(place=place)}\n")
    assert not (place / "lake").exists()


def test_a_wrong_variable_is_exit_code_2(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PARSELY_SPARK_HOURS", "all")
    assert exit_code("demo") == 2
    said = "parsely-spark demo: PARSELY_SPARK_HOURS='all' is not a whole number; write up to 18 digits.\n"
    assert capsys.readouterr() == ("", said)


def test_wrong_usage_help_and_generate_start_nothing(place: Path):
    program = """
import json, sys
from parsely_spark.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        codes.append(main(words))
    except SystemExit as leaving:
        codes.append(leaving.code)
loaded = {name.split(".")[0] for name in sys.modules}
print(json.dumps([codes, sorted(loaded & {"pyspark", "py4j", "delta", "pyarrow", "boto3"})]), file=sys.stderr)
"""
    right = ["--help", "batch --help", "generate --out new --events 9 --hours 1"]
    words = [typed.split() for typed in (*WRONG, *right)]
    done = subprocess.run([sys.executable, "-c", program, json.dumps(words)], capture_output=True, check=True)
    codes, loaded = json.loads(done.stderr.splitlines()[-1])
    assert codes == [2] * len(WRONG) + [0] * len(right)
    assert loaded == []


# Help


def test_without_a_command_the_help_is_shown_and_it_is_exit_code_2(capsys: pytest.CaptureFixture[str]):
    assert exit_code("--help") == 0
    help_text, _ = capsys.readouterr()
    assert exit_code() == 2
    assert capsys.readouterr() == ("", help_text)


def test_the_help_has_a_line_for_each_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "80")
    assert exit_code("--help") == 0
    listed = capsys.readouterr().out.split("\n  COMMAND\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(maxsplit=1) for line in listed] == [[name, RUN[name].__doc__] for name in COMMANDS]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_each_flag_with_its_meaning(command: str, capsys: pytest.CaptureFixture[str]):
    assert exit_code(command, "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, field in declared(COMMANDS[command]).items():
        assert flag_of(name) in shown
        assert field.metadata["meaning"] in shown


def test_every_command_has_settings_and_something_to_run():
    assert list(RUN) == list(COMMANDS)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]):
    assert exit_code("--version") == 0
    assert capsys.readouterr() == (f"parsely-spark {__version__}\n", "")


# How a run ends


def test_generate_writes_a_bucket_and_tells_what_is_in_it(place: Path, capsys: pytest.CaptureFixture[str]):
    words = ("generate", "--out", "new", "--events", "40", "--hours", "2", "--seed", "3", "--json")
    assert exit_code(*words) == 0
    out, err = capsys.readouterr()
    made = json.loads(out)
    assert made["events"] == 40
    assert made["files"] == len(list((place / "new/events").glob("*/*/*/*/*.gz")))
    assert re.fullmatch(r"\d\d:\d\d:\d\dZ generate +\d+\.\d s  40 events\n", err)
    assert exit_code(*words) == 2


def test_a_failure_is_told_in_a_sentence_and_is_exit_code_1(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(settings: object) -> None:
        raise LakeError("lake is gone; run rebuild.")

    monkeypatch.setitem(RUN, "demo", fail)
    assert exit_code("demo") == 1
    assert capsys.readouterr() == ("", "parsely-spark demo: lake is gone; run rebuild.\n")


def test_main_returns_when_all_is_done_and_leaves_only_when_it_is_not(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(RUN, "demo", lambda settings: None)
    assert main(["demo"]) == 0  # a platform may take even an exit with 0 for a failure
    with pytest.raises(SystemExit) as leaving:
        main(["demo", "--xyz"])  # and not look at a code that is returned
    assert leaving.value.code == 2


def test_a_bug_keeps_its_traceback(place: Path, monkeypatch: pytest.MonkeyPatch):
    def stumble(settings: object) -> None:
        raise ValueError("bug")

    monkeypatch.setitem(RUN, "demo", stumble)
    with pytest.raises(ValueError, match="bug"):
        main(["demo"])


def test_an_interruption_is_exit_code_130_and_one_line(place: Path):
    words = ["generate", "--out", "new", "--events", "5000000"]
    child = subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # What a shell starts in the background ignores the signal, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (place / "new/events").exists() and child.poll() is None:
        time.sleep(0.02)
    time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)  # what Ctrl-C on a terminal does
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, b"")
    assert err == b"parsely-spark generate: interrupted before it was done.\n"


def test_the_tracebacks_that_py4j_logs_of_an_interrupted_call_are_left_out():
    # Both are logged and raised: the first by Ctrl-C in a call, the second by PySpark's own handler of it.
    for said in ("KeyboardInterrupt while sending command.", "Exception while sending command."):
        assert not commands._is_not_raised_as_well(logging.makeLogRecord({"msg": said}))
    assert commands._is_not_raised_as_well(logging.makeLogRecord({"msg": "anything else"}))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("typed", ["batch --help", "--version", "generate --out new --events 9 --hours 1 --json"])
def test_a_reader_that_has_gone_is_exit_code_141_and_no_complaint(place: Path, typed: str, unbuffered: str):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    words = [*PROGRAM, *typed.split()]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    # Without a buffer, argparse itself meets the broken pipe and says nothing of it.
    assert done.returncode == (0 if unbuffered and "generate" not in typed else 141)
    assert re.fullmatch(rb"(\S+ generate .* 9 events\n)?", done.stderr)


def test_a_pipe_inside_that_breaks_is_not_taken_for_the_readers(place: Path, monkeypatch: pytest.MonkeyPatch):
    def stumble(settings: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setitem(RUN, "demo", stumble)
    monkeypatch.setattr(cli, "_nobody_reads", lambda: False)
    with pytest.raises(BrokenPipeError):
        main(["demo"])


def test_a_closed_output_is_no_reason_to_fail(place: Path):
    words = ["generate", "--out", "new", "--events", "9", "--hours", "1", "--json"]
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', *PROGRAM, *words], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


# The files under jobs/


def test_there_is_a_job_for_each_command_and_they_differ_in_its_name_only():
    jobs = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "jobs").glob("*.py")}
    assert sorted(jobs) == sorted(COMMANDS)
    bodies = set()
    for name, text in jobs.items():
        about = (RUN[name].__doc__ or "").removesuffix(".")
        assert ast.get_docstring(ast.parse(text)) == f"{about}: `spark-submit jobs/{name}.py --help`."
        bodies.add(text.split('"""', 2)[2].replace(f'"{name}"', "NAME"))
    assert len(bodies) == 1
    assert len(bodies.pop().splitlines()) < 10


@pytest.mark.parametrize("command", COMMANDS)
def test_a_job_has_the_flags_of_its_command(place: Path, command: str):
    job = [sys.executable, str(ROOT / "jobs" / f"{command}.py")]
    helps = [
        subprocess.run([*words, "--help"], capture_output=True, check=True).stdout
        for words in (job, [*PROGRAM, command])
    ]
    assert helps[0] == helps[1]
    wrong = subprocess.run([*job, "--xyz"], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert (
        wrong.stderr == f"parsely-spark {command}: --xyz is no flag; see `parsely-spark {command} --help`.\n".encode()
    )


def test_a_job_takes_flags_and_no_command(place: Path, capsys: pytest.CaptureFixture[str]):
    assert exit_code("batch", command="batch") == 2
    assert capsys.readouterr().err == (
        "parsely-spark batch: 'batch' is one word too many; see `parsely-spark batch --help`.\n"
    )
