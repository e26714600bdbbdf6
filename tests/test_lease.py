"""Writers of tables on S3 take turns: without that, commits are lost; who dies or stands still keeps nobody waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3_server import Keys, moto, point, slow_commits
from standalone_cluster import SHORT_LIFE
from turns import APPENDS, LEASE_S

from parsely_spark.errors import LakeError
from parsely_spark.jvm import Version
from parsely_spark.tables import lease
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import append

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def lake(spark: SparkSession) -> Iterator[Lake]:
    """A lake on S3, seen by this process."""
    with moto() as server:
        server.client("s3").create_bucket(Bucket="turns")
        point(spark, "turns", server.url, Keys("a", "b"))
        yield Lake(spark, "s3a://turns/lake")


@pytest.fixture(scope="module")
def start(lake: Lake) -> Iterator[Callable[[str, str], subprocess.Popen[str]]]:
    """Start `turns.py`, whose process group dies with the tests."""
    started: list[subprocess.Popen[str]] = []

    def begin(url: str, what: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "turns.py"), url, lake.place, what]
        started.append(
            subprocess.Popen(
                command,
                env={**os.environ, "SPARK_SUBMIT_OPTS": SHORT_LIFE},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="module")
def hold(lake: Lake, start: Callable[[str, str], subprocess.Popen[str]]) -> Callable[[], subprocess.Popen[str]]:
    """Have a process hold a turn; the one that has held the last one, if it lives."""
    holders: list[subprocess.Popen[str]] = []

    def holding() -> subprocess.Popen[str]:
        if not holders or holders[-1].poll() is not None:
            holders.append(start(url_of(lake), "hold"))
        assert heard(holders[-1]) == "ready"
        tell(holders[-1])
        assert heard(holders[-1]) == "in"
        return holders[-1]

    return holding


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that it says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def url_of(lake: Lake) -> str:
    return str(lake.spark.conf.get("fs.s3a.bucket.turns.endpoint"))


def create(lake: Lake, table: str) -> DataFrame:
    """The table with a row of this process's, or one more; and that row."""
    rows = lake.spark.createDataFrame([(0,)], "writer int")
    rows.write.format("delta").mode("append").save(f"{lake.place}/{table}")
    return rows


def written(lake: Lake, table: str) -> Counter[int]:
    """How many rows each writer has in the table."""
    return Counter(row["writer"] for row in lake.read(table).collect())


def test_of_two_at_once_each_loses_commits_unless_they_take_turns(
    lake: Lake, start: Callable[[str, str], subprocess.Popen[str]]
) -> None:
    for table in ("without", "with"):
        create(lake, table)
    with slow_commits(url_of(lake), meeting="/without/_delta_log/00000000000000000001.json") as url:
        both = [start(url, "race") for _ in range(2)]
        for table in ("without", "with"):
            assert [heard(process) for process in both] == [table, table]
            for process in both:
                tell(process)
        assert [heard(process) for process in both] == ["done", "done"]
    assert written(lake, "with") == {0: 1, **{process.pid: APPENDS for process in both}}
    # All of them were committed, as their writers were told.
    assert sum(written(lake, "without").values()) < 1 + 2 * APPENDS


def test_a_living_holder_is_waited_for(
    lake: Lake, hold: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", LEASE_S)
    monkeypatch.setattr(lease, "LONGEST_WAIT_S", 3 * LEASE_S)
    holder = hold()
    rows = create(lake, "held")
    with pytest.raises(LakeError, match=rf"process {holder.pid} on \S+ has kept the turn to write for"):
        append(lake, "held", rows, says={})
    tell(holder)
    assert heard(holder) == "done"
    append(lake, "held", rows, says={})


@pytest.mark.parametrize("what", [signal.SIGSTOP, signal.SIGKILL], ids=["stood still", "died"])
def test_a_holder_that_does_not_go_on_is_followed(
    lake: Lake, hold: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, what: signal.Signals
) -> None:
    """And when it wakes up, it says that somebody has written meanwhile; nothing is overwritten."""
    monkeypatch.setattr(lease, "LEASE_S", LEASE_S)
    rows = create(lake, "held")
    before = written(lake, "held")
    holder = hold()
    os.kill(holder.pid, what)
    append(lake, "held", rows, says={})
    if what == signal.SIGSTOP:
        os.kill(holder.pid, signal.SIGCONT)
        tell(holder)
        assert "stood still for longer than its turn to write lasts" in heard(holder)
        assert heard(holder) == "done"
        before[holder.pid] += 1
    assert written(lake, "held") == before + Counter([0])


class Store:
    """An object, and what goes wrong with the requests for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text, self.version = "free".ljust(32), 0
        self.looks_at_conditions = True
        self.unanswered: set[int] = set()  # the numbers of the writes that come through without an answer
        self.changes = 0  # how often it is renewed between the request for its tag and the one for its text
        for name in ("write_object", "read_object", "look_at_object"):
            monkeypatch.setattr(lease, name, getattr(self, name))
        monkeypatch.setattr(lease, "_PROVEN", set())

    def write_object(self, spark: SparkSession, uri: str, text: str, *, instead_of: str | None) -> bool:
        if self.looks_at_conditions and instead_of != str(self.version):
            return False
        self.text, self.version = text, self.version + 1
        if self.version in self.unanswered:
            raise ConnectionError
        return True

    def read_object(self, spark: SparkSession, uri: str) -> str:
        self.changes -= 1
        return "" if self.changes >= 0 else self.text

    def look_at_object(self, spark: SparkSession, uri: str) -> Version:
        return Version(str(self.version), len(self.text))


def test_a_storage_that_does_not_look_at_conditions_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(monkeypatch).looks_at_conditions = False
    with pytest.raises(LakeError, match="does not know conditional writes"), lease.turn_to_write(lake, "new"):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lease")]


def test_a_holder_is_named_also_when_it_renews_its_turn_at_that_moment(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(monkeypatch)
    store.text, store.changes = '{"holder": "x", "host": "there", "process": 7, "writes": 1}', 3
    monkeypatch.setattr(lease, "LONGEST_WAIT_S", 0.0)
    with pytest.raises(LakeError, match="process 7 on there has kept"), lease.turn_to_write(lake, "new"):
        pass


def test_a_renewal_that_is_not_answered_loses_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(monkeypatch)
    store.unanswered = {3, 4}
    monkeypatch.setattr(lease, "LEASE_S", 0.2)
    with lease.turn_to_write(lake, "new"):
        time.sleep(0.5)
    assert store.version > 5
    assert len(store.text) == 32


def test_a_turn_that_somebody_else_has_had_is_told_of(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(monkeypatch)
    with pytest.raises(LakeError, match="another had a turn"), lease.turn_to_write(lake, "new"):
        assert store.write_object(lake.spark, "", "somebody else", instead_of=str(store.version))
    assert store.text == "somebody else"
