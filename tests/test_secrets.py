"""No secret is seen by anyone who was not told it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from s3_server import allow, chunk, moto
from standalone_cluster import SHORT_LIFE

from parsely_spark import session
from parsely_spark.jvm_start import SECRET, only_in_a_file
from parsely_spark.settings import SparkSettings
from parsely_spark.tables.catalog import ALL_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from s3_server import Keys, Moto

BUCKET = "spark.hadoop.fs.s3a.bucket.parsely-dw-x"
OTHER = "spark.hadoop.fs.azure.account.key.other.dfs.core.windows.net"  # which Spark does not know by itself
SETTINGS = """[spark]
"{bucket}.access.key" = "${{env:PARSELY_KEY}}"
"{bucket}.secret.key" = "${{env:PARSELY_SECRET}}"
"{other}" = "${{env:OTHER_KEY}}"
"spark.eventLog.enabled" = "true"
"spark.eventLog.dir" = "file:{log}"
"spark.eventLog.compress" = "false"
"spark.sql.shuffle.partitions" = "2"
"""
LASTING = {"AWS_SECRET_ACCESS_KEY": "canary/of+the/publisher", "AWS_SESSION_TOKEN": "canary//of+the/session=="}


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    with moto() as running:
        running.put("parsely-dw-x", events__2025__11__22__08__a=chunk(range(20)))
        yield running


@pytest.fixture(scope="module")
def keys(server: Moto) -> Keys:
    keys = server.user("parsely", allow("s3:ListBucket s3:GetObject", "*"))
    server.check_requests()
    return keys


def words_of_all_processes() -> list[str]:
    """What everyone on this machine can see, as by `ps`."""
    words = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # one that has ended
            continue
    return words


def run(folder: Path, server: Moto, secrets: Mapping[str, str]) -> tuple[int, str, list[str]]:
    """Run `batch` with Spark's own log; return its exit code, what it said, and the words of processes meanwhile."""
    for name in ("log", "said"):
        (folder / name).mkdir()
    config = folder / "parsely.toml"
    config.write_text(SETTINGS.format(bucket=BUCKET, other=OTHER, log=folder / "log"))
    environment = {**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE, "AWS_ACCESS_KEY_ID": "test", **secrets}
    flags = ("--source", "s3a://parsely-dw-x/events", "--lake", folder / "lake", "--tables", "conversions")
    more = ("--config", config, "--s3-endpoint-url", server.url, "--verbose", "--json")
    command = [sys.executable, "-m", "parsely_spark", "batch", *map(str, (*flags, *more))]
    seen: set[str] = set()
    with (folder / "said/all").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            seen.update(words_of_all_processes())
            time.sleep(0.1)
    return process.returncode, (folder / "said/all").read_text(), sorted(seen)


def texts_of(folder: Path) -> str:
    """All that the files in *folder* hold, those of tables as values."""
    texts = []
    for file in (file for file in folder.rglob("*") if file.is_file()):
        texts.append(file.read_bytes().decode(errors="replace"))
        if file.suffix == ".parquet" and "_delta_log" not in file.parts:
            texts.append(repr(pq.ParquetFile(file).read().to_pylist()))
    return "\n".join(texts)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_run_shows_no_secret_to_anyone(server: Moto, keys: Keys, tmp_path: Path, is_right: bool) -> None:
    """In what it says, Spark's log and event log, its tables and the list of processes; also where it is refused."""
    secret = keys.secret_key if is_right else "canary/of+nobody\\s"
    secrets = {**LASTING, "PARSELY_SECRET": secret, "OTHER_KEY": "canary/of+another/store=="}
    code, said, processes = run(tmp_path, server, {**secrets, "PARSELY_KEY": keys.access_key})
    assert code == (0 if is_right else 1), said
    kept = {name: texts_of(tmp_path / name) for name in ("log", "lake", "said")}
    # Each place is one that would have told: it holds what stands beside the secrets.
    assert all(key in kept["log"] for key in (f"{BUCKET}.secret.key", OTHER))
    assert " WARN " in kept["said"]
    assert ("conversions" in kept["lake"]) == is_right
    assert any("org.apache.spark.deploy.SparkSubmit" in words and "--conf" in words for words in processes)
    for name, value in secrets.items():
        assert [place for place, text in kept.items() if value in text] == [], name
        assert [words for words in processes if value in words] == [], name


@pytest.mark.parametrize(
    "key",
    [
        "fs.s3a.secret.key",
        "fs.s3a.bucket.x.access.key",
        "fs.s3a.bucket.x.session.token",
        "fs.s3a.encryption.key",
        "fs.s3a.server-side-encryption.key",
        "fs.azure.account.key.x.dfs.core.windows.net",
        "fs.azure.account.oauth2.client.secret.x.dfs.core.windows.net",
        "fs.azure.sas.container.x.blob.core.windows.net",
        "fs.azure.encryption.encoded.client-provided-key",
        "fs.gs.auth.service.account.private.key",
        "fs.gs.encryption.key",
        "dfs.adls.oauth2.credential",
    ],
)
def test_the_keys_of_every_store_reach_spark_by_a_file_alone(key: str) -> None:
    given = {f"spark.hadoop.{key}": "hush", "spark.hadoop.fs.s3a.endpoint": "http://x", "spark.app.name": "x"}
    with only_in_a_file(given) as others:
        assert others == {"spark.hadoop.fs.s3a.endpoint": "http://x", "spark.app.name": "x"}
        assert "hush" not in os.environ["PYSPARK_SUBMIT_ARGS"]
    assert re.search(session._chosen("x", SparkSettings(), {})["spark.redaction.regex"], key)  # as Hadoop has it


def test_who_says_what_spark_is_to_blacken_has_it_so() -> None:
    own = {"spark.redaction.regex": "(?i)canary"}
    assert session._chosen("x", SparkSettings(spark=tuple(own.items())), own)["spark.redaction.regex"] == "(?i)canary"


def test_no_property_of_a_table_is_taken_for_a_secret() -> None:
    """Spark would hide it from a program that asks for it, and goes by the value as well as by the name."""
    words = [word for spec in ALL_TABLES.values() for pair in spec.all_properties.items() for word in pair]
    assert "apikey" in ",".join(words)
    assert [word for word in words if re.search(SECRET, word)] == []
