"""How far a stream has been planned: what Spark logs for each batch, and the ranges of records between two of them.

A range is read again after a crash, by a retried task, or by a second one at the same time, and has to be the same
records each time. So a position is the sequence number of a record that is known to be there: no time, no iterator, no
"latest".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from parsely_spark.errors import SourceError

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far one shard has been planned.

    Attributes:
        end: sequence number up to which it has been, inclusive; None before its first record.
        first: sequence number of the record with which the last range began that did not follow another one.
        since_ms: from when on records count before there is an end, epoch ms; 0 for all that the shard has ever had.
        end_ms: arrival of the record *end*, epoch ms; 0 before there is one.
        quiet_ms: epoch ms of the stream's clock by which nothing had come after *end*.
        closed: whether nothing will come any more, because the shard was split or merged.
        gap_ms: the last time (since, until), epoch ms, in which records may have gone unread; None without one.
    """

    end: str | None = None
    first: str | None = None
    since_ms: int = 0
    end_ms: int = 0
    quiet_ms: int = 0
    closed: bool = False
    gap_ms: tuple[int, int] | None = None

    @property
    def known_ms(self) -> int:
        """Up to when nothing has been missed, epoch ms; 0 where nothing was ever promised."""
        return max(self.end_ms, self.quiet_ms, self.since_ms)


@dataclass(frozen=True, kw_only=True)
class Offset:
    """How far a stream has been planned, shard by shard.

    Attributes:
        stream: its name or ARN.
        created_ms: when it was made, epoch ms; another stream of the same name has another. 0 before the first batch.
        shards: by shard id.
    """

    stream: str
    created_ms: int = 0
    shards: dict[str, Place] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What Spark logs. It compares offsets as texts, so equal ones have to be written alike."""
        shards = {}
        for shard, place in sorted(self.shards.items()):
            said = {
                "closed": place.closed,
                "end": place.end,
                "end_ms": place.end_ms,
                "first": place.first,
                "gap_ms": list(place.gap_ms) if place.gap_ms else None,
                "quiet_ms": place.quiet_ms,
                "since_ms": place.since_ms,
            }
            shards[shard] = {name: value for name, value in said.items() if value}
        return {"created_ms": self.created_ms, "shards": shards, "stream": self.stream, "v": _VERSION}

    def is_of(self, stream: str) -> bool:
        """Whether *stream*, a name or an ARN, may be the one that was planned."""
        if self.stream.startswith("arn:") and stream.startswith("arn:"):
            return self.stream == stream
        return self.stream.rpartition("/")[2] == stream.rpartition("/")[2]

    @classmethod
    def of_json(cls, said: dict[str, Any]) -> Offset:
        """Read what `to_json` wrote.

        Raises:
            SourceError: if a later release wrote it.
        """
        if said.get("v") != _VERSION:
            raise SourceError(
                f"The checkpoint was written by another release (version {said.get('v')} of its offsets, this one "
                f"knows {_VERSION}); go on with that release, or give a new checkpoint: the tables take no event twice."
            )
        shards = {}
        for shard, place in said["shards"].items():
            gap = place.get("gap_ms")
            shards[shard] = Place(**{**place, "gap_ms": tuple(gap) if gap else None})
        return cls(stream=said["stream"], created_ms=said["created_ms"], shards=shards)


@dataclass(frozen=True, kw_only=True)
class Range:
    """Records of one shard that one task reads, or a time in which records may have gone unread.

    Attributes:
        stream: name or ARN.
        shard: its id.
        after: sequence number after which it begins; None where it begins with *first*.
        first: sequence number of the first record, where no other range went before.
        end: sequence number of the last record; of a closed shard, it may be that of none.
        closes: whether the shard ends with it.
        known_ms: up to when nothing had been missed before it, epoch ms.
        end_ms: arrival of the record *end*, epoch ms.
        gap_ms: since when and until when (epoch ms) records may be missing, before *first*; None without such.
    """

    stream: str
    shard: str
    after: str | None
    first: str | None
    end: str | None
    closes: bool
    known_ms: int
    end_ms: int
    gap_ms: tuple[int, int] | None


def ranges(start: Offset, end: Offset) -> list[Range]:
    """What lies between two offsets, a range for each shard that has something."""
    found = []
    for shard, place in end.shards.items():
        before = start.shards.get(shard, Place())
        gap = place.gap_ms if place.gap_ms != before.gap_ms else None
        if place.end == before.end and gap is None:
            continue
        follows = before.end is not None and place.first == before.first
        found.append(
            Range(
                stream=end.stream,
                shard=shard,
                after=before.end if follows else None,
                first=None if follows else place.first,
                end=place.end if place.end != before.end else None,
                closes=place.closed,
                # A place keeps what was known of the shard before it had an end; before that, there was no stream.
                known_ms=max(before.known_ms, place.since_ms, place.quiet_ms) or end.created_ms,
                end_ms=place.end_ms,
                gap_ms=gap,
            )
        )
    return found
