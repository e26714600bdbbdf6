"""Which Java Spark starts, and whether it is fit for that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_FIT = ("17", "21")
_VECTOR = "jdk.incubator.vector"  # Spark 4 starts with it; a runtime that was cut down for a program may lack it
_WANTED = (
    "wanted is Java 17, which the tests run on, or 21: on Debian or Ubuntu `apt-get install openjdk-17-jre-headless`"
)


def find_java() -> Path:
    """The Java that Spark starts, which need not exist."""
    home = os.environ.get("JAVA_HOME")
    return Path(home, "bin", "java") if home else Path(shutil.which("java") or "java")


def version_of(java: Path) -> str | None:
    """The version that *java* says it is, such as 17.0.15; None where it says none."""
    found = re.search(r'version "([^"]+)"', _run(java, "-version").stderr)
    return found[1] if found else None


def why_unfit() -> str | None:
    """Why Spark cannot start with the Java that there is, and what helps; None where it can."""
    home, java = os.environ.get("JAVA_HOME"), find_java()
    if not java.exists():
        where = f"JAVA_HOME={home} has no bin/java" if home else "no java on the PATH"
        return f"{where}; {_WANTED}."
    version = version_of(java)
    if version is None or re.split(r"[.+-]", version)[0] not in _FIT:
        return f"{java} is Java {version or 'of no version that it would tell'}; {_WANTED}."
    if _run(java, f"--add-modules={_VECTOR}", "-version").returncode:
        return f"{java} (Java {version}) lacks the module {_VECTOR}, which Spark starts with; install a whole one."
    return None


def _run(java: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([java, *words], capture_output=True, text=True, check=False)
    except OSError:  # it is no program, or none for this machine
        return subprocess.CompletedProcess([java, *words], 126, "", "")
