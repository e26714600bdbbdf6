"""A standalone Spark cluster on this machine: a master and workers as processes on loopback, and spark-submit to it.

Its Python is a virtual environment with nothing in it, for the driver and for the executors: what a job imports came
with Spark or with spark-submit. It reads no settings, no cache and no home folder but its own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import venv
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark

if TYPE_CHECKING:
    from collections.abc import Iterator

SPARK_HOME = Path(pyspark.__file__).parent
WORKERS = 2
# Each JVM lives for seconds: with the first of Java's two compilers alone, all of them take half the CPU time. That
# comes with a small code cache, and a JVM whose cache is full says so on standard output. To verify Spark's classes is
# a fifth of what is left of a short run.
SHORT_LIFE = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=128m -XX:+UseSerialGC -XX:MetaspaceSize=192m "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
# What the administrator of a cluster writes into conf/spark-defaults.conf.
DEFAULTS = {
    "spark.master.rest.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.driver.extraJavaOptions": SHORT_LIFE,
    "spark.executor.extraJavaOptions": SHORT_LIFE,
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
    # The first task waits for every executor, so that each has its part.
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
    "spark.sql.shuffle.partitions": "3",
    "spark.databricks.delta.snapshotPartitions": "2",
}
# And into core-site.xml; on EMR s3:// is its own file system.
CORE_SITE = """<configuration>
<property><name>fs.s3.impl</name><value>com.example.TheirFileSystem</value></property>
<property><name>fs.s3a.retry.limit</name><value>9</value></property>
</configuration>"""
START_S, STOP_S, JOB_S = 60, 20, 240


@dataclass(frozen=True)
class Submitted:
    """What came of one spark-submit."""

    exit_code: int
    output: list[str]  # lines of its standard output: those of the job's standard output and standard error
    log: list[str]  # lines of its standard error: what Spark says
    events: list[dict[str, Any]]  # of the application, as Spark logs them; none if no application was started

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event["Event"] == f"SparkListener{kind}"]

    @property
    def properties(self) -> dict[str, str]:
        """The settings that the application had."""
        (environment,) = self.of_kind("EnvironmentUpdate")
        return dict(environment["Spark Properties"])


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    master: str  # spark://127.0.0.1:port
    folder: Path  # everything that its processes write; the executors run in its folder "work"
    environment: dict[str, str]

    def kill_an_executor(self) -> None:
        """As if its machine failed: SIGKILL."""
        for process in Path("/proc").iterdir():
            with suppress(OSError):  # one that has ended, or is not ours
                is_ours = (process / "cwd").resolve().is_relative_to(self.folder / "work")
                if is_ours and b"CoarseGrainedExecutorBackend" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        raise RuntimeError(f"no executor runs in {self.folder / 'work'}")

    def submit(self, *words: str | Path) -> Submitted:
        """Run `spark-submit --master ... --deploy-mode client` with *words*, in a folder of its own."""
        here = self.folder / f"submit-{len(list(self.folder.glob('submit-*')))}"
        (here / "events").mkdir(parents=True)
        to_cluster = ("--master", self.master, "--deploy-mode", "client")
        logged = ("--conf", f"spark.eventLog.dir={(here / 'events').as_uri()}")
        command = [SPARK_HOME / "bin/spark-submit", *to_cluster, *logged, *words]
        output, log = here / "output", here / "log"
        with _running(command, self.environment, cwd=here, output=output, log=log) as submit:
            exit_code = submit.wait(JOB_S)
        # A file whose application has not said goodbye has another name, which ends in .inprogress.
        logs = list((here / "events").glob("app-*[0-9]"))
        events = [json.loads(line) for file in logs for line in file.read_text().splitlines()]
        return Submitted(exit_code, output.read_text().splitlines(), log.read_text().splitlines(), events)


@contextmanager
def standalone_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster that writes to *folder* only; whatever happens in the block, its processes end with it."""
    environment = _environment(folder)
    host = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    with ExitStack() as processes:

        def start(name: str, kind: str, *words: str | Path) -> tuple[subprocess.Popen[bytes], Path]:
            command = [SPARK_HOME / "bin/spark-class", f"org.apache.spark.deploy.{kind}", *words, *host]
            log = folder / f"{name}.log"
            running = _running(command, environment, cwd=folder, output=log, log=log)
            return processes.enter_context(running), log

        master = _said(*start("master", "master.Master"), r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
        small = ("--cores", "1", "--memory", "1g")
        workers = [
            start(name, "worker.Worker", master, *small, "--work-dir", folder / "work" / name)
            for name in (f"worker-{number}" for number in range(WORKERS))
        ]
        for worker in workers:
            _said(*worker, f"Successfully registered with master ({master})")
        yield Cluster(master, folder, environment)


def _environment(folder: Path) -> dict[str, str]:
    """The environment of the cluster's processes, and the files that it names."""
    conf, home, python = (folder / name for name in ("conf", "home", "python"))
    for new in (conf, home):
        new.mkdir(parents=True)
    (conf / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in DEFAULTS.items()))
    (conf / "core-site.xml").write_text(CORE_SITE)
    venv.create(python, symlinks=True)
    inherited = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
    return {
        **inherited,
        "HOME": str(home),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": SHORT_LIFE,
        "SPARK_LAUNCHER_OPTS": SHORT_LIFE,
        "PYSPARK_PYTHON": str(python / "bin/python"),
    }


@contextmanager
def _running(
    command: list[str | Path], environment: dict[str, str], *, cwd: Path, output: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* during the block; what it started ends with it, being in the same new group of processes."""
    with output.open("ab") as stdout, log.open("ab") as stderr:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # Only while the process has not been waited for is its number, which is that of the group, surely its own.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _said(process: subprocess.Popen[bytes], log: Path, wanted: str) -> str:
    """Wait until *log* has the *wanted* pattern, and return its group."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        ended = process.poll()
        if found := re.search(wanted, log.read_text(errors="replace")):
            return found[1]
        if ended is not None:
            break
        time.sleep(0.1)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    state = "still runs" if ended is None else f"ended with {ended}"
    raise RuntimeError(f"{log} has no {wanted!r}, and what writes it {state}; it ends with\n{end}")
