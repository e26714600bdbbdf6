"""What planning and reading ask of a stream; `client.py` asks AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from parsely_spark.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

HORIZON_SLACK_MS = 60_000  # how much earlier than the retention says records are taken to be gone
MOST_STUCK = 20  # empty pages from where it goes on in no time, or never
CLOCK_SLACK_MS = 1000  # how much later it may be than the stream's clock says, which tells whole seconds


class Position(NamedTuple):
    """Where in a shard to begin: ``after`` or ``at`` a number, ``since`` a time (epoch ms), or at the ``horizon``."""

    kind: str
    value: str | int | None = None


HORIZON = Position("horizon")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One shard as the stream lists it.

    Attributes:
        id: its id.
        last: of one that was split or merged, the sequence number with which it ends; None while it is open.
    """

    id: str
    last: str | None = None


class Record(NamedTuple):
    """One record: sequence number, arrival (epoch ms), bytes, and partition key, which may be missing."""

    sequence: str
    arrived_ms: int
    data: bytes
    key: str | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer: some records, perhaps none although more follow.

    Attributes:
        records: in the order of the shard.
        behind_ms: how far behind the newest record the answer ends.
        next: the iterator for the next page; None at the end of a closed shard.
    """

    records: Sequence[Record]
    behind_ms: int
    next: str | None


@dataclass(frozen=True, kw_only=True)
class About:
    """A stream: when it was made (epoch ms) and for how long it keeps records (ms)."""

    created_ms: int
    retention_ms: int


class ExpiredIteratorError(Exception):
    """An iterator is too old; another one of the same place does."""


class GoneShardError(SourceError):
    """A shard was split or merged so long ago that the stream has let go of it."""


class Stream(Protocol):
    """A stream that can be read."""

    name: str

    def now_ms(self) -> int:
        """The stream's clock, epoch ms."""
        ...

    def about(self) -> About:
        """When it was made, and for how long it keeps records."""
        ...

    def shards(self) -> list[Shard]:
        """All shards that still hold records, and all open ones."""
        ...

    def iterator(self, shard: str, position: Position) -> str:
        """An iterator, good for five minutes.

        Raises:
            GoneShardError: if the stream has let go of the shard.
        """
        ...

    def page(self, shard: str, iterator: str, limit: int | None = None) -> Page:
        """The records at *iterator*, *limit* at most.

        Raises:
            ExpiredIteratorError: if the iterator is too old.
        """
        ...
