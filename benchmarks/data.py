"""The buckets and the base lakes, made once and kept beside one another in a folder."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from parsely_spark.testing.generate import DEFAULT_START, generate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ROOT = Path(__file__).resolve().parent.parent
HOURS = 24  # of a bucket that is read in one go
EVENTS_PER_HOUR = 2_500  # of the lakes that grow
LAKE_DAYS = (1, 7, 30)
_SPLIT = 10  # times as many files
NEW_HOUR = DEFAULT_START + timedelta(days=max(LAKE_DAYS))  # the first that no base lake has


class Store:
    """Where they are, and how large: *scale* makes all of them smaller, for trying things out."""

    def __init__(self, folder: Path, scale: float = 1.0) -> None:
        self.folder, self.scale = folder, scale
        (folder / "buckets").mkdir(parents=True, exist_ok=True)

    def scaled(self, events: int) -> int:
        """So many *events* at this scale."""
        return max(1_000, round(events * self.scale))

    def bucket(self, name: str) -> Path:
        """The bucket *name*, made if it is not there: `250k`, `1m`, `4m`, `250k-split`, `days-30`."""
        folder = self.folder / "buckets" / name
        about = self._about(name)
        if not about.exists():
            shutil.rmtree(folder, ignore_errors=True)
            print(f"making the bucket {name} ...", file=sys.stderr, flush=True)
            first, _, rest = name.partition("-")
            if first == "days":
                events = self._grow(folder, int(rest))
            elif rest == "split":
                _split(self.bucket(first), folder)
                events = int(self.made(first)["events"])
            else:
                size = int(first[:-1]) * {"k": 1_000, "m": 1_000_000}[first[-1]]
                events = generate(folder, events=self.scaled(size), hours=HOURS, seed=1).events
            sizes = [file.stat().st_size for file in folder.rglob("*.gz")]
            made = {"events": events, "files": len(sizes), "gz_mib": round(sum(sizes) / 2**20, 1)}
            about.write_text(json.dumps(made), encoding="utf-8")
        return folder

    def made(self, name: str) -> dict[str, float]:
        """What is in the bucket *name*: `events`, `files` and `gz_mib`."""
        self.bucket(name)
        made: dict[str, float] = json.loads(self._about(name).read_text(encoding="utf-8"))
        return made

    def _about(self, name: str) -> Path:
        # Beside the bucket: inside, each listing would come upon it.
        return self.folder / "buckets" / f"{name}.json"

    def lake(self, days: int, *, keeps: bool) -> Path:
        """The lake that holds all but the new hour of *days* days, made by the package as it is now.

        Args:
            days: of events.
            keeps: whether one that another state of the package made will do.
        """
        folder = self.folder / "lakes" / f"days-{days}"
        state, mark = _state_of_package(), folder / "made-by"
        if mark.exists() and (keeps or mark.read_text(encoding="utf-8") == state):
            return folder / "lake"
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making the lake of {days} days ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "parsely_spark", "batch", "--source", self.bucket(f"days-{days}")]
        command += ["--lake", folder / "lake", "--until", hour_of(NEW_HOUR)]
        subprocess.run(list(map(str, command)), cwd=ROOT, check=True)
        mark.write_text(state, encoding="utf-8")
        return folder / "lake"

    def _grow(self, folder: Path, days: int) -> int:
        """Link the last *days* days of the longest bucket and its new hour: the same hour for every lake."""
        longest = max(LAKE_DAYS)
        if days == longest:
            return self._generate_days(folder, longest)
        begin = NEW_HOUR - timedelta(days=days)
        for file in _files(self.bucket(f"days-{longest}")):
            if "/".join(file.parts[-5:-1]) >= f"{begin:%Y/%m/%d/%H}":
                _link(file, folder.joinpath(*file.parts[-6:]))
        return self.scaled(EVENTS_PER_HOUR * 24) * days + self.scaled(EVENTS_PER_HOUR)

    def _generate_days(self, folder: Path, days: int) -> int:
        """Generate day by day: what is generated at once has a file for each hour and 25,000 events, too many here."""
        events = 0
        for day in range(days):
            last = day == days - 1
            size = self.scaled(EVENTS_PER_HOUR * 24) + (self.scaled(EVENTS_PER_HOUR) if last else 0)
            part = folder / f"part-{day}"
            start = DEFAULT_START + timedelta(days=day)
            events += generate(part, events=size, hours=25 if last else 24, seed=100 + day, start=start).events
            for file in _files(part):
                _link(file, folder.joinpath(*file.parts[-6:-1], f"{day}-{file.name}"))
            shutil.rmtree(part)
        return events


def hour_of(instant: datetime) -> str:
    """An hour as `--from` and `--until` want it."""
    return f"{instant:%Y-%m-%dT%H}"


def read_once(folder: Path) -> None:
    """Have the files of *folder* in the page cache, for the first run to find what the others find."""
    for file in _files(folder):
        file.read_bytes()


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.rglob("*.gz"))


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    os.link(file, name)


def _split(source: Path, folder: Path) -> None:
    """Spread the lines of each file of *source* over several."""
    for file in _files(source):
        lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
        for part in range(_SPLIT):
            name = folder.joinpath(*file.parts[-6:-1], f"{part}-{file.name}")
            name.parent.mkdir(parents=True, exist_ok=True)
            # Without the time of day, so that it is the same file whenever it is made.
            name.write_bytes(gzip.compress(b"".join(lines[part::_SPLIT]), 4, mtime=0))


def _state_of_package() -> str:
    """A name for the package's code as it is."""
    state = hashlib.sha256()
    for file in sorted((ROOT / "parsely_spark").rglob("*.py")):
        state.update(file.read_bytes())
    return state.hexdigest()
