from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "tools" / "prerequisites.sh"
SH = shutil.which("sh") or "/bin/sh"
JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"
PYTHON_3_13 = "echo 3.13.1"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Run:
    """Run the script on a machine that has only the commands given, each as the shell script it runs."""

    def run(
        *, env: dict[str, str] | None = None, make: str | None = "true", **commands: str | None
    ) -> subprocess.CompletedProcess[str]:
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        for tool in ("sed", "head"):
            (bin_folder / tool).symlink_to(str(shutil.which(tool)))
        for name, script in {"make": make, **commands}.items():
            if script is not None:
                write_command(bin_folder / name.replace("_", "."), script)
        return subprocess.run(
            [SH, str(SCRIPT)], env={"PATH": str(bin_folder), **(env or {})}, capture_output=True, text=True
        )

    return run


def write_command(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{SH}\n{script}\n")
    path.chmod(0o755)


def assert_lacks(result: subprocess.CompletedProcess[str], *said: str) -> None:
    """Exit 2, and one line on standard error that holds each of *said*."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    for words in said:
        assert words in result.stderr


def test_a_machine_with_everything_is_told_which_python_to_use(check):
    result = check(python3=PYTHON_3_13, java=JAVA_17)

    assert (result.returncode, result.stdout, result.stderr) == (0, "python3\n", "")


def test_a_newer_python_beside_an_old_python3_is_found(check):
    result = check(python3="echo 3.9.2", python3_12="echo 3.12.4", java=JAVA_17)

    assert result.stdout == "python3.12\n"


def test_PYTHON_goes_before_what_is_on_the_path(check, tmp_path):
    write_command(tmp_path / "mine" / "python", "echo 3.11.0")

    result = check(python3=PYTHON_3_13, java=JAVA_17, env={"PYTHON": str(tmp_path / "mine" / "python")})

    assert result.stdout == f"{tmp_path}/mine/python\n"


@pytest.mark.parametrize("version", ["2.7.18", "3.1.5", "3.9.2", "3.10.12"])
def test_an_old_python_is_named_with_the_version_wanted(check, version):
    result = check(python3=f"echo {version}", java=JAVA_17)

    assert_lacks(
        result,
        f"found Python {version} as python3",
        "wanted Python 3.11 or newer",
        "apt-get install",
        "brew install",
    )


def test_no_python_is_told(check):
    assert_lacks(check(java=JAVA_17), "found no Python,", "apt-get install python3 python3-venv", "brew install")


def test_a_PYTHON_that_is_not_there_is_quoted(check):
    result = check(python3=PYTHON_3_13, java=JAVA_17, env={"PYTHON": "/nowhere/python"})

    assert_lacks(result, "found no Python at PYTHON=/nowhere/python")


def test_a_python_without_ensurepip_names_the_package_debian_keeps_it_in(check):
    no_ensurepip = "case $2 in *ensurepip*) exit 1 ;; esac; echo 3.11.2"

    assert_lacks(check(python3=no_ensurepip, java=JAVA_17), "apt-get install python3-venv", "brew install")


def test_no_make_is_told(check):
    assert_lacks(check(make=None, python3=PYTHON_3_13, java=JAVA_17), "found no make", "apt-get install make")


def test_no_java_is_told_with_what_installs_it(check):
    result = check(python3=PYTHON_3_13)

    assert_lacks(
        result,
        "found no Java,",
        "wanted Java 17 or 21",
        "apt-get install openjdk-17",
        "brew install openjdk@17",
    )


def test_the_java_of_macos_that_only_says_where_to_get_one_is_no_java(check):
    stub = "echo 'Unable to locate a Java Runtime.' >&2; exit 1"

    assert_lacks(check(python3=PYTHON_3_13, java=stub), "found no Java,")


@pytest.mark.parametrize(
    ("banner", "told"),
    [
        ('java version "1.8.0_392"', "found Java 1.8.0_392 at "),
        ('openjdk version "11.0.21" 2023-10-17', "found Java 11.0.21 at "),
        ('openjdk version "25" 2025-09-16', "found Java 25 at "),
        ('openjdk version "170.1" 2100-01-01', "found Java 170.1 at "),
        ("something else", "found Java of a version it does not tell at "),
    ],
)
def test_a_java_that_spark_does_not_run_on_is_named_with_those_it_does(check, banner, told):
    assert_lacks(check(python3=PYTHON_3_13, java=f"echo '{banner}' >&2"), told, "wanted Java 17 or 21")


@pytest.mark.parametrize("version", ["17", "17.0.15", "21", "21.0.2"])
def test_java_17_and_21_are_taken_also_below_a_notice_of_java_tool_options(check, version):
    java = f"echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2; echo 'openjdk version \"{version}\" 2024-01-01' >&2"

    assert check(python3=PYTHON_3_13, java=java).returncode == 0


def test_JAVA_HOME_goes_before_the_java_on_the_path(check, tmp_path):
    write_command(tmp_path / "jdk" / "bin" / "java", "echo 'openjdk version \"11.0.21\"' >&2")

    result = check(python3=PYTHON_3_13, java=JAVA_17, env={"JAVA_HOME": str(tmp_path / "jdk")})

    assert_lacks(result, f"found Java 11.0.21 at {tmp_path}/jdk/bin/java")


def test_a_JAVA_HOME_without_java_is_quoted(check):
    result = check(python3=PYTHON_3_13, java=JAVA_17, env={"JAVA_HOME": "/nowhere/jdk"})

    assert_lacks(result, "found no Java at JAVA_HOME=/nowhere/jdk")


def test_a_variable_of_the_callers_does_not_pass_for_a_finding(check):
    assert_lacks(check(java=JAVA_17, env={"python": "python3", "version": "3.13"}), "found no Python")
