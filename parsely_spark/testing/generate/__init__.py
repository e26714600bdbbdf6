"""A realistic Parse.ly bucket, made up from a seed: four sites, their visitors, what goes wrong on the way.

``generate`` writes ``<out>/events/YYYY/MM/DD/HH/*.gz``, gzip files of JSON lines. The same arguments give the
same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .groups import Plan
from .processes import write_groups

__all__ = ["DEFAULT_START", "Generated", "generate"]

DEFAULT_START: Final = datetime(2026, 1, 14, 12, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    """What ``generate`` wrote: ``lines`` are the distinct ``events`` and their repeated deliveries."""

    files: int
    lines: int
    events: int
    bytes_json: int
    bytes_gz: int
    seconds: float


def generate(
    out: str | Path,
    *,
    events: int,
    hours: int,
    seed: int,
    start: datetime = DEFAULT_START,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Generated:
    """Write a bucket of made-up events under *out*.

    Args:
        out: folder that gets an ``events`` folder, which must not exist or be empty.
        events: number of distinct events; about 1.4 % repeated deliveries come on top.
        hours: length of the range of server times.
        seed: what decides everything that is left to chance.
        start: first hour of the range, a whole hour with its time zone.
        workers: processes to use, None for one per CPU; the files do not depend on it.
        on_progress: called with the number of events newly written, each time that some are.

    Returns:
        The totals of what was written.

    Raises:
        ValueError: if an argument is out of range or there are events in *out* already.
    """
    began = time.monotonic()
    _require_positive("events", events)
    _require_positive("hours", hours)
    workers = (os.cpu_count() or 1) if workers is None else workers
    _require_positive("workers", workers)
    plan = Plan(out=str(out), events=events, hours=hours, seed=seed, start_s=_whole_hour(start))
    _make_empty(Path(out) / "events")
    written = []
    for part in write_groups(plan, workers):
        written.append(part)
        if on_progress is not None:
            on_progress(part.events)
    return Generated(
        files=sum(part.files for part in written),
        lines=sum(part.lines for part in written),
        events=sum(part.events for part in written),
        bytes_json=sum(part.bytes_json for part in written),
        bytes_gz=sum(part.bytes_gz for part in written),
        seconds=time.monotonic() - began,
    )


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}={value} is less than 1. Ask for at least {name}=1.")


def _whole_hour(start: datetime) -> int:
    if start.tzinfo is None or start.timestamp() % 3600:
        raise ValueError(
            f"start={start.isoformat()} is not a whole hour with a time zone. "
            f"Write it like {DEFAULT_START.isoformat()}."
        )
    return int(start.timestamp())


def _make_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty, and old files would be read together with new ones. "
            "Delete it, or choose another output folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
