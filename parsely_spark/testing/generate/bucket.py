"""The files of one group of events: what is delivered where, on time, late or twice."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

from .clock import Span
from .groups import Plan, draw_events
from .records import Event, to_line
from .sites import HOUR

DUPLICATE_SHARE: Final = 0.007  # inside the file, and as much again in another file
LATE_SHARE: Final = 0.01
LONGEST_DELAY_H: Final = 6
# Bytes and microseconds per event at levels 1 to 6: 534 15, 448 15, 423 16, 357 20, 312 22, 287 29.
GZIP_LEVEL: Final = 4
_LINES_AT_ONCE: Final = 1000  # bounds the memory of ranges with few hours


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What was written of one group."""

    files: int
    lines: int
    events: int
    bytes_json: int
    bytes_gz: int


@dataclass(frozen=True, order=True, slots=True)
class Chunk:
    """One file: the hour of its folder (epoch hours), and whether it holds what came late or again."""

    hour: int
    is_late: bool


def write_group(plan: Plan, group: int) -> Written:
    """Draw *group* of *plan* and write its files."""
    rng = random.Random(f"{plan.seed}/{group}")
    events = draw_events(rng, plan, group)
    files = lines = bytes_json = bytes_gz = 0
    for chunk, content in sorted(deliver(rng, events, plan.span).items()):
        content.sort(key=attrgetter("server_s"))
        raw, packed = _write_file(_path(plan, group, chunk, content[0].server_s), content)
        files, lines = files + 1, lines + len(content)
        bytes_json, bytes_gz = bytes_json + raw, bytes_gz + packed
    return Written(files=files, lines=lines, events=len(events), bytes_json=bytes_json, bytes_gz=bytes_gz)


def _write_file(path: Path, events: list[Event]) -> tuple[int, int]:
    """Write *events* as gzip JSON lines; give the bytes before and after compression."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # 31: with a gzip header, which zlib leaves without time and name, so that equal contents are equal files.
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    raw = packed = 0
    with path.open("wb") as file:
        for first in range(0, len(events), _LINES_AT_ONCE):
            text = "".join(map(to_line, events[first : first + _LINES_AT_ONCE])).encode()
            raw, packed = raw + len(text), packed + file.write(packer.compress(text))
        packed += file.write(packer.flush())
    return raw, packed


def deliver(rng: random.Random, events: list[Event], span: Span) -> dict[Chunk, list[Event]]:
    """Put each event into a file of its hour; a few come late, a few come twice."""
    last = span.end_s // HOUR - 1
    chunks: defaultdict[Chunk, list[Event]] = defaultdict(list)
    can_wait = [index for index, event in enumerate(events) if event.server_s // HOUR < last]
    late = set(rng.sample(can_wait, min(_count(len(events), LATE_SHARE), len(can_wait))))
    for index, event in enumerate(events):
        hour = event.server_s // HOUR
        if index in late:
            chunks[Chunk(min(hour + rng.randint(1, LONGEST_DELAY_H), last), True)].append(event)
        else:
            chunks[Chunk(hour, False)].append(event)
    on_time = [event for index, event in enumerate(events) if index not in late]
    twice = _count(len(events), DUPLICATE_SHARE)
    for event in _sample(rng, on_time, twice):
        chunks[Chunk(event.server_s // HOUR, False)].append(event)
    for event in _sample(rng, on_time, twice):
        hour = event.server_s // HOUR + rng.choice((0, 0, 0, 1, 2, 5))
        chunks[Chunk(min(hour, last), True)].append(event)
    return chunks


def _count(events: int, share: float) -> int:
    """Number of events that make *share* of *events*; at least one unless there are only a few."""
    return max(round(events * share), 1) if events >= 20 else 0


def _sample(rng: random.Random, events: list[Event], count: int) -> list[Event]:
    return rng.sample(events, min(count, len(events)))


def _path(plan: Plan, group: int, chunk: Chunk, first_s: int) -> Path:
    """Name a file as a collector node would: who wrote it, from when on, and something unique."""
    hour = datetime.fromtimestamp(chunk.hour * HOUR, tz=UTC)
    unique = hashlib.sha256(f"{plan.seed}/{group}/{chunk.hour}/{chunk.is_late}".encode()).hexdigest()[:16]
    node = f"{'late-' if chunk.is_late else ''}collector{group % 12 + 1:02d}"
    return Path(plan.out) / "events" / f"{hour:%Y/%m/%d/%H}" / f"{node}-{first_s}000-{unique}.gz"
