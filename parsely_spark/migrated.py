"""What `migrate` has done, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Migrated:
    """What one run did, or would do.

    Attributes:
        tables: for each table in sentences; none where it was as it should be.
        moved: how many events had rescued values that columns hold now.
        rebuilt: rows of the derived tables that were made again.
        is_trial: whether nothing was done.
    """

    run_id: str
    format: int
    tables: dict[str, list[str]] = field(default_factory=dict)
    moved: int = 0
    rebuilt: dict[str, int] = field(default_factory=dict)
    is_trial: bool = False

    @property
    def has_changes(self) -> bool:
        """Whether there was anything to do."""
        return any(self.tables.values())

    def __str__(self) -> str:
        lines = [f"{table}: {'; '.join(changes) or 'as it should be'}" for table, changes in self.tables.items()]
        return "\n".join([*lines, self._end])

    @property
    def _end(self) -> str:
        if not self.has_changes:
            return f"The lake is of format {self.format} and lacks nothing."
        if self.is_trial:
            return f"Nothing was done; without --dry-run the lake would be of format {self.format}."
        return f"The lake is of format {self.format} now."
