"""What `maintain` has done, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field

from tabulate import tabulate

_MIB = 2**20


@dataclass(kw_only=True)
class TableUpkeep:
    """What became of a table: the files that are part of it, before and after.

    Attributes:
        rewritten: how many of its small files were put together.
        deleted: how many files were deleted that were no longer part of it; None where that was not told.
        trimmed: how many of its rows were summed up.
    """

    files_before: int
    bytes_before: int
    files: int = 0
    bytes: int = 0
    rewritten: int = 0
    deleted: int | None = None
    trimmed: int = 0


@dataclass(kw_only=True)
class Maintained:
    """What one run did.

    Attributes:
        kept_hours: how long files stay that are no longer part of a table; None where none were deleted.
        kept_because: why that is longer than was asked for.
        kept_since: by table of which not all days are kept, the first one that is.
        expired: how many rows of older days were deleted, likewise.
        lost: derived tables that can no longer be brought up to date, but only be made again.
    """

    run_id: str
    tables: dict[str, TableUpkeep] = field(default_factory=dict)
    kept_hours: int | None = None
    kept_because: str = ""
    kept_since: dict[str, str] = field(default_factory=dict)
    expired: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        head = ("table", "files before", "after", "MiB before", "after", "put together", "deleted", "rows trimmed")
        rows = [
            (
                name,
                table.files_before,
                table.files,
                f"{table.bytes_before / _MIB:,.1f}",
                f"{table.bytes / _MIB:,.1f}",
                table.rewritten,
                "" if table.deleted is None else table.deleted,
                table.trimmed,
            )
            for name, table in self.tables.items()
        ]
        right = ("left", *["right"] * (len(head) - 1))
        parts = [tabulate(rows, headers=head, tablefmt="simple", intfmt=",", disable_numparse=[3, 4], colalign=right)]
        return "\n".join([*parts, *self.remarks])

    @property
    def remarks(self) -> list[str]:
        """What is worth knowing beside the numbers."""
        said = [
            f"{table} is kept from {since} on; {self.expired.get(table, 0):,} older rows were deleted."
            for table, since in self.kept_since.items()
        ]
        if self.kept_hours is not None:
            why = f", because {self.kept_because}" if self.kept_because else ""
            said.append(f"Files that are no longer part of a table stay for {_time(self.kept_hours)}{why}.")
        if self.lost:
            said.append(
                f"The log of events no longer tells what {', '.join(self.lost)} lack; run `parsely-spark rebuild "
                f"--tables {','.join(self.lost)}`."
            )
        return said


def _time(hours: int) -> str:
    return f"{hours // 24} days" if hours % 24 == 0 else f"{hours} h"
