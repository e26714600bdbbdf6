"""What `forget` has found, deleted and left, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tabulate import tabulate

if TYPE_CHECKING:
    from datetime import datetime

LOG_KEPT = timedelta(days=30)  # delta.logRetentionDuration, where nobody has set it
_MOST_NAMED = 12  # folders, on the console


@dataclass(kw_only=True)
class TableProof:
    """What of the visitors was in a table.

    Attributes:
        found: rows that were theirs, or named them.
        remaining: likewise, afterwards.
        touched: rows that were deleted or made again, also those of many visitors of whom they were one.
        purged: files that were written again because deleted rows could still be read in them.
        deleted: files that were deleted because they are no longer part of the table; None where that was not told.
    """

    found: int = 0
    remaining: int = 0
    touched: int = 0
    purged: int = 0
    deleted: int | None = None


@dataclass(kw_only=True)
class Proof:
    """What one run did.

    Attributes:
        visitors: how many were asked for.
        listed: their keyed hashes, as in the table ``forgotten``.
        at: when it was done, UTC.
        kept_until: until then, files that are no longer part of a table can hold what was deleted; the first `maintain`
            after it deletes them. None where none are left.
        kept_because: why that is later than was asked for.
        log_until: until then, Delta's log may name a visitor, as the first or the last of a file by the alphabet.
        sources: where the raw lines came from. They are the owner's of the bucket to delete.
        folders: of the hours there that have lines of theirs, as far as events were found.
    """

    run_id: str
    visitors: int
    listed: list[str] = field(default_factory=list)
    tables: dict[str, TableProof] = field(default_factory=dict)
    at: datetime | None = None
    kept_until: datetime | None = None
    kept_because: str = ""
    log_until: datetime | None = None
    sources: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def remaining(self) -> int:
        """The rows that are still there."""
        return sum(table.remaining for table in self.tables.values())

    def __str__(self) -> str:
        head = ("table", "rows found", "remaining", "rows touched", "files purged", "deleted")
        rows = [
            (name, of.found, of.remaining, of.touched, of.purged, "" if of.deleted is None else of.deleted)
            for name, of in self.tables.items()
        ]
        right = ("left", *["right"] * (len(head) - 1))
        return "\n".join(
            [tabulate(rows, headers=head, tablefmt="simple", intfmt=",", colalign=right), *self._remarks()]
        )

    def _remarks(self) -> list[str]:
        why = f", because {self.kept_because}" if self.kept_because else ""
        said = [
            f"Older versions of the tables can be read until {self.kept_until:%Y-%m-%d %H:%M} UTC{why}; the first "
            "`parsely-spark maintain` after that deletes their files.",
            f"Delta's log may name a visitor, as the least or the greatest of a file, until {self.log_until:%Y-%m-%d}: "
            f"it is kept for {LOG_KEPT.days} days, unless delta.logRetentionDuration of a table says otherwise.",
        ]
        if self.sources and self.folders:
            more = f" and {len(self.folders) - _MOST_NAMED:,} more" if len(self.folders) > _MOST_NAMED else ""
            said.append(
                f"Out of reach: the raw lines in {', '.join(self.sources)}, folders "
                f"{', '.join(self.folders[:_MOST_NAMED])}{more}. What is read from there again is not kept."
            )
        return said
