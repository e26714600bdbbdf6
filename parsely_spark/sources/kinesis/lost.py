"""What a stream no longer holds, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from parsely_spark.errors import SourceError

if TYPE_CHECKING:
    from parsely_spark.sources.kinesis.offsets import Offset

# How much later than the horizon reading begins, and a gap is said to end. What lies before is about to go: a batch
# that began with it would not find it any more by the time it is read.
GAP_SLACK_MS = 600_000
_HOUR_MS = 3_600_000


class Lost(NamedTuple):
    """A time, epoch ms, in which records may have gone unread; its end is not one of it."""

    since_ms: int
    until_ms: int


class GapError(SourceError):
    """Records may have gone unread: the stream no longer holds all that came after the last ones that were."""


def gap_error(stream: str, shard: str, since_ms: int, until_ms: int, *, retention_ms: int) -> GapError:
    """What came to *shard* from *since_ms* to *until_ms* (epoch ms) may be gone."""
    return GapError(
        f"{stream} keeps records for {retention_ms // _HOUR_MS} h, and what came to its {shard} between "
        f"{_said(since_ms)} and {_said(until_ms)} may be gone unread. Parse.ly's bucket has it: go on with --on-gap "
        f"heal-later, and run `parsely-spark batch --from {_hour(since_ms)} --until {_hour(until_ms + _HOUR_MS)}`."
    )


def check_same(start: Offset, stream: str) -> None:
    """Refuse a checkpoint that is of another stream than *stream*."""
    if not start.is_of(stream):
        raise SourceError(
            f"The checkpoint is of the stream {start.stream}, and {stream} is to be read; give each stream a "
            "checkpoint of its own."
        )


def made_again(start: Offset, created_ms: int) -> SourceError:
    """The stream of *start* is gone; the one of its name was made at *created_ms* (epoch ms)."""
    since_ms = min((place.known_ms for place in start.shards.values() if place.known_ms), default=start.created_ms)
    return SourceError(
        f"The stream {start.stream} was deleted and made again at {_said(created_ms)}, and what the old one held "
        "is gone with it. Give a new checkpoint, and let `parsely-spark batch --from "
        f"{_hour(since_ms)}` bring in what Parse.ly's bucket has of the time since."
    )


def _said(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _hour(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H")
