"""What was measured, kept as a file per case: a later run of some cases leaves the others as they are."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.data import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NUMBERS = ("wall_s", "events_s", "cpu_s", "tree_mib", "process_mib")


@dataclass(kw_only=True)
class Result:
    """The runs of a case, all made at one time.

    Attributes:
        case: its name.
        at: when they began, UTC.
        commit: of the package; `+` where its code had changes that were not committed.
        machine: on which.
        runs: what each took, by the names of `NUMBERS`; without `events_s` where none are made.
        counts: what came of it.
        versions: of the peer.
        error: why there is nothing.
    """

    case: str
    at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M}")
    commit: str = field(default_factory=lambda: commit())
    machine: str = field(default_factory=lambda: machine())
    runs: list[dict[str, float]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def medians(self) -> dict[str, float]:
        """Each number in the middle of the runs."""
        return {
            name: median(run[name] for run in self.runs)
            for name in NUMBERS
            if self.runs and all(name in run for run in self.runs)
        }


def save(folder: Path, result: Result) -> None:
    """Keep *result* in place of what there was of its case."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1)
    (folder / f"{result.case}.json").write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> dict[str, Result]:
    """All that is kept, by case."""
    kept = (Result(**json.loads(file.read_text(encoding="utf-8"))) for file in sorted(folder.glob("*.json")))
    return {result.case: result for result in kept}


def medians_of(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """What the targets are computed from."""
    return {result.case: result.medians for result in results if result.runs}


def commit() -> str:
    """The commit that is checked out."""
    head = _git("rev-parse", "--short=10", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--", "parsely_spark") else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """What the numbers depend on, in words; not which machine it is."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores ({_processor()}), {gib:.0f} GiB, {system}"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(names, platform.machine())
