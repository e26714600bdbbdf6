"""The command in processes of its own, which a test can kill, and what its tables must hold in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from oracle import sessions
from oracle_tables import tables
from standalone_cluster import SHORT_LIFE

from parsely_spark.crash import VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from oracle import Ledger

    from parsely_spark.tables.catalog import Lake

# What dies does so with generated code or without; without it, a small run takes a quarter less time.
CONFIG = """[spark]
"spark.sql.codegen.wholeStage" = "false"
"spark.sql.codegen.factoryMode" = "NO_CODEGEN"
"spark.sql.shuffle.partitions" = "2"
"spark.driver.memory" = "1g"
"spark.databricks.delta.snapshotPartitions" = "2"
"spark.ui.enabled" = "false"
"spark.sql.ui.explainMode" = "simple"
"""
SETTINGS, END_S = "parsely.toml", 300


def start(folder: Path, command: str, *flags: object, crash_at: str | None = None) -> subprocess.Popen[bytes]:
    """Start the *command* in a process of its own; *folder* keeps its settings file."""
    config = folder / SETTINGS
    config.write_text(CONFIG)
    # boto3 signs, whoever answers.
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE}
    environment |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    if crash_at:
        environment[VARIABLE] = crash_at
    words = [sys.executable, "-m", "parsely_spark", command, *map(str, flags), "--config", str(config)]
    return subprocess.Popen(words, env=environment, start_new_session=True, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for it; return its exit code and what it said."""
    said = process.communicate(timeout=END_S)[1].decode()
    if process.returncode:
        kill(process)
    return process.returncode, said


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started, as with their machine; what is dead stays so."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check(lake: Lake, expected: Ledger, *, pageviews: bool = True) -> None:
    """The tables hold what the oracle has made of the lines."""
    events = [(row["apikey"], row["event_id"]) for row in lake.read("events").select("apikey", "event_id").collect()]
    assert sorted(events) == sorted(expected.events)
    wanted = sessions(expected.events.values(), lambda user_agent, ua_browser: False)
    columns = ("session_key", "events", "pageviews", "engaged_s", "exit_url")
    actual = {row["session_key"]: row.asDict() for row in lake.read("sessions").select(*columns).collect()}
    assert actual == {key: {name: row[name] for name in columns} for key, row in wanted.items()}
    assert lake.read("rejected_lines").count() == expected.rejected
    if pageviews:
        views = tables(list(expected.events.values()), lambda user_agent, ua_browser: False)["pageviews"]
        columns = ("pageview_key", "session_key", "pageviews", "engaged_s", "post_id")
        seen = [tuple(row) for row in lake.read("pageviews").select(*columns).collect()]
        assert sorted(seen, key=repr) == sorted((tuple(row[name] for name in columns) for row in views), key=repr)
