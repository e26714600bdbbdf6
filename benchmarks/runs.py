"""Runs a case: what it needs beforehand, the command, and whether it did the work."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.counts import counts_of
from benchmarks.data import ROOT, Store, read_once
from benchmarks.measure import Run, measure
from benchmarks.results import NUMBERS

if TYPE_CHECKING:
    from benchmarks.cases import Case

Counts = dict[str, int]


class NoPeer(Exception):
    """A run did not do the work, or made something else of it than others did."""


class Runner:
    """Runs cases, each in an empty folder.

    Args:
        store: the buckets and lakes.
        python: the interpreter that has Spark and the package.
        peers_python: the one that has the peers.
        keeps_lakes: whether base lakes that another state of the package made will do.
    """

    def __init__(self, store: Store, *, python: str, peers_python: str, keeps_lakes: bool) -> None:
        self.store, self.python, self.peers_python, self.keeps_lakes = store, python, peers_python, keeps_lakes
        self._work = store.folder / "work"
        self._agreed: dict[str, Counts] = {}  # by bucket

    def prepare(self, case: Case) -> None:
        """Make what *case* reads and begins with."""
        read_once(self.store.bucket(case.bucket))
        if case.lake_days:
            self.store.lake(case.lake_days, keeps=self.keeps_lakes)

    def run(self, case: Case) -> tuple[dict[str, float], Counts]:
        """Run *case* once; give what it took, and what came of it.

        Raises:
            FailedCommand: if it ended badly.
            NoPeer: if what it made is not what it should be.
        """
        out = self._work / "out"
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        if case.lake_days:
            shutil.copytree(self.store.lake(case.lake_days, keeps=True), out)
        try:
            took = measure(self._command(case, out), cwd=ROOT)
            counts = self._counts(case, took, out)
        finally:
            shutil.rmtree(self._work, ignore_errors=True)
            self._clear_cluster()
        numbers = {name: value for name in NUMBERS if (value := getattr(took, name)) is not None}
        if case.lake_days:  # a run over them may have several lines about events, or none that is worth a column
            numbers.pop("events_s", None)
        return {name: round(value, 2) for name, value in numbers.items()}, counts

    def _command(self, case: Case, out: Path) -> list[str]:
        source = str(self.store.bucket(case.bucket))
        if case.peer:
            python = self.python if case.peer == "plain_spark" else self.peers_python
            return [python, "-m", f"benchmarks.peers.{case.peer}", source, str(out)]
        command = [self.python, "-m", "parsely_spark", "batch", "--source", source, "--lake", str(out), "--json"]
        if case.spark:
            settings = self._work / "settings.toml"
            lines = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in case.spark.items()]
            settings.write_text("\n".join(["[spark]", *lines, ""]), encoding="utf-8")
            command += ["--config", str(settings)]
        return [*command, *case.flags]

    def _counts(self, case: Case, took: Run, out: Path) -> Counts:
        """Count what was made, and compare it with what was generated and with what others made of it."""
        said = json.loads(took.output[-1])
        if case.is_first_load:
            counts: Counts = asdict(counts_of(out))
            wanted = {**self._agreed.setdefault(_content(case), counts)}
            wanted["events"] = int(self.store.made(case.bucket)["events"])
            told = said["inserted"] if "inserted" in said else said["events"]
            if counts != wanted or told != wanted["events"]:
                raise NoPeer(f"{case.name} made {counts} and says {told}; wanted {wanted}.")
            return counts
        counts = {name: said[name] for name in ("lines", "inserted", "files") if name in said}
        if case.lake_days and bool(counts["inserted"]) != (case.does != "nothing"):
            raise NoPeer(f"{case.name} inserted {counts['inserted']} events of {counts['files']} files.")
        agreed = self._agreed.setdefault(_content(case), counts)
        # The floor reads each line, as often as it was delivered; a new hour is the same on every lake.
        if counts != agreed:
            raise NoPeer(f"{case.name} made {counts}; another {agreed}.")
        return counts

    @staticmethod
    def _clear_cluster() -> None:
        """Remove what the executors of Spark's local cluster leave in Spark's own folder."""
        spark = find_spec("pyspark")
        assert spark is not None
        assert spark.origin is not None
        with suppress(FileNotFoundError):
            shutil.rmtree(Path(os.path.dirname(spark.origin)) / "work")


def _content(case: Case) -> str:
    """What has to come to the same: the first loads of a bucket, however it is cut; the new hour; nothing."""
    if case.is_first_load:
        return f"load {case.bucket.partition('-')[0]}"
    return f"{case.does} {'floor' if case.peer else 'hour'}"
